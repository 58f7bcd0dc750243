"""Reports of activators that are malformed, late, out of order, of unknown revisions, or far too many.

Frames go through a real websocket into a reconciler whose time the tests move. Left out: what the server
makes of single frames (tests of the stat server), the forwarding between replicas (tests of the forwarder).
"""

import random
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import aiohttp
import pytest

from metrics.key import Key
from metrics.stat import Stat, StatMessage, encode_messages
from metrics.stat_server import StatServer
from tests.kpa.controller.test_reconciler import KEY, OTHER, World

LOADS = [5.0] * 6 + [42.0] * 8 + [18.0] * 10 + [0.0] * 6


class Service:
    """A stat server in front of a reconciler with two revisions."""

    def __init__(self) -> None:
        self.world = World()
        self.server = StatServer(self.world.reconciler.on_stats, clock=lambda: self.world.now)
        self.decisions: list[tuple[int, int]] = []

    async def start(self) -> None:
        self.port = await self.server.start("127.0.0.1", 0)
        for key in (KEY, OTHER):
            self.world.revision(key, ready=1)
        await self.world.step()

    async def close(self) -> None:
        await self.server.close()
        await self.world.reconciler.collector.close()

    async def take(self, frames: Iterable[bytes | str]) -> None:
        """Send frames over one connection, and wait until all were read."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{self.port}/", max_msg_size=0) as socket,
        ):
            for frame in frames:
                await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            await socket.close()

    async def second(self, frames: Iterable[bytes | str]) -> None:
        """Let a second pass with its frames, and take down what is decided."""
        self.world.now += 1.0
        await self.take(frames)
        await self.world.step()
        self.decisions.append((self.world.status(KEY).recommended, self.world.status(OTHER).recommended))

    @property
    def next(self) -> int:
        """The second that comes next, in unix seconds."""
        return int(self.world.now) + 1

    def frame(self, load: float, *keys: Key, later: int = 0) -> bytes:
        """Make a frame of the next second about revisions, all of them by default."""
        stat = Stat("activator", load, request_count=load, timestamp=self.next + later)
        return encode_messages(StatMessage(*key, stat) for key in keys or (KEY, OTHER))

    @property
    def averages(self) -> list[float | None]:
        """What the windows know."""
        statuses = [self.world.status(key) for key in (KEY, OTHER)]
        return [value for status in statuses for value in (status.stable, status.panic)]


@pytest.fixture
async def services() -> AsyncIterator[tuple[Service, Service]]:
    """Give two that are alike: one is told the truth, the other one has to find it."""
    made = Service(), Service()
    for each in made:
        await each.start()
    yield made
    for each in made:
        await each.close()


def nonsense(service: Service, dice: random.Random) -> list[bytes | str]:
    """Make frames of which none may count."""
    stat = Stat("activator", 99.0, timestamp=service.next)
    spoiled = [
        stat._replace(average_concurrent_requests=float("nan")),
        stat._replace(average_concurrent_requests=float("inf")),
        stat._replace(average_concurrent_requests=-3.0),
        stat._replace(request_count=1e300),
        stat._replace(timestamp=service.next - 300),  # its clock is minutes behind
    ]
    unknown = [("default", f"nobody-{dice.random()}"), ("", ""), ("default", "hello")]
    return [
        dice.randbytes(200) + b"\xff",
        service.frame(77.0)[:-3],
        "text",
        "",
        b"\x0a\xff\xff\xff\xff\x0f",  # a message that says that it is longer than it is
        encode_messages([]),
        *(encode_messages([StatMessage(*KEY, each)]) for each in spoiled),
        service.frame(88.0, *unknown),
    ]


async def test_nonsense_between_reports_changes_no_decision(services: tuple[Service, Service]) -> None:
    plain, spoiled = services
    dice = random.Random(7)
    for load in LOADS:
        await plain.second([plain.frame(load)])
        frames = [*nonsense(spoiled, dice), spoiled.frame(load)]
        dice.shuffle(frames)
        await spoiled.second(frames)
    assert spoiled.decisions == plain.decisions
    assert {(1, 1), (5, 5)} <= set(plain.decisions), "something was decided"
    assert set(spoiled.server.dropped) == {"text", "undecodable", "implausible"}


async def test_a_clock_that_is_minutes_ahead_stops_no_window(services: tuple[Service, Service]) -> None:
    """Knative's window stands still until the time has come that such a timestamp names."""
    plain, spoiled = services
    for load in LOADS:
        await plain.second([plain.frame(load)])
        await spoiled.second([spoiled.frame(load / 2, later=600), spoiled.frame(load / 2)])
    assert spoiled.decisions == plain.decisions


async def test_reports_that_come_late_and_out_of_order_count_in_their_own_second(
    services: tuple[Service, Service],
) -> None:
    plain, spoiled = services
    late: list[bytes | str] = []
    for number, load in enumerate(LOADS, start=1):
        await plain.second([plain.frame(load)])
        late.insert(0, spoiled.frame(load))
        now = number % 4 == 0  # a tick
        await spoiled.second(late if now else [])
        if now:
            late = []
            assert spoiled.averages == plain.averages


async def test_ten_thousand_frames_a_second_about_nobody_cost_no_memory_and_no_report(
    services: tuple[Service, Service],
) -> None:
    plain, flooded = services
    for load in LOADS[:8]:
        await plain.second([plain.frame(load)])
        await flooded.second([flooded.frame(load)])
    tracemalloc.start()
    try:
        for number, load in enumerate(LOADS[8:10]):
            await plain.second([plain.frame(load)])
            before, _ = tracemalloc.get_traced_memory()
            names = (("default", f"nobody-{number}-{index}") for index in range(10_000))
            flood = (flooded.frame(9.0, name) for name in names)
            await flooded.second(each for part in (flood, [flooded.frame(load)]) for each in part)
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert flooded.decisions == plain.decisions
    assert sum(unknown for _, unknown in flooded.world.stats) == 20_000
    assert len(flooded.world.reconciler.engine) == 2
    assert after - before < 2**20
    assert most < 2**25, "no queue grows"
