"""Manifests put into force, and bad ones that change nothing."""

import logging
from pathlib import Path

import pytest

from config.autoscaler import AutoscalerConfig
from kpa.local.cluster import LocalCluster
from kpa.local.live import apply_files

SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: NAME}
spec:
  template:
    metadata: {annotations: {autoscaling.knative.dev/initial-scale: "0"}}
    spec:
      containers: [{command: [sleep, "1000"], image: x}]
"""
CONFIG = AutoscalerConfig.from_config_map({"allow-zero-initial-scale": "true"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "services.yaml"
    made.write_text(SERVICE.replace("NAME", "one"))
    return made


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    made = tmp_path / "bad.yaml"
    made.write_text(SERVICE.replace("NAME", "two") + "---\nbad\n---\nworse\n")
    return made


async def test_files_become_services_and_their_warnings_are_logged(
    cluster: LocalCluster, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert apply_files(cluster, [path], CONFIG)
    assert [spec.name for spec in cluster.services] == ["one"]
    assert "a process cannot honour spec.template.spec.containers[0].image" in caplog.text


async def test_a_bad_edit_is_reported_whole_and_changes_nothing(
    cluster: LocalCluster, path: Path, bad: Path, caplog: pytest.LogCaptureFixture
) -> None:
    apply_files(cluster, [path], CONFIG)
    caplog.clear()
    assert not apply_files(cluster, [bad], CONFIG)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0].startswith(f"{bad}, document 2: ")
    assert errors[1].startswith(f"{bad}, document 3: ")
    assert [spec.name for spec in cluster.services] == ["one"]


async def test_a_file_that_is_gone_takes_its_services_away(cluster: LocalCluster, path: Path) -> None:
    apply_files(cluster, [path], CONFIG)
    apply_files(cluster, [], CONFIG)
    assert cluster.services == ()
