"""Stats pass between our replicas and Knative's, as while one Deployment replaces the other.

Knative's side is its stat server and its forwarder (`statpeer`), at port 8080 of an address of its own, which
nothing can change. Covered: both directions, a bucket that moves while stats wait, the frames themselves, the
way by the Service of a bucket. Left out: order, which Knative does not keep where it has to try again.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kpa.kube.election.identity import PORT
from kpa.kube.forwarding.forwarder import Forwarder
from metrics.stat import Stat, StatMessage, encode_messages
from metrics.stat_server import StatServer
from tests.peer.programs import program

pytestmark = pytest.mark.peer

BUCKET = "autoscaler-bucket-00-of-01"
NAMESPACE = "knative-serving"
DEADLINE = 30.0
NETWORK = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"  # a test run of its own has another
THEIRS, OURS, NOBODYS = (f"{NETWORK}.{number}" for number in (31, 32, 33))


def stats(count: int) -> list[StatMessage]:
    """Make stats with all their fields, told apart by their counts of requests."""
    now = int(time.time())
    return [
        StatMessage("default", f"hello-{n % 3}", Stat(f"activator-{n % 7}", 0.1 + n, 0.1, n, n / 3, 3.5, now))
        for n in range(1, count + 1)
    ]


class KnativeReplica:
    """Half a Knative autoscaler: what it decides on, and what it thinks of the Lease."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.identity = f"autoscaler-7c9b5_{THEIRS}"

    async def set_holder(self, identity: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"bucket": BUCKET, "holder": identity}).encode() + b"\n")
        await self.process.stdin.drain()

    async def accepted(self, count: int) -> list[StatMessage]:
        """Wait for so many stats that it decides on."""
        assert self.process.stdout is not None
        found: list[StatMessage] = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < count:
                line = await self.process.stdout.readline()
                assert line, "statpeer ended"
                message: dict[str, Any] = json.loads(line)
                found.append(StatMessage(message["namespace"], message["name"], Stat(**message["stat"])))
        return found


class OurReplica:
    """Our stat server and forwarder, what was received and in which frames."""

    identity = f"autoscaler-5f6d7_{OURS}"

    def __init__(self) -> None:
        self.received: list[StatMessage] = []
        self.server = StatServer(self._take)
        self.forwarder = Forwarder(self.identity, "cluster.local", NAMESPACE)
        self._came = asyncio.Event()

    def _take(self, messages: list[StatMessage]) -> None:
        self.received += messages
        self._came.set()

    async def has(self, count: int) -> list[StatMessage]:
        async with asyncio.timeout(DEADLINE):
            while len(self.received) < count:
                self._came.clear()
                await self._came.wait()
        return self.received


@pytest.fixture
async def theirs() -> AsyncIterator[KnativeReplica]:
    binary = await asyncio.to_thread(program, "statpeer")
    process = await asyncio.create_subprocess_exec(
        binary,
        f"{THEIRS}:{PORT}",
        "1",
        env={"SYSTEM_NAMESPACE": NAMESPACE, "POD_IP": THEIRS},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield KnativeReplica(process)
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.fixture
async def ours() -> AsyncIterator[OurReplica]:
    ours = OurReplica()
    await ours.server.start(OURS, PORT)
    yield ours
    await ours.forwarder.close()
    await ours.server.close()


async def report(messages: list[StatMessage], ip: str) -> None:
    """Send stats to a replica, as an activator that knows no better; a replica may still be starting."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE):
        while True:
            try:
                socket = await session.ws_connect(f"ws://{ip}:{PORT}")
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)
        await socket.send_bytes(encode_messages(messages))
        await socket.close()


async def test_knative_decides_on_what_we_send_it(ours: OurReplica, theirs: KnativeReplica) -> None:
    sent = stats(2000)
    await theirs.set_holder(theirs.identity)
    ours.forwarder.set_holder(BUCKET, theirs.identity)
    for start in range(0, 2000, 500):
        ours.forwarder.forward(BUCKET, sent[start : start + 500])

    assert sorted(await theirs.accepted(2000)) == sorted(sent)


async def test_we_receive_what_knative_sends_us(ours: OurReplica, theirs: KnativeReplica) -> None:
    sent = stats(300)
    await theirs.set_holder(ours.identity)
    await report(sent, THEIRS)

    assert sorted(await ours.has(300)) == sorted(sent)
    assert not ours.server.dropped


async def test_what_waits_at_both_arrives_after_the_bucket_moved_to_knative(
    ours: OurReplica, theirs: KnativeReplica
) -> None:
    at_ours, at_theirs = stats(20)[:10], stats(20)[10:]
    await report(at_theirs, THEIRS)
    ours.forwarder.forward(BUCKET, at_ours)

    await theirs.set_holder(theirs.identity)
    ours.forwarder.set_holder(BUCKET, theirs.identity)

    assert sorted(await theirs.accepted(20)) == sorted(at_ours + at_theirs)


async def test_knative_sends_on_what_we_sent_it_for_another(ours: OurReplica, theirs: KnativeReplica) -> None:
    sent = stats(5)
    await theirs.set_holder(ours.identity)
    ours.forwarder.set_holder(BUCKET, theirs.identity)  # our watch is late
    ours.forwarder.forward(BUCKET, sent)

    assert sorted(await ours.has(5)) == sorted(sent)


async def test_behind_a_mesh_knative_takes_stats_by_the_service_of_a_bucket_that_it_holds(
    ours: OurReplica, theirs: KnativeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = socket.getaddrinfo, asyncio.Event()
    loop = asyncio.get_running_loop()

    def resolved(_: str, *args: Any, **options: Any) -> Any:
        loop.call_soon_threadsafe(asked.set)
        return resolve(THEIRS, *args, **options)

    await theirs.set_holder(f"another_{NOBODYS}")
    await report([], THEIRS)  # it is there
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    ours.forwarder.set_holder(BUCKET, f"in-a-mesh_{NOBODYS}")
    sent = stats(5)
    ours.forwarder.forward(BUCKET, sent)
    async with asyncio.timeout(DEADLINE):
        await asked.wait()
    await asyncio.sleep(0.3)
    assert ours.forwarder.outcomes["sent"] == 0  # it answers, but does not hold the bucket

    await theirs.set_holder(theirs.identity)
    assert sorted(await theirs.accepted(5)) == sorted(sent)


async def test_a_stat_is_the_same_frame_from_both(theirs: KnativeReplica) -> None:
    frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            frames.put_nowait(message.data)
        return response

    app = web.Application()
    app.router.add_get("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, NOBODYS, PORT).start()
    ours = Forwarder(OurReplica.identity, "cluster.local", NAMESPACE)
    try:
        await theirs.set_holder(f"receiver_{NOBODYS}")
        ours.set_holder(BUCKET, f"receiver_{NOBODYS}")
        full = stats(1)
        bare = [StatMessage("default", "hello", Stat(timestamp=int(time.time())))]
        for sent in (full, bare):
            ours.forward(BUCKET, sent)
            async with asyncio.timeout(DEADLINE):
                frame = await frames.get()
                await report(sent, THEIRS)
                assert await frames.get() == frame
    finally:
        await ours.close()
        await runner.cleanup()
