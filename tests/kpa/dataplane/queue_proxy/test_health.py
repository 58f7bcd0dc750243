"""Whether a replica is ready.

Covered: each way to ask against real listeners, thresholds, periods, suspicion, delays between probes.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from kpa.dataplane.queue_proxy.health import POLL_LIMIT_SECONDS, POLL_SECONDS, Health
from kpa.dataplane.queue_proxy.probe import ReadinessProbe, ask
from tests.kpa.dataplane.http_peers import on_both_loops, replies
from tests.servers import Port, scripted

TCP = ReadinessProbe("tcpSocket", "127.0.0.1", 1, period=60.0)


class Replica:
    """Answers probes as told, and remembers when and what was told of it."""

    def __init__(self, probe: ReadinessProbe, answers: list[str]) -> None:
        self.answers: Iterator[str] = iter(answers)
        self.asked_at: list[float] = []
        self.asked = asyncio.Event()
        self.told: asyncio.Queue[tuple[bool, str]] = asyncio.Queue()
        self.health = Health(probe, lambda ready, reason: self.told.put_nowait((ready, reason)), self.ask)

    async def ask(self, probe: ReadinessProbe) -> str:
        self.asked_at.append(asyncio.get_running_loop().time())
        self.asked.set()
        try:
            return next(self.answers)
        except StopIteration:
            await asyncio.Event().wait()
            raise


@asynccontextmanager
async def watched(probe: ReadinessProbe, *answers: str) -> AsyncIterator[Replica]:
    replica = Replica(probe, list(answers))
    task = asyncio.create_task(replica.health.run())
    try:
        async with asyncio.timeout(30):
            yield replica
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_starting_replica_is_asked_in_quick_succession_whatever_its_period() -> None:
    async with watched(TCP, "no", "no", "no", "") as replica:
        assert not replica.health.ready
        assert await replica.told.get() == (True, "")
        assert replica.health.ready
        assert len(replica.asked_at) == 4
        assert replica.asked_at[-1] - replica.asked_at[0] >= 3 * POLL_SECONDS * 0.9


async def test_a_success_threshold_counts_answers_in_a_row() -> None:
    async with watched(TCP._replace(success_threshold=2), "", "no", "", "") as replica:
        await replica.told.get()
        assert len(replica.asked_at) == 4


async def test_a_ready_replica_is_given_up_after_failures_in_a_row() -> None:
    probe = TCP._replace(period=0.02, failure_threshold=3)
    async with watched(probe, "", "1", "2", "", "1", "2", "third", "") as replica:
        assert [await replica.told.get() for _ in range(3)] == [(True, ""), (False, "third"), (True, "")]


async def test_a_suspected_replica_is_asked_at_once_and_given_up_on_one_failure() -> None:
    async with watched(TCP, "", "refused", "") as replica:
        await replica.told.get()
        replica.health.suspect()
        assert await replica.told.get() == (False, "refused")
        assert await replica.told.get() == (True, "")


async def test_a_suspicion_that_proves_wrong_changes_nothing() -> None:
    async with watched(TCP, "", "", "refused") as replica:
        await replica.told.get()
        replica.asked.clear()
        replica.health.suspect()
        await replica.asked.wait()
        assert replica.told.empty()
        replica.health.suspect()
        assert await replica.told.get() == (False, "refused")


async def test_an_initial_delay_is_kept() -> None:
    start = asyncio.get_running_loop().time()
    async with watched(TCP._replace(initial_delay=0.1), "") as replica:
        await replica.told.get()
        assert replica.asked_at[0] - start >= 0.1


@pytest.mark.parametrize(
    ("kind", "waited", "pause"),
    [
        ("tcpSocket", 0.0, POLL_SECONDS),
        ("tcpSocket", 0.5, POLL_SECONDS),
        ("tcpSocket", 2.0, 0.1),
        ("tcpSocket", 60.0, POLL_LIMIT_SECONDS),
        ("exec", 0.0, POLL_LIMIT_SECONDS),
    ],
)
async def test_the_longer_a_start_takes_the_less_often_it_is_asked_for(
    kind: str, waited: float, pause: float
) -> None:
    assert Health(TCP._replace(kind=kind), lambda *_: None)._pause(waited) == pytest.approx(pause)


@on_both_loops
async def test_a_port_that_takes_connections_is_ready_and_a_closed_one_is_not() -> None:
    async with scripted(lambda *_: asyncio.sleep(0)) as port:
        assert await ask(TCP._replace(port=port)) == ""
    nobody = Port()
    assert "refused" in (await ask(TCP._replace(port=nobody.number))).lower()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (199, "199"),
        (200, ""),
        (302, ""),
        (399, ""),
        (400, "GET /ready was answered with 400"),
        (503, "GET /ready was answered with 503"),
    ],
)
async def test_an_http_probe_succeeds_from_200_to_399(status: int, reason: str) -> None:
    async with replies(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status) as (port, seen):
        probe = ReadinessProbe(
            "httpGet", "127.0.0.1", port, path="/ready", headers=((b"X-A", b"b"),), timeout=20.0
        )
        answer = await ask(probe)
    assert seen[0].startswith(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-A: b\r\n" % port)
    assert answer == reason if status != 199 else answer


@pytest.mark.process
@pytest.mark.parametrize("kind", ["httpGet", "exec"])
@on_both_loops
async def test_no_answer_in_time_is_a_failure(kind: str) -> None:
    async with scripted(lambda reader, _: reader.read()) as port:  # type: ignore[arg-type,return-value]
        command = (sys.executable, "-c", "import time; time.sleep(60)")
        answer = await ask(ReadinessProbe(kind, "127.0.0.1", port, command=command, timeout=0.2))
    assert answer == "no answer within 0.2 seconds"


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ((sys.executable, "-c", ""), ""),
        ((sys.executable, "-c", "raise SystemExit(3)"), f"{sys.executable} ended with 3"),
        (("/no/such/program",), "/no/such/program cannot be run: No such file or directory"),
    ],
    ids=["success", "failure", "missing"],
)
@on_both_loops
async def test_a_command_succeeds_with_exit_code_0(command: tuple[str, ...], answer: str) -> None:
    assert await ask(ReadinessProbe("exec", "127.0.0.1", 1, command=command, timeout=20.0)) == answer
