"""Our stat server takes what Knative's activator sends: its frames, its connection, its reporter's habits."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from metrics.stat import Stat, StatMessage
from metrics.stat_server import StatServer
from tests.peer.programs import program

pytestmark = pytest.mark.peer

DEADLINE = 30.0
KEY = ("default", "hello-00001")
NOW = 1_800_000_000.5
GO_NAMES = (
    "pod_name",
    "average_concurrent_requests",
    "average_proxied_concurrent_requests",
    "request_count",
    "proxied_request_count",
    "process_uptime",
    "timestamp",
)

PLAIN = Stat("activator-1", 1.0, 0.0, 1.0, 0.0, 0.0, 1_800_000_001)
ODD = Stat("", 0.1 + 0.2, 1e-300, 2.0**49 + 0.125, 1e15, 5e-324, 1_799_999_000)
LONG = Stat("activator-é-" + "x" * 300, 123.456, 23.4, 99.0, 9.0, 3600.25, 1)
UNSTAMPED = PLAIN._replace(timestamp=0)


class Received:
    """Batches as they came, with someone waiting for them."""

    def __init__(self) -> None:
        self.batches: list[list[StatMessage]] = []
        self._came = asyncio.Event()

    def __call__(self, batch: list[StatMessage]) -> None:
        self.batches.append(batch)
        self._came.set()

    async def wait_for(self, number: int) -> list[list[StatMessage]]:
        async with asyncio.timeout(DEADLINE):
            while len(self.batches) < number:
                self._came.clear()
                await self._came.wait()
        return self.batches

    async def wait_for_zero(self) -> list[StatMessage]:
        """Wait until a revision was reported without load, and return all that came."""
        number = 1
        while (await self.wait_for(number))[-1][-1].stat.average_concurrent_requests > 0 or number < 3:
            number = len(self.batches) + 1
        return [message for batch in self.batches for message in batch]


class Activator:
    """Knative's reporting half, taking its script line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def report(self, *messages: StatMessage) -> None:
        batch = [
            {"namespace": m.namespace, "name": m.name, "stat": dict(zip(GO_NAMES, m.stat, strict=True))}
            for m in messages
        ]
        await self.do(messages=batch)

    async def wait_for(self, event: str, number: int = 1) -> dict[str, Any]:
        """Return an event when it happened so many times."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            async for line in self.process.stdout:
                happened: dict[str, Any] = json.loads(line)
                if (happened["event"], happened["number"]) == (event, number):
                    return happened
        raise AssertionError(f"statsender ended before {event} {number}")


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
async def server(received: Received) -> AsyncIterator[StatServer]:
    server = StatServer(received, clock=lambda: NOW)
    yield server
    await server.close()


@pytest.fixture
async def port(server: StatServer) -> int:
    return await server.start("127.0.0.1", 0)


@pytest.fixture
async def activator(port: int) -> AsyncIterator[Activator]:
    binary = await asyncio.to_thread(program, "statsender")
    process = await asyncio.create_subprocess_exec(
        binary, f"ws://127.0.0.1:{port}", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    activator = Activator(process)
    await activator.wait_for("connected")
    yield activator
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.mark.parametrize("stat", [PLAIN, ODD, LONG], ids=["plain", "odd numbers", "long name"])
async def test_values_arrive_as_they_were_sent(activator: Activator, received: Received, stat: Stat) -> None:
    message = StatMessage(*KEY, stat)

    await activator.report(message)

    assert await received.wait_for(1) == [[message]]


async def test_a_batch_of_all_revisions_arrives_in_one_piece(
    activator: Activator, received: Received
) -> None:
    batch = [
        StatMessage("default", f"revision-{i}", PLAIN._replace(request_count=float(i))) for i in range(2000)
    ]

    await activator.report(*batch)

    assert await received.wait_for(1) == [batch]


async def test_only_a_stat_without_time_gets_ours(activator: Activator, received: Received) -> None:
    await activator.report(StatMessage(*KEY, UNSTAMPED), StatMessage(*KEY, PLAIN))

    [[first, second]] = await received.wait_for(1)
    assert first.stat == UNSTAMPED._replace(timestamp=int(NOW))
    assert second.stat == PLAIN


async def test_frames_that_mean_nothing_cost_the_sender_nothing(
    activator: Activator, received: Received
) -> None:
    await activator.do(raw="not a stat", binary=True)
    await activator.do(raw="a text frame", binary=False)
    await activator.report(StatMessage(*KEY, PLAIN))

    assert await received.wait_for(1) == [[StatMessage(*KEY, PLAIN)]]
    assert activator.process.returncode is None


async def test_the_reporter_announces_a_first_request_before_it_ended(
    activator: Activator, received: Received
) -> None:
    await activator.do(requests=1, namespace=KEY[0], name=KEY[1], seconds=10 * DEADLINE)

    [[first]] = await received.wait_for(1)

    assert (first.namespace, first.name) == KEY
    assert first.stat == Stat("activator", 1.0, 0.0, 1.0, 0.0, 0.0, int(NOW))


async def test_the_reporter_counts_each_request_once(activator: Activator, received: Received) -> None:
    await activator.do(requests=7, namespace=KEY[0], name=KEY[1], seconds=1.5)

    messages = await received.wait_for_zero()

    assert sum(message.stat.request_count for message in messages) == 7
    loads = [message.stat.average_concurrent_requests for message in messages]
    assert max(loads) <= 7 + 1e-9
    assert sum(loads) > 7 * 1.5 - 1  # seconds in flight, of which the report after the first takes one off


async def test_pings_are_answered_longer_than_knative_waits_for_them(
    activator: Activator, received: Received
) -> None:
    await activator.do(wait=11)  # knative/pkg websocket/connection.go: 10 s without a pong end a connection
    await activator.report(StatMessage(*KEY, PLAIN))

    await received.wait_for(1)

    await activator.wait_for("sent")
    assert activator.process.stdin is not None
    activator.process.stdin.close()
    assert activator.process.stdout is not None
    assert b"disconnected" not in await activator.process.stdout.read()


async def test_a_restarted_server_says_so_and_is_found_again(
    activator: Activator, received: Received, server: StatServer, port: int
) -> None:
    await server.close()
    told = await activator.wait_for("disconnected")
    restarted = StatServer(received, clock=lambda: NOW)
    await restarted.start("127.0.0.1", port)
    try:
        await activator.wait_for("connected", 2)
        await activator.report(StatMessage(*KEY, PLAIN))
        await received.wait_for(1)
    finally:
        await restarted.close()

    assert "1012" in told["detail"]
