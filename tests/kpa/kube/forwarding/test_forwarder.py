"""Stats between replicas, over real websockets to stat servers at addresses of their own (127.0.0.0/8).

Covered: order, holders that come late, change, die, hang or return, buckets that do not wait for each other,
bounds, the way by the bucket's Service, our own buckets, the end. Left out: Knative's programs at the other
end (tests/peer).
"""

import asyncio
import itertools
import logging
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kpa.kube.forwarding import forwarder as forwarder_module
from kpa.kube.forwarding import outbox as outbox_module
from kpa.kube.forwarding import peer as peer_module
from kpa.kube.forwarding.forwarder import Forwarder
from kpa.kube.forwarding.outbox import Outbox
from kpa.kube.forwarding.peer import Peer
from metrics.stat import Stat, StatMessage, decode_messages, encode_messages
from metrics.stat_server import StatServer

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("virtual_wall_clock")]

OURS = "kpa-0_127.0.0.9"
FIRST, SECOND = "autoscaler-bucket-00-of-02", "autoscaler-bucket-01-of-02"
DEADLINE = 40.0


def wall_clock() -> float:
    return time.time()  # looked up at each call, as it follows the event loop


class Replica:
    """Another autoscaler's stat server, and what it was sent."""

    def __init__(self, name: str, ip: str) -> None:
        self.identity, self.ip = f"{name}_{ip}", ip
        self.received: list[StatMessage] = []
        self.frames = 0
        self.on_stats: Callable[[list[StatMessage]], None] = self.received.extend
        self.server: StatServer | None = None

    def take(self, messages: list[StatMessage]) -> None:
        self.frames += 1
        self.on_stats(messages)

    async def start(self, port: int = 0) -> int:
        self.server = StatServer(self.take)
        return await self.server.start(self.ip, port)

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.close()

    async def has(self, count: int) -> None:
        """Wait until so many stats came."""
        await until(lambda: len(self.received) == count)

    @property
    def numbers(self) -> list[float]:
        return [message.stat.request_count for message in self.received]


class Rig:
    """A forwarder, and replicas that are all at one port."""

    def __init__(self, forwarder: Forwarder, port: int, replicas: list[Replica], open_: set[Peer]) -> None:
        self.forwarder, self.port, self.replicas, self.open = forwarder, port, replicas, open_
        self._numbers = itertools.count(1)

    def stats(self, count: int, age: float = 0.0, reporter: str = "activator") -> list[StatMessage]:
        """Make stats that are told apart by their counts of requests."""
        now = int(time.time() - age)
        return [
            StatMessage("default", "hello", Stat(reporter, 1.0, 0.0, float(number), 0.0, 0.0, now))
            for number in itertools.islice(self._numbers, count)
        ]

    async def connected(self, number: int = 1) -> None:
        await until(lambda: len(self.open) == number)


class Stuck:
    """A process at an address that takes connections, and after the handshake, if any, never reads again."""

    def __init__(self, ip: str, *, shakes_hands: bool) -> None:
        self.identity, self.ip = f"stuck_{ip}", ip
        self.connections = 0
        self._transports: list[asyncio.Transport] = []
        self._shakes_hands = shakes_hands

    async def start(self, port: int) -> None:
        if self._shakes_hands:
            app = web.Application()
            app.router.add_get("/", self._shake)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, self.ip, port).start()
        else:
            self._socket = socket.create_server((self.ip, port))

    async def stop(self) -> None:
        if self._shakes_hands:
            for transport in self._transports:
                transport.abort()
            await self._runner.cleanup()
        else:
            self._socket.close()

    async def _shake(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        self.connections += 1
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.pause_reading()
        self._transports.append(request.transport)
        await asyncio.sleep(3600)
        return response


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.sleep(0.005)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> set[Peer]:
    """Peers to which a connection is up."""
    serve, found = Peer._serve, set[Peer]()

    async def noted(self: Peer, websocket: aiohttp.ClientWebSocketResponse) -> None:
        found.add(self)
        try:
            await serve(self, websocket)
        finally:
            found.discard(self)

    monkeypatch.setattr(Peer, "_serve", noted)
    return found


@pytest.fixture
async def rig(connections: set[Peer]) -> AsyncIterator[Rig]:
    replicas = [Replica(f"autoscaler-{number}", f"127.0.0.{number}") for number in (11, 12)]
    port = await replicas[0].start()
    await replicas[1].start(port)
    forwarder = Forwarder(OURS, "cluster.local", "knative-serving", port=port, clock=wall_clock)
    yield Rig(forwarder, port, replicas, connections)
    await forwarder.close()
    for replica in replicas:
        await replica.stop()


async def test_stats_arrive_at_the_holder_in_order(rig: Rig) -> None:
    [holder, _] = rig.replicas
    stats = rig.stats(2500)
    rig.forwarder.set_holder(FIRST, holder.identity)

    for start in range(0, 2500, 100):
        rig.forwarder.forward(FIRST, stats[start : start + 100])
        await asyncio.sleep(0)
    await holder.has(2500)

    assert holder.received == stats
    assert rig.forwarder.outcomes == Counter(sent=2500)


async def test_what_waits_goes_out_in_few_frames_when_the_lease_appears(rig: Rig) -> None:
    [holder, _] = rig.replicas
    stats = rig.stats(200)
    for stat in stats:
        rig.forwarder.forward(FIRST, [stat])

    rig.forwarder.set_holder(FIRST, holder.identity)
    await holder.has(200)

    assert holder.received == stats
    assert holder.frames == 1


async def test_what_waits_for_a_dead_holder_goes_to_the_next_one(rig: Rig) -> None:
    [dead, heir] = rig.replicas
    rig.forwarder.set_holder(FIRST, dead.identity)
    await rig.connected()
    await dead.stop()
    await rig.connected(0)
    stats = rig.stats(3)
    rig.forwarder.forward(FIRST, stats)

    rig.forwarder.set_holder(FIRST, "")
    rig.forwarder.forward(FIRST, more := rig.stats(2))
    rig.forwarder.set_holder(FIRST, heir.identity)
    await heir.has(5)

    assert heir.received == stats + more
    assert dead.received == []


async def test_a_holder_that_restarts_gets_what_came_meanwhile(rig: Rig) -> None:
    [holder, _] = rig.replicas
    rig.forwarder.set_holder(FIRST, holder.identity)
    await rig.connected()
    await holder.stop()
    await rig.connected(0)
    stats = rig.stats(10)
    rig.forwarder.forward(FIRST, stats)

    await holder.start(rig.port)
    await holder.has(10)

    assert holder.received == stats


@pytest.mark.parametrize("shakes_hands", [False, True], ids=["no handshake", "never reads"])
async def test_a_stuck_holder_delays_its_own_bucket_only(rig: Rig, shakes_hands: bool) -> None:
    """Knative forwards all buckets by one queue of 1,000 and one worker.

    The worker dials a dead peer for up to a second, for each of its stats, and has one that failed wait for
    its next try in the queue: the second bucket would wait for minutes behind the first one.
    """
    [alive, _] = rig.replicas
    stuck = Stuck("127.0.0.13", shakes_hands=shakes_hands)
    await stuck.start(rig.port)
    rig.forwarder.set_holder(FIRST, stuck.identity)
    rig.forwarder.set_holder(SECOND, alive.identity)
    await rig.connected(1 + shakes_hands)

    for number in range(1, 31):
        rig.forwarder.forward(FIRST, rig.stats(500, reporter="a" * 500))
        rig.forwarder.forward(SECOND, rig.stats(10))
        await alive.has(10 * number)

    assert rig.forwarder.outcomes["sent"] < 15_300
    await stuck.stop()


async def test_a_holder_that_stopped_reading_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "_SILENCE", 0.5)
    stuck = Stuck("127.0.0.13", shakes_hands=True)
    await stuck.start(rig.port)
    rig.forwarder.set_holder(FIRST, stuck.identity)
    rig.forwarder.forward(FIRST, rig.stats(20_000, reporter="a" * 500))
    await until(lambda: stuck.connections == 2)
    assert rig.forwarder.outcomes["lost"] > 0
    await stuck.stop()


async def test_a_bucket_that_nobody_takes_keeps_the_newest(rig: Rig) -> None:
    """Knative drops nothing that it could not send, and tries each stat every 0.5 s: they only get more."""
    [holder, _] = rig.replicas
    stats = rig.stats(20_000, reporter="a" * 500)
    for start in range(0, 20_000, 1000):
        rig.forwarder.forward(FIRST, stats[start : start + 1000])

    rig.forwarder.set_holder(FIRST, holder.identity)
    await until(lambda: bool(holder.numbers) and holder.numbers[-1] == 20_000)

    dropped = rig.forwarder.outcomes["overflow"]
    assert 0 < dropped < 20_000
    assert holder.received == stats[dropped:]
    assert rig.forwarder.outcomes["sent"] == 20_000 - dropped


async def test_buckets_of_one_holder_share_a_connection_that_ends_with_the_last(rig: Rig) -> None:
    [holder, other] = rig.replicas
    rig.forwarder.set_holder(FIRST, holder.identity)
    rig.forwarder.set_holder(SECOND, holder.identity)
    rig.forwarder.forward(FIRST, rig.stats(1))
    rig.forwarder.forward(SECOND, rig.stats(1))
    await until(lambda: sorted(holder.numbers) == [1, 2])
    assert len(rig.open) == 1

    rig.forwarder.set_holder(FIRST, other.identity)
    await rig.connected(2)
    rig.forwarder.forward(FIRST, rig.stats(1))
    rig.forwarder.forward(SECOND, rig.stats(1))
    await until(lambda: other.numbers == [3] and holder.numbers[2:] == [4])

    rig.forwarder.set_holder(SECOND, other.identity)
    await rig.connected(1)
    rig.forwarder.set_holder(FIRST, "")
    rig.forwarder.set_holder(SECOND, "")
    await rig.connected(0)


async def test_a_renewed_lease_leaves_the_connection_alone(rig: Rig) -> None:
    [holder, _] = rig.replicas
    rig.forwarder.set_holder(FIRST, holder.identity)
    await rig.connected()

    for _ in range(3):
        rig.forwarder.set_holder(FIRST, holder.identity)
        await asyncio.sleep(0)
        assert len(rig.open) == 1


@pytest.mark.parametrize("identity", [OURS, "kpa-of-old_127.0.0.9"], ids=["ours", "our address"])
async def test_what_waits_for_our_own_bucket_is_taken_back(rig: Rig, identity: str) -> None:
    [other, _] = rig.replicas
    us = Replica("kpa-0", "127.0.0.9")
    await us.start(rig.port)
    stats = rig.stats(1200)
    rig.forwarder.forward(FIRST, stats[:700])
    rig.forwarder.set_holder(FIRST, identity)
    rig.forwarder.forward(FIRST, stats[700:])

    rig.forwarder.set_holder(SECOND, other.identity)
    rig.forwarder.forward(SECOND, rig.stats(1))
    await other.has(1)

    assert len(rig.open) == 1
    assert us.received == []
    assert rig.forwarder.reclaim(FIRST) == stats
    assert rig.forwarder.reclaim(FIRST) == []
    await us.stop()


@pytest.mark.parametrize("identity", ["somebody", "pod_uid-17", "_", "pod_127.0.0.300"])
async def test_a_holder_without_an_address_is_told_and_stats_wait(
    rig: Rig, identity: str, caplog: pytest.LogCaptureFixture
) -> None:
    [former, _] = rig.replicas
    rig.forwarder.set_holder(FIRST, former.identity)
    await rig.connected()

    rig.forwarder.set_holder(FIRST, identity)
    rig.forwarder.forward(FIRST, rig.stats(1))
    await rig.connected(0)

    assert former.received == []
    assert repr(identity) in caplog.text


async def test_stats_of_long_ago_are_not_sent(rig: Rig) -> None:
    [holder, _] = rig.replicas
    rig.forwarder.set_holder(FIRST, holder.identity)
    rig.forwarder.forward(FIRST, [*rig.stats(2, age=30), *rig.stats(1)])
    await until(lambda: holder.numbers == [3])
    assert rig.forwarder.outcomes == Counter(sent=1, stale=2)


async def test_stats_that_waited_too_long_are_not_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    [holder, _] = rig.replicas
    monkeypatch.setattr(outbox_module, "FRESH", 0.3)
    rig.forwarder.forward(FIRST, rig.stats(4))
    await asyncio.sleep(0.35)
    rig.forwarder.forward(FIRST, rig.stats(1))
    assert rig.forwarder.outcomes == Counter(stale=4)  # while nobody has the bucket

    await asyncio.sleep(0.35)
    rig.forwarder.set_holder(FIRST, holder.identity)
    await until(lambda: rig.forwarder.outcomes == Counter(stale=5))
    assert holder.received == []


async def test_replicas_that_take_each_other_for_the_holder_come_to_an_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder_module, "FRESH", 1.0)
    [other, _] = rig.replicas
    us = Replica("kpa", "127.0.0.14")
    await us.start(rig.port)
    theirs = Forwarder(other.identity, "cluster.local", "knative-serving", port=rig.port, clock=wall_clock)
    sides = [(other, theirs, us.identity), (us, rig.forwarder, other.identity)]
    try:
        for replica, forwarder, holder in sides:
            replica.on_stats = partial(forwarder.forward, FIRST)
            forwarder.set_holder(FIRST, holder)
        rig.forwarder.forward(FIRST, rig.stats(100))
        await until(lambda: rig.forwarder.outcomes["stale"] + theirs.outcomes["stale"] == 100)
        assert us.frames + other.frames <= 250  # they are over 2 s long
    finally:
        await theirs.close()
        await us.stop()


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
async def test_a_holder_whose_address_cannot_be_reached_is_found_by_the_service_of_its_bucket(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    [behind, _] = rig.replicas
    stuck = Stuck("127.0.0.15", shakes_hands=False)
    if hangs:
        await stuck.start(rig.port)
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def resolved(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve(behind.ip, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    rig.forwarder.set_holder(FIRST, stuck.identity)
    rig.forwarder.forward(FIRST, rig.stats(3))
    await until(lambda: behind.numbers == [1, 2, 3])
    assert set(asked) == {f"{FIRST}.knative-serving.svc.cluster.local"}
    if hangs:
        await stuck.stop()


async def test_an_unreachable_holder_is_told_once_with_both_addresses(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = 0

    def unknown(*_: Any, **__: Any) -> Any:
        nonlocal attempts
        attempts += 1
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    rig.forwarder.set_holder(FIRST, "autoscaler-7_100::7")  # discard prefix (RFC 6666)
    await until(lambda: attempts >= 3)

    [told] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"ws://[100::7]:{rig.port}: " in told
    assert f"ws://{FIRST}.knative-serving.svc.cluster.local:{rig.port}: " in told


@pytest.mark.parametrize("shakes_hands", [False, True], ids=["no handshake", "never reads"])
async def test_the_end_does_not_wait_for_a_stuck_holder(rig: Rig, shakes_hands: bool) -> None:
    stuck = Stuck("127.0.0.13", shakes_hands=shakes_hands)
    await stuck.start(rig.port)
    rig.forwarder.set_holder(FIRST, stuck.identity)
    rig.forwarder.forward(FIRST, rig.stats(10_000, reporter="a" * 500))
    if shakes_hands:
        await rig.connected()
    loop = asyncio.get_running_loop()
    before = loop.time()
    await rig.forwarder.close()
    assert loop.time() - before < 8.0, "a websocket waits 10 s for a farewell, unless told otherwise"
    assert not rig.open
    await stuck.stop()


async def test_an_outbox_gives_and_drops_the_oldest_in_chunks() -> None:
    outcomes: Counter[str] = Counter()
    now = int(time.time())
    stats = [
        StatMessage("default", "hello", Stat(request_count=float(number), timestamp=now))
        for number in range(1100)
    ]
    outbox = Outbox(outcomes, most=len(encode_messages(stats[500:])))
    outbox.put(stats)  # chunks of 500, 500 and 100
    assert outcomes == Counter(overflow=500)
    assert decode_messages(outbox.take(1).data) == stats[500:1000]
    assert outbox.take() == (100, encode_messages(stats[1000:]))
    assert outbox.take() == (0, b"")
