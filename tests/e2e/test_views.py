"""What a running `kpa local` shows: the API, `kpa status`, telemetry, health, logs."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Launch
from tests.e2e.running import REPOSITORY, Kpa, client, failures, service

pytestmark = pytest.mark.e2e

LABELS = {
    "k8s_namespace_name": "default",
    "kn_service_name": "seen",
    "kn_configuration_name": "seen",
    "kn_revision_name": "seen-00001",
}


@pytest.fixture(scope="module")
def kpa(launch: Launch) -> Kpa:
    """A service of two replicas with a load of six requests in flight, and one of fixed size without any."""
    kpa = launch(
        service("seen", {"target": 5, "target-utilization-percentage": 80}, concurrency=10),
        service("still", {"min-scale": 1, "max-scale": 1}),
        settings={"stable-window": "10s"},
        arguments=["--legacy-metrics", "--log-format", "json"],
    )
    asyncio.run(load(kpa))
    return kpa


async def load(kpa: Kpa) -> None:
    async with client(kpa) as requests:
        loading = asyncio.create_task(requests.load("seen", 6, 8, "/?sleep=500"))
        await asyncio.to_thread(kpa.wait_replicas, "seen-00001", 2)
        assert not failures(await loading)


def status(kpa: Kpa, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `kpa status`."""
    url = f"http://127.0.0.1:{kpa.telemetry_port}"
    return subprocess.run(
        [sys.executable, "-m", "kpa", "status", "--url", url, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_status_is_a_table_for_people(kpa: Kpa) -> None:
    lines = status(kpa).stdout.splitlines()
    assert lines[0].strip() == "profile inference, 2 revisions"
    seen = next(line.split() for line in lines if "seen-00001" in line)
    assert seen[0] == "default/seen-00001"
    assert "2/2" in seen
    assert "fixed" in next(line for line in lines if "still-00001" in line)


def test_status_is_json_for_programs(kpa: Kpa) -> None:
    document = json.loads(status(kpa, "--json").stdout)
    assert {one["name"]: one["replicas"] for one in document["revisions"]} == {
        "seen-00001": 2,
        "still-00001": 1,
    }


def test_telemetry_has_the_values_of_the_status(kpa: Kpa) -> None:
    def values() -> dict[str, float]:
        now = kpa.revisions()["seen-00001"]
        return {
            "kn_revision_pods_desired": now.recommended,
            "kn_revision_pods_requested": 2,
            "kn_revision_pods_count": 2,
            "kn_revision_pods_not_ready_count": 0,
            "kn_revision_pods_pending_count": 0,
            "kn_revision_pods_terminating_count": 0,
            "kn_revision_concurrency_target": 4.0,
            "kn_revision_panic_mode": int(now.panicking),
            "autoscaler_actual_pods": 2,
        }

    def read(name: str) -> float:
        return kpa.metric(name, **(LABELS if name.startswith("kn_") else {"revision_name": "seen-00001"}))

    kpa.wait(lambda: (told := values()) == {name: read(name) for name in told}, "telemetry says the same")
    assert kpa.metric("kn_autoscaler_scrape_duration_seconds_count", kn_service_name="seen") > 5
    assert kpa.metric("kpa_tick_duration_seconds_count") > 3


def test_all_of_telemetry_is_prometheus_text(kpa: Kpa) -> None:
    status, text = kpa.look("/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) > 30


async def test_the_load_is_seen_in_the_windows(kpa: Kpa) -> None:
    over = asyncio.Event()
    async with client(kpa) as requests:
        loading = asyncio.create_task(requests.load("seen", 6, 0, "/?sleep=500", enough=over.is_set))
        found = await asyncio.to_thread(
            kpa.wait_status, "seen-00001", lambda status: (status.stable or 0) > 2, "a stable value"
        )
        series = await asyncio.to_thread(kpa.metric, "kn_revision_concurrency_stable", **LABELS)
        over.set()
        await loading
    assert (found.stable or 0) > 2
    assert series > 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_is_well(kpa: Kpa, path: str) -> None:
    assert kpa.look(path) == (200, "ok\n")


def test_each_line_of_the_log_is_an_object_with_the_numbers_of_a_decision(kpa: Kpa) -> None:
    lines = [json.loads(line) for line in kpa.log.splitlines()]
    decisions = [
        line
        for line in lines
        if line["message"].startswith(("recommended", "scaled")) and line["name"] == "seen-00001"
    ]
    grown = next(line for line in decisions if line["recommended"] >= 2)
    assert grown["stable"] > 0
    assert grown["target"] == 4.0
    assert {"panic", "ready", "mode", "excess_burst_capacity", "total", "requested"} <= grown.keys()
