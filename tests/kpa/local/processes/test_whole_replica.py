"""Replicas with the real queue-proxy. Left out: what the queue-proxy does with requests."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator

import pytest

from kpa.local.cluster import LocalCluster
from kpa.local.manifests.spec import Probe
from metrics.key import Key
from metrics.stat import Stat
from tests.kpa.local.helpers import get, scale, service, until

pytestmark = pytest.mark.process

HELLO = Key("default", "hello-00001")


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    lines: list[str] = []
    made = LocalCluster(output=lambda _pod, line: lines.append(line))
    yield made
    await made.close()
    assert [line for line in lines if line.startswith("queue-proxy: Traceback")] == []


def addresses(cluster: LocalCluster) -> list[str]:
    """Where the service's requests may go now."""
    route = cluster.routes().find("hello.localhost")
    return [backend.address for backend in route.backends] if route else []


def read(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        return bytes(response.read())


@pytest.mark.parametrize(
    "probe",
    [Probe(), Probe(handler={"httpGet": {"path": "/ready"}}, period=1, timeout=5)],
    ids=["tcp", "http"],
)
async def test_the_queue_proxy_passes_requests_on_and_reports_them(
    cluster: LocalCluster, probe: Probe
) -> None:
    told = []
    cluster.watch(lambda _key, revision: told.append(revision))
    cluster.apply([service(concurrency=1, probe=probe)])
    await until(lambda: addresses(cluster), "a backend")
    (pod,) = told[-1].ready_pods if told[-1] else ()
    assert await asyncio.to_thread(get, addresses(cluster)[0]) == (200, pod.name)
    body = await asyncio.to_thread(read, f"http://{pod.host}:{pod.metrics_port}/metrics")
    assert Stat.decode(body).pod_name == pod.name


async def test_no_request_is_lost_while_replicas_come_and_go(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpa.local.processes.environment.DRAIN_QUIET_SECONDS", 4)  # this client may be slow
    cluster.apply([service(concurrency=10)])
    await until(lambda: addresses(cluster), "a backend")
    statuses: list[int] = []
    loading = True

    async def load(worker: int) -> None:
        while loading:
            found = addresses(cluster)
            address = found[worker % len(found)]
            statuses.append((await asyncio.to_thread(get, address, "/?sleep=0.05"))[0])

    workers = [asyncio.create_task(load(number)) for number in range(4)]
    for replicas in (3, 1, 2, 1):
        scale(cluster, HELLO, replicas)
        await until(lambda replicas=replicas: len(addresses(cluster)) == replicas, f"{replicas} backends")
        await asyncio.sleep(0.2)
    loading = False
    await asyncio.gather(*workers)
    assert set(statuses) == {200}
