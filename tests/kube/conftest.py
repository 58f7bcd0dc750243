"""One real control plane for all tests of this folder; a cluster with Knative is played on it for each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.go_programs import BuildError
from tests.kube import audit, programs
from tests.kube.api_proxy import ApiProxy, proxying
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import controller_token, install
from tests.kube.knative_double import Knative, playing
from tests.kube.serving import Autoscaler, autoscaling
from tests.kube.stub_pods import StubPods, stub_pods


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the programs outside any test's time limit: the first time it takes minutes.

    What cannot be built fails the tests that need it, with the reason.
    """
    marked = any(item.get_closest_marker("kube") for item in session.items)
    if session.config.option.collectonly or not marked:
        return
    names = programs.missing()
    if names:
        print(f"building {', '.join(names)}; the first time this takes minutes", flush=True)
    with contextlib.suppress(BuildError):
        for name in names:
            programs.program(name)
        for module in ("serving", "networking"):
            programs.knative(module)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A kube-apiserver with Knative's kinds and our rights."""
    control_plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))

    async def prepare() -> None:
        async with control_plane.api() as api:
            await install(api)

    try:
        control_plane.start()
        asyncio.run(prepare())
        yield control_plane
    finally:
        control_plane.stop()


@pytest.fixture(scope="session")
def stubs() -> Iterator[StubPods]:
    """Queue-proxies for the pods of all tests."""
    with stub_pods() as stubs:
        yield stubs


@pytest.fixture
async def knative(control_plane: ControlPlane, stubs: StubPods) -> AsyncIterator[Knative]:
    """The rest of a cluster, played; everything that the test made is deleted afterwards."""
    async with playing(control_plane, stubs) as knative:
        yield knative


@pytest.fixture
async def token(control_plane: ControlPlane) -> str:
    """A token of the ServiceAccount that the autoscaler runs as."""
    async with control_plane.api() as api:
        return await controller_token(api)


@pytest.fixture
def kubeconfig(control_plane: ControlPlane, token: str, tmp_path: Path) -> Path:
    """A kubeconfig with the rights of the autoscaler."""
    return control_plane.kubeconfig(tmp_path / "kubeconfig", token)


@pytest.fixture
async def proxy(control_plane: ControlPlane, token: str) -> AsyncIterator[ApiProxy]:
    """A way to the API server that a test can spoil."""
    async with proxying(control_plane, token) as proxy:
        yield proxy


@pytest.fixture
async def autoscaler(
    knative: Knative, kubeconfig: Path, tmp_path: Path, stubs: StubPods
) -> AsyncIterator[Autoscaler]:
    """Starts `kpa serve`; whatever runs is ended, before the cluster goes."""
    async with autoscaling(kubeconfig, tmp_path, stubs) as autoscaler:
        yield autoscaler


@pytest.fixture
def requests(control_plane: ControlPlane) -> audit.Requests:
    """What the autoscaler asked of the API server since the test began."""
    before = control_plane.audit_file.stat().st_size
    return lambda: audit.read_log(control_plane.audit_file, before)
