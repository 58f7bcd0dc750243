"""A standby requests snapshots four times in the duration of a lease, as config-leader-election says.

Left out: what is handed over (tests/kpa/kube/handover), replicas as processes (tests/kube/test_handover.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web

from kpa.kube.election.buckets import bucket_names
from kpa.kube.election.lease import Timing, claimed
from kpa.kube.handover.pages import PATH
from kpa.kube.objects.kinds import CONFIGMAPS, LEASES
from kpa.serve.app import ServeApp
from kpa.serve.options import ServeOptions
from tests.kpa.kube.memory_client import MemoryClient
from tests.waiting import until

pytestmark = pytest.mark.virtual_time

SYSTEM = "knative-serving"
HOLDER, STANDBY = "127.0.0.1", "127.0.0.2"


class Holder:
    """A replica that leads the one bucket, and when it was asked for what it knows."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []
        self.port = 0

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked_at.append(asyncio.get_running_loop().time())
        return web.Response(status=404)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Holder"]:
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOLDER, 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def pauses(self, count: int) -> list[float]:
        """Wait for so many requests more, and return the seconds between them."""
        begin = len(self.asked_at)
        await until(lambda: len(self.asked_at) > begin + count, "requests for snapshots", 600.0, every=0.5)
        times = self.asked_at[begin:]
        return [after - before for before, after in pairwise(times)]


@asynccontextmanager
async def standby(client: MemoryClient, port: int) -> AsyncIterator[None]:
    options = ServeOptions(
        pod_name="autoscaler-2",
        pod_ip=STANDBY,
        namespace=SYSTEM,
        domain="cluster.local",
        host=STANDBY,
        stat_port=port,
        telemetry_port=0,
        profiling_port=0,
    )
    task = asyncio.create_task(ServeApp(options, client).run())  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put_leader_election(client: MemoryClient, lease_duration: str) -> None:
    data = {"lease-duration": lease_duration, "renew-deadline": "4s", "retry-period": "2s"}
    metadata = {"name": "config-leader-election", "namespace": SYSTEM}
    client.put(CONFIGMAPS, {"metadata": metadata, "spec": None, "data": data})


def put_lease(client: MemoryClient) -> None:
    (bucket,) = bucket_names(1)
    lease = claimed(None, bucket, f"autoscaler-1_{HOLDER}", Timing())
    client.put(LEASES, {**lease, "metadata": {**lease["metadata"], "namespace": SYSTEM}})


@pytest.mark.parametrize(("lease_duration", "every"), [("60s", 15.0), ("40s", 10.0), ("8s", 5.0)])
async def test_a_standby_asks_four_times_in_a_lease(lease_duration: str, every: float) -> None:
    client = MemoryClient()
    put_leader_election(client, lease_duration)
    put_lease(client)
    async with Holder().serving() as holder, standby(client, holder.port):
        assert await holder.pauses(3) == [pytest.approx(every, rel=0.15)] * 3


async def test_the_pace_follows_a_change_but_leases_stay(caplog: pytest.LogCaptureFixture) -> None:
    client = MemoryClient()
    put_leader_election(client, "60s")
    put_lease(client)
    async with Holder().serving() as holder, standby(client, holder.port):
        assert await holder.pauses(2) == [pytest.approx(15.0, rel=0.15)] * 2
        put_leader_election(client, "20s")
        await holder.pauses(1)  # a pause that had begun ends at the old pace
        assert await holder.pauses(3) == [pytest.approx(5.0, rel=0.15)] * 3
    restart = "ConfigMap config-leader-election: buckets and leases change with the next restart"
    assert caplog.messages.count(restart) == 1
