"""The event loop that jumps: its clock, sockets, threads, and waits that never end."""

import asyncio
import time

import pytest

from tests import virtual_time
from tests.servers import scripted
from tests.virtual_time import START, VirtualTimeLoop, run

pytestmark = pytest.mark.virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def asleep() -> float:
    await asyncio.sleep(50.0)
    return now()


async def test_an_hour_passes_at_once_and_exactly() -> None:
    began, really = now(), time.monotonic()
    await asyncio.sleep(3600.1)
    assert now() == began + 3600.1
    assert time.monotonic() - really < 10.0


async def test_fixtures_share_the_clock_of_their_test(asleep: float) -> None:
    assert asleep == now() == START + 50.0


async def test_timers_run_in_their_order_each_at_its_time() -> None:
    seen: list[tuple[str, float]] = []
    began = now()

    async def note(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, now() - began))

    await asyncio.gather(note("late", 0.75), note("early", 0.25), note("last", 86_400.0 * 3))
    assert seen == [("early", 0.25), ("late", 0.75), ("last", 86_400.0 * 3)]


async def test_a_timeout_ends_what_never_happens() -> None:
    began = now()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30.0):
            await asyncio.Event().wait()
    assert now() == began + 30.0


async def test_what_is_sent_arrives_before_a_timer_is_due() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async with scripted(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(50):
            async with asyncio.timeout(0.001):
                writer.write(b"hello\n")
                assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def test_a_server_takes_its_virtual_time() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await asyncio.sleep(20.0)
        writer.write(b"done\n")

    async with scripted(slow) as port:
        began = now()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"go\n")
        assert await reader.readline() == b"done\n"
        assert now() == began + 20.0
        writer.close()
        await writer.wait_closed()


async def test_a_loop_that_stands_still_is_late_for_its_timers() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    due = asyncio.create_task(asyncio.sleep(1.0))
    await asyncio.sleep(0.5)
    loop.stand_still(3.0)
    await due
    assert now() == START + 3.5


@pytest.mark.usefixtures("virtual_wall_clock")
async def test_the_wall_clock_can_follow() -> None:
    began = time.time()
    await asyncio.sleep(600.0)
    assert time.time() == began + 600.0


async def test_the_clock_does_not_jump_while_a_thread_works() -> None:
    began = now()
    async with asyncio.timeout(10.0):
        await asyncio.to_thread(time.sleep, 0.05)
    assert 0.04 < now() - began < 10.0


def test_a_wait_that_never_ends_is_an_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="this wait never ends"):
        run(wait())


def test_a_wait_for_a_silent_socket_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "NOTHING_COMES", 0.02)

    async def wait() -> None:
        async with scripted(lambda *_: asyncio.Event().wait()) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.read()
            finally:
                writer.close()

    with pytest.raises(RuntimeError, match="no socket became ready"):
        run(wait())


def test_a_coroutine_runs_in_virtual_time_and_gives_its_result() -> None:
    async def play() -> tuple[bool, float]:
        await asyncio.sleep(7.5)
        return isinstance(asyncio.get_running_loop(), VirtualTimeLoop), now()

    assert run(play()) == (True, START + 7.5)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.1])
async def test_parametrized_tests_keep_their_names(seconds: float, request: pytest.FixtureRequest) -> None:
    await asyncio.sleep(seconds)
    assert now() == START + seconds
    assert request.node.name == f"test_parametrized_tests_keep_their_names[{seconds}]"
