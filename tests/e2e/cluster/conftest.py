"""The cluster that KUBECONFIG names, with our manifests for as long as the tests of this folder run.

`make e2e` runs them and no other command does: they replace the autoscaler of the cluster, and put it back.

KPA_IMAGE
    Image of the autoscaler; `dev.local/kpa:v1` unless set.
KPA_E2E_APP_IMAGE
    Image of a server that answers `/?sleep=MILLISECONDS` on port 8080; `dev.local/app:v1` unless set.
KPA_E2E_INGRESS
    HOST:PORT of an ingress. Without it the tests must run where the Services of the cluster can be reached.

Tests of what a cluster lacks (KServe, an autoscaler to go back to) are deselected, and the reason is printed.
"""

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.cluster.installation import Installation
from tests.e2e.cluster.kubectl import SYSTEM, kubectl

HERE = Path(__file__).parent
NEEDS = {
    "knatives_own": ("deployment/autoscaler", "the cluster has no autoscaler to go back to"),
    "kserve": ("crd/inferenceservices.serving.kserve.io", "the cluster has no KServe"),
}
"""Fixture: what must exist in the cluster for tests that use it, and what is said if it does not."""


@cache
def exists(what: str) -> bool:
    """Tell whether an object exists; the namespace is that of Knative."""
    asked = ["kubectl", "-n", SYSTEM, "get", what, "--ignore-not-found", "-o", "name"]
    return bool(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the cluster cannot do, and all unless just these tests were asked for."""
    ours = [item for item in items if HERE in item.path.parents]
    if not ours or config.option.collectonly:
        return
    if config.option.markexpr != "cluster":
        _deselect(config, items, ours, "only `make e2e` replaces the autoscaler of a cluster")
        return
    if not os.environ.get("KUBECONFIG") or not shutil.which("kubectl"):
        raise pytest.UsageError("the tests marked 'cluster' need kubectl, and KUBECONFIG to name a cluster")
    for fixture, (what, reason) in NEEDS.items():
        unfit = [item for item in ours if fixture in getattr(item, "fixturenames", ())]
        if unfit and not exists(what):
            _deselect(config, items, unfit, reason)


def _deselect(config: pytest.Config, items: list[pytest.Item], some: list[pytest.Item], reason: str) -> None:
    print(f"deselected: {', '.join(item.name for item in some)}: {reason}", flush=True)
    config.hook.pytest_deselected(items=some)
    items[:] = [item for item in items if item not in some]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Our autoscaler in the place of Knative's, until all tests have run."""
    installation = Installation(tmp_path_factory.mktemp("manifests"), exists("deployment/autoscaler"))
    asyncio.run(installation.keep())
    try:
        asyncio.run(installation.replace())
        yield installation
    finally:
        asyncio.run(installation.go_back())


@pytest.fixture(scope="session")
def namespace(installation: Installation) -> Iterator[str]:
    """A namespace for the services of the tests."""
    name = f"kpa-e2e-{uuid.uuid4().hex[:6]}"
    asyncio.run(kubectl("create", "namespace", name))
    yield name
    asyncio.run(kubectl("delete", "namespace", name, "--wait=false"))


@pytest.fixture(scope="session")
def kserve(installation: Installation) -> None:
    """KServe is installed."""


@pytest.fixture(scope="session")
def knatives_own(installation: Installation) -> Installation:
    """There was an autoscaler before ours."""
    return installation
