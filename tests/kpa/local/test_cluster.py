"""Services on this machine: scaling, routes, rollout, live changes, the end of everything.

Covered: the promises of `kpa.controller.cluster.Cluster`, the routing table and its versions, order of
scale-down, moves between revisions, removal. Left out: one replica, who decides how many
replicas run.
"""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from config.autoscaler import AutoscalerConfig
from kpa.controller.revisions import Pod, Revision
from kpa.dataplane.routes import Route
from kpa.local.cluster import LocalCluster
from kpa.local.manifests.spec import ServiceSpec
from kpa.local.processes.replica import Replica
from kpa.local.workload import victims
from metrics.key import Key
from tests.kpa.local.helpers import STUB, Hold, get, marked, scale, service, until

pytestmark = pytest.mark.process

HELLO = Key("default", "hello-00001")
SECOND = Key("default", "hello-00002")
SCALE = "autoscaling.knative.dev/"


class Seen:
    """Latest state of each revision, as a listener is told."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.revisions: dict[Key, Revision] = {}
        self.gone: list[Key] = []
        cluster.watch(self._hear)

    def _hear(self, key: Key, revision: Revision | None) -> None:
        if revision is None:
            del self.revisions[key]
            self.gone.append(key)
        else:
            self.revisions[key] = revision

    def ready(self, key: Key = HELLO) -> list[Pod]:
        """Ready pods of a revision."""
        return list(self.revisions[key].ready_pods) if key in self.revisions else []


@pytest.fixture
def seen(cluster: LocalCluster) -> Seen:
    return Seen(cluster)


def route(cluster: LocalCluster, host: str = "hello.localhost") -> Route:
    found = cluster.routes().find(host)
    assert found is not None
    return found


def changed(spec: ServiceSpec, grace: float) -> ServiceSpec:
    """The service with another template."""
    return replace(spec, template=replace(spec.template, grace=grace))


async def test_a_service_starts_one_replica_and_its_host_leads_there(
    cluster: LocalCluster, seen: Seen
) -> None:
    cluster.apply([service(concurrency=10)])
    assert route(cluster).backends == ()
    await until(lambda: route(cluster).backends, "a backend")
    (backend,) = route(cluster).backends
    (pod,) = seen.ready()
    assert (backend.name, backend.address) == (pod.name, f"{pod.host}:{pod.serving_port}")
    assert await asyncio.to_thread(get, backend.address) == (200, pod.name)
    assert route(cluster).hosts == ("hello.localhost", "hello.default.localhost")
    revision = seen.revisions[HELLO]
    assert (revision.service, revision.configuration, revision.replicas) == ("hello", "hello", 1)
    assert revision.container_concurrency == route(cluster).container_concurrency == 10


@pytest.mark.parametrize(
    ("annotations", "replicas"),
    [({}, 1), ({"initial-scale": "2"}, 2), ({"initial-scale": "0"}, 0), ({"min-scale": "2"}, 2)],
    ids=["default", "initial", "zero", "minimum"],
)
async def test_a_service_starts_at_its_initial_scale(
    cluster: LocalCluster, seen: Seen, annotations: dict[str, str], replicas: int
) -> None:
    cluster.apply([service(annotations={SCALE + name: value for name, value in annotations.items()})])
    assert seen.revisions[HELLO].replicas == replicas
    assert len(seen.revisions[HELLO].pods) == replicas


async def test_a_service_starts_at_the_initial_scale_of_the_settings(
    cluster: LocalCluster, seen: Seen
) -> None:
    cluster.config = AutoscalerConfig.from_config_map({"initial-scale": "2"})
    cluster.apply([service()])
    assert seen.revisions[HELLO].replicas == 2


async def test_scaling_starts_and_stops_replicas_without_waiting(cluster: LocalCluster, seen: Seen) -> None:
    cluster.apply([service()])
    scale(cluster, HELLO, 3)
    await until(lambda: len(route(cluster).backends) == 3, "three backends")
    scale(cluster, HELLO, 0)
    await until(lambda: seen.revisions[HELLO].pods == (), "no pods")
    assert seen.revisions[HELLO].replicas == 0
    scale(cluster, HELLO, 1)
    await until(lambda: len(route(cluster).backends) == 1, "a backend after zero")


class Fake(NamedTuple):
    """What `victims` looks at."""

    name: str
    ready: bool
    started_at: float


@pytest.mark.parametrize(
    ("count", "chosen"), [(-1, ""), (0, ""), (1, "d"), (2, "db"), (3, "dbc"), (4, "dbca"), (9, "dbca")]
)
def test_replicas_that_are_not_ready_stop_first_then_the_youngest(count: int, chosen: str) -> None:
    fakes = [Fake("a", True, 1.0), Fake("b", False, 2.0), Fake("c", True, 3.0), Fake("d", False, 4.0)]
    found = victims(cast("list[Replica]", fakes), count)
    assert "".join(replica.name for replica in found) == chosen


async def test_a_terminating_replica_leaves_the_routes_at_once_and_finishes_its_request(
    cluster: LocalCluster, seen: Seen, tmp_path: Path
) -> None:
    cluster.apply([service()])
    await until(lambda: route(cluster).backends, "a backend")
    (backend,) = route(cluster).backends
    hold = Hold(tmp_path)
    request = asyncio.create_task(asyncio.to_thread(get, backend.address, hold.path))
    await until(lambda: hold.arrived, "a request in flight")
    scale(cluster, HELLO, 0)
    await until(lambda: not route(cluster).backends, "out of the routes")
    assert not request.done()
    (pod,) = seen.revisions[HELLO].pods
    assert pod.terminating
    hold.let_go()
    assert (await request)[0] == 200


async def test_an_outcome_for_a_revision_that_is_gone_does_nothing(cluster: LocalCluster, seen: Seen) -> None:
    scale(cluster, HELLO, 1)
    assert seen.revisions == {}


async def test_a_late_listener_is_told_what_exists(cluster: LocalCluster) -> None:
    cluster.apply([service()])
    assert list(Seen(cluster).revisions) == [HELLO]


async def test_waiting_for_routes_ends_when_they_change_and_not_before(cluster: LocalCluster) -> None:
    version = await cluster.wait_routes(-1)
    waiting = asyncio.create_task(cluster.wait_routes(version))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    cluster.apply([service()])
    assert await waiting == version + 1
    cluster.apply([service()])
    assert await cluster.wait_routes(version) == version + 1


async def test_changed_annotations_reach_the_live_revision(cluster: LocalCluster, seen: Seen) -> None:
    cluster.apply([service()])
    await until(lambda: len(seen.ready()) == 1, "ready")
    before = seen.ready()
    cluster.apply([service(annotations={SCALE + "window": "30s"})])
    assert seen.revisions[HELLO].annotations == {SCALE + "window": "30s"}
    assert seen.ready() == before
    assert list(seen.revisions) == [HELLO]


async def test_a_raised_minimum_starts_replicas_at_once(cluster: LocalCluster, seen: Seen) -> None:
    cluster.apply([service(annotations={SCALE + "initial-scale": "0"})])
    assert seen.revisions[HELLO].replicas == 0
    cluster.apply([service(annotations={SCALE + "initial-scale": "0", SCALE + "min-scale": "2"})])
    await until(lambda: len(seen.ready()) == 2, "two are ready")
    cluster.apply([service(annotations={SCALE + "min-scale": "1"})])
    assert seen.revisions[HELLO].replicas == 2  # fewer are the autoscaler's to ask for


async def test_a_changed_template_takes_over_once_it_is_ready(cluster: LocalCluster, seen: Seen) -> None:
    cluster.apply([service()])
    await until(lambda: len(seen.ready()) == 1, "the first is ready")
    cluster.apply([changed(service(), 9)])
    assert route(cluster).name == "hello-00001"
    await until(lambda: route(cluster).name == "hello-00002", "the route moves")
    assert len(route(cluster).backends) == 1
    assert not seen.revisions[HELLO].reachable
    assert seen.revisions[SECOND].reachable
    await asyncio.sleep(0.05)
    assert len(seen.ready(HELLO)) == 1  # the autoscaler takes it to zero
    scale(cluster, HELLO, 0)
    await until(lambda: seen.gone == [HELLO], "the old one is dropped")
    assert cluster.routes().find("hello-00001.default.svc.x") is None


async def test_a_template_that_never_gets_ready_leaves_the_old_one_serving(
    cluster: LocalCluster, seen: Seen
) -> None:
    cluster.apply([service()])
    await until(lambda: len(seen.ready()) == 1, "the first is ready")
    cluster.apply([service(argv=("sh", "-c", "exit 1"))])
    await asyncio.sleep(0.5)
    assert route(cluster).name == "hello-00001"
    assert len(route(cluster).backends) == 1
    cluster.apply([changed(service(), 9)])
    await until(lambda: route(cluster).name == "hello-00003", "the third takes over")
    await until(lambda: SECOND in seen.gone, "the bad one is dropped by itself")


async def test_a_service_at_zero_rolls_out_with_one_replica(cluster: LocalCluster, seen: Seen) -> None:
    spec = service(annotations={SCALE + "initial-scale": "0"})
    cluster.apply([spec])
    cluster.apply([changed(spec, 9)])
    await until(lambda: route(cluster).name == "hello-00002", "the route moves")
    assert len(route(cluster).backends) == 1
    await until(lambda: seen.gone == [HELLO], "the empty one is dropped")


async def test_a_rollout_waits_for_all_first_replicas(cluster: LocalCluster, seen: Seen) -> None:
    spec = service(annotations={SCALE + "min-scale": "2"})
    cluster.apply([spec])
    await until(lambda: len(seen.ready()) == 2, "ready")
    cluster.apply([changed(spec, 9)])
    await until(lambda: route(cluster).name == "hello-00002", "the route moves")
    assert len(seen.ready(SECOND)) == 2


async def test_a_removed_service_is_gone_at_once_and_its_requests_finish(
    cluster: LocalCluster, seen: Seen, mark: str, tmp_path: Path
) -> None:
    cluster.apply([service(), service("other")])
    await until(lambda: route(cluster).backends, "a backend")
    hold = Hold(tmp_path)
    request = asyncio.create_task(asyncio.to_thread(get, route(cluster).backends[0].address, hold.path))
    await until(lambda: hold.arrived, "a request in flight")
    cluster.apply([service("other")])
    assert seen.gone == [HELLO]
    assert cluster.routes().find("hello.localhost") is None
    assert cluster.routes().find("other.localhost") is not None
    hold.let_go()
    assert (await request)[0] == 200
    await until(lambda: len(marked(mark)) == 2, "only the other's processes are left")


async def test_a_service_that_comes_back_gets_a_new_revision(cluster: LocalCluster, seen: Seen) -> None:
    cluster.apply([service()])
    cluster.apply([])
    cluster.apply([service()])
    assert list(seen.revisions) == [SECOND]


async def test_one_name_in_two_namespaces_has_hosts_of_its_own(cluster: LocalCluster) -> None:
    shop = replace(service(annotations={SCALE + "initial-scale": "0"}), namespace="shop")
    cluster.apply([shop, replace(shop, namespace="default")])
    table = cluster.routes()
    assert {host: found.namespace for host, found in table.by_host.items()} == {
        "hello.localhost": "default",
        "hello.default.localhost": "default",
        "hello.shop.localhost": "shop",
    }


async def test_an_inference_service_answers_at_its_name_and_its_predictors(cluster: LocalCluster) -> None:
    spec = replace(service(annotations={SCALE + "initial-scale": "0"}), configuration="hello-predictor")
    cluster.apply([spec])
    assert route(cluster).name == "hello-predictor-00001"
    assert set(route(cluster).hosts) == {
        f"{name}{namespace}.localhost"
        for name in ("hello", "hello-predictor")
        for namespace in ("", ".default")
    }


@pytest.mark.parametrize("what", ["busy", "hanging", "starting", "crashing"])
async def test_closing_ends_everything_within_its_patience(what: str, mark: str, tmp_path: Path) -> None:
    cluster = LocalCluster(output=lambda _pod, _line: None, queue_proxy=STUB)
    cluster.apply([service(argv=("sh", "-c", "exit 1")) if what == "crashing" else service()])
    if what in ("busy", "hanging"):
        await until(lambda: route(cluster).backends, "a backend")
    requests = []
    if what == "busy":
        address, hold = route(cluster).backends[0].address, Hold(tmp_path)
        requests = [asyncio.create_task(asyncio.to_thread(get, address, hold.path))]
        await until(lambda: hold.arrived, "a request in flight")
    if what == "hanging":
        for pid in marked(mark):
            os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(cluster.close(patience=0.5), 20)
    assert marked(mark) == []
    await asyncio.gather(*requests, return_exceptions=True)
