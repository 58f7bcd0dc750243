"""The activator's way to the autoscaler: when reports are cut, and a connection lost, silent or too slow.

Left out: what a report says (test_activator_load) and its effect on requests (test_activator_server).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from kpa.dataplane.activator import reporter as reporter_module
from kpa.dataplane.activator.load import RequestLoad
from kpa.dataplane.activator.reporter import Outbox, Reporter, _send, _until_report
from metrics.key import Key
from metrics.stat import Stat, StatMessage, encode_messages
from tests.kpa.dataplane.activator.fakes import Autoscaler, running, until
from tests.servers import scripted

pytestmark = pytest.mark.virtual_time

HELLO = Key("default", "hello-00001")


@contextlib.asynccontextmanager
async def reporting(url: str, changes: Callable[[bool], None] = lambda _: None) -> AsyncIterator[Reporter]:
    reporter = Reporter(url, RequestLoad("activator-1"), changes)
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("wall", "wait"),
    [(100.0, 0.75), (100.5, 0.25), (100.76, 0.99), (100.75, 1.0), (100.7499, 1.0001), (100.64, 0.11)],
    ids=["early", "half", "late", "on time", "woken a little early", "just soon enough"],
)
def test_reports_are_cut_at_three_quarters_of_each_second(wall: float, wait: float):
    assert _until_report(wall) == pytest.approx(wait)


async def test_each_second_has_one_report(monkeypatch):
    monkeypatch.setattr(reporter_module, "INTERVAL", 0.25)
    autoscaler = Autoscaler()
    async with running(autoscaler), reporting(autoscaler.url) as reporter:
        reporter.arrived(HELLO)
        await until(lambda: len(autoscaler.heard) >= 5)
        reporter.left(HELLO)
        assert autoscaler.stats(HELLO)[2:5] == [(1.0, 0.0)] * 3


@pytest.mark.usefixtures("virtual_wall_clock")
async def test_a_late_report_belongs_to_the_second_in_which_it_was_due():
    """The loop stands still over the time of a report, into the next second, which has its own."""
    loop, autoscaler = asyncio.get_running_loop(), Autoscaler()
    async with running(autoscaler), reporting(autoscaler.url) as reporter:
        await until(lambda: reporter.connected)
        reporter.arrived(HELLO)
        for _ in range(3):
            await asyncio.sleep((0.70 - time.time()) % 1.0)
            loop.stand_still(0.4)
        await until(lambda: len(autoscaler.heard) >= 5)
    first, *seconds = [stat.timestamp for _, stat in autoscaler.heard]
    assert first == 0  # the announcement counts when it arrives
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))


async def test_a_first_request_travels_before_the_next_report(monkeypatch):
    monkeypatch.setattr(reporter_module, "INTERVAL", 1e6)
    autoscaler = Autoscaler()
    async with running(autoscaler), reporting(autoscaler.url) as reporter:
        await until(lambda: reporter.connected)
        reporter.arrived(HELLO)
        await until(lambda: autoscaler.stats(HELLO) == [(1.0, 1.0)])
        reporter.arrived(HELLO)
        reporter.left(HELLO)
        assert len(autoscaler.heard) == 1


async def test_it_tells_when_the_autoscaler_comes_and_goes(monkeypatch, caplog):
    autoscaler, changes, attempts = Autoscaler(), list[bool](), list[int]()
    monkeypatch.setattr(reporter_module, "reconnect_delay", lambda attempt: attempts.append(attempt) or 0.01)
    await autoscaler.start()
    await autoscaler.stop()
    async with reporting(autoscaler.url, changes.append) as reporter:
        await until(lambda: "autoscaler unreachable, load is not reported" in caplog.text)
        assert not reporter.connected
        async with running(autoscaler):
            await until(lambda: changes == [True])
            assert reporter.connected
        await until(lambda: changes == [True, False])
        await until(lambda: attempts[-1] >= 3)  # none of which is worth another line
        async with running(autoscaler):
            await until(lambda: changes == [True, False, True])
    assert changes == [True, False, True, False]
    assert caplog.text.count("autoscaler unreachable") == 2


async def test_an_autoscaler_that_refuses_the_handshake_is_away(caplog):
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with scripted(refuse) as port, reporting(f"ws://127.0.0.1:{port}") as reporter:
        await until(lambda: "Invalid response status" in caplog.text)
        assert not reporter.connected


async def test_a_handshake_that_takes_too_long_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(reporter_module, "HANDSHAKE_TIMEOUT", 0.05)
    attempts = 0

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await reader.read()

    async with scripted(hang) as port, reporting(f"ws://127.0.0.1:{port}"):
        await until(lambda: attempts >= 2)


async def test_an_autoscaler_that_answers_no_ping_is_left(monkeypatch):
    class Deaf(Autoscaler):
        async def answer(self, request: Any) -> Any:
            websocket = web.WebSocketResponse(autoping=False)
            await websocket.prepare(request)
            self.connections.add(websocket)
            async for _ in websocket:
                pass
            return websocket

    monkeypatch.setattr(reporter_module, "SILENCE", 0.3)
    autoscaler, changes = Deaf(), list[bool]()
    async with running(autoscaler), reporting(autoscaler.url, changes.append):
        await until(lambda: changes[:3] == [True, False, True])


class Recorder:
    """Stands for a websocket; a lost one refuses to send."""

    def __init__(self, lost: bool = False) -> None:
        self.sent: list[bytes] = []
        self.lost = lost
        self.closed = False

    async def send_bytes(self, data: bytes) -> None:
        if self.lost:
            raise ConnectionResetError
        self.sent.append(data)

    async def close(self) -> None:
        self.closed = True


STATS = [StatMessage("default", "hello-00001", Stat("activator-1", 1.0, request_count=1.0))]


async def test_stats_that_are_older_than_a_second_are_dropped_and_said_to_be(caplog):
    outbox, websocket = Outbox(), Recorder()
    now = asyncio.get_running_loop().time()
    outbox.put_nowait((now - 1.5, STATS * 2))
    outbox.put_nowait((now, STATS))
    task = asyncio.create_task(_send(outbox, websocket))  # type: ignore[arg-type]
    await until(lambda: websocket.sent)
    task.cancel()
    assert websocket.sent == [encode_messages(STATS)]
    assert "autoscaler reads too slowly" in caplog.text


async def test_a_connection_that_breaks_while_sending_is_closed():
    outbox, websocket = Outbox(), Recorder(lost=True)
    outbox.put_nowait((asyncio.get_running_loop().time(), STATS))
    await asyncio.wait_for(_send(outbox, websocket), 30)  # type: ignore[arg-type]
    assert websocket.closed
