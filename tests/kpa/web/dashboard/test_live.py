"""The stream of the dashboard, read over real connections.

Covered: all rows first, then what changes, gone rows, slow and stuck readers, looks that fail, the last page
that goes, close, work beside the event loop. Left out: what the pages make of it (tests/browser).
"""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, cast

import aiohttp
import pytest

from kpa.controller.status import NextEvent, RevisionStatus
from kpa.web.dashboard import live
from kpa.web.dashboard.live import COLUMNS, row_of
from metrics.key import Key
from tests.browser.synthetic import Synthetic
from tests.kpa.controller.status_samples import sample


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    data: dict[str, Any]


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Read a stream, however long its lines."""
    waiting = b""
    async for chunk in answer.content.iter_any():
        *texts, waiting = (waiting + chunk).split(b"\n\n")
        for text in texts:
            name, data = text.split(b"\n")
            yield Event(name.removeprefix(b"event: ").decode(), json.loads(data.removeprefix(b"data: ")))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.1)


async def test_all_rows_come_first(fleet: Synthetic, client: aiohttp.ClientSession) -> None:
    async with client.get("/api/stream") as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        first = await anext(events(answer))
    assert first.name == "fleet"
    assert first.data["columns"] == list(COLUMNS)
    assert first.data["profile"] == "inference"
    assert first.data["rows"] == [list(row_of(status)) for status in fleet.statuses.values()]


async def test_then_only_what_changes(fleet: Synthetic, client: aiohttp.ClientSession) -> None:
    changed, gone, *_ = fleet.statuses
    async with client.get("/api/stream") as answer:
        stream = events(answer)
        await anext(stream)
        assert (await anext(stream)).data["rows"] == []
        fleet.change(changed.name, ready=123)
        fleet.remove(gone.name)
        rows, keys = [], []
        while not (rows and keys):
            seen = await _until(stream, lambda event: event.data["rows"] or event.data["gone"])
            assert seen.name == "change"
            rows, keys = rows + seen.data["rows"], keys + seen.data["gone"]
        assert rows == [list(row_of(fleet.statuses[changed]))]
        assert keys == [list(gone)]
        after = await anext(stream)
        assert (after.data["rows"], after.data["gone"]) == ([], [])


async def _until(stream: AsyncIterator[Event], found: Any) -> Event:
    async with asyncio.timeout(30):
        async for event in stream:
            if found(event):
                return event
    raise AssertionError("the stream ended")


def test_noise_in_the_load_is_no_change() -> None:
    calm, noisy, other = (row_of(sample(stable=load)) for load in (12.3411, 12.3389, 12.36))
    assert calm == noisy != other


def test_a_row_has_a_value_for_each_column() -> None:
    status = sample(next_event=NextEvent("scale to zero", 1000.04), service="")
    row = dict(zip(COLUMNS, row_of(status), strict=True))
    assert (row["next"], row["next_at"], row["service"]) == ("scale to zero", 1000.0, "")
    assert row_of(sample(stable=None, next_event=None))[-2:] == (None, None)


async def test_pages_share_one_look(client: aiohttp.ClientSession) -> None:
    """Else each would have times of its own."""
    async with client.get("/api/stream") as one, client.get("/api/stream") as other:
        seen: list[set[float]] = [set(), set()]
        async with asyncio.timeout(30):
            streams = [events(one), events(other)]
            while len(seen[0] & seen[1]) < 3:
                for times, stream in zip(seen, streams, strict=True):
                    times.add((await anext(stream)).data["time"])


async def test_nobody_looks_once_the_last_page_is_gone(
    fleet: Synthetic, client: aiohttp.ClientSession
) -> None:
    def looking() -> bool:
        return any("_look_again" in repr(task.get_coro()) for task in asyncio.all_tasks())

    async with client.get("/api/stream") as answer:
        await anext(events(answer))
        assert looking()
    async with asyncio.timeout(30):
        while looking():
            await asyncio.sleep(0.01)
    gone = next(iter(fleet.statuses))
    fleet.remove(gone.name)
    async with client.get("/api/stream") as answer:
        first = await anext(events(answer))
    assert list(gone) not in [row[:2] for row in first.data["rows"]]  # no rows of the former look


async def test_a_slow_reader_gets_all_rows_again(
    fleet: Synthetic, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 600.0)
    _make_heavy(fleet)
    async with _stuck(fleet) as (reader, transport), client.get("/api/stream") as answer:
        stream = events(answer)
        for number in range(5):
            for key, status in fleet.statuses.items():
                fleet.statuses[key] = replace(status, ready=number)
            await _until(stream, lambda event, number=number: _has_ready(event, number))
        transport.resume_reading()
        names = []
        async with asyncio.timeout(60):
            while names.count(b"event: fleet") < 2:
                line = await reader.readline()
                if line.startswith(b"event: "):
                    names.append(line.strip())
        assert names[0] == b"event: fleet"
        assert names.count(b"event: change") < 5


async def test_a_reader_that_is_stuck_is_given_up(
    fleet: Synthetic, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_heavy(fleet)
    given_up = list[bool]()
    taken_in = live._taken_in

    async def noted(*event: Any) -> bool:
        taken = await taken_in(*event)
        if not taken:
            given_up.append(True)
        return taken

    monkeypatch.setattr(live, "_taken_in", noted)
    key = next(iter(fleet.statuses))
    async with client.get("/api/stream") as answer, asyncio.timeout(60):
        stream = events(answer)
        await anext(stream)
        monkeypatch.setattr(live, "PATIENCE", 0.3)  # what this page gets from now on is small
        async with _stuck(fleet) as (reader, transport):
            while not given_up:
                fleet.statuses[key] = replace(fleet.statuses[key], ready=fleet.statuses[key].ready + 1)
                await anext(stream)
            transport.resume_reading()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1 << 30)
        await anext(stream)
    assert len(given_up) == 1


def _make_heavy(fleet: Synthetic) -> None:
    """Let one look be more than what connections hold back by themselves."""
    for number in range(20_000):
        key = Key("team-00", f"heavy-{'x' * 50}-{number}")
        fleet.statuses[key] = sample(key=key, service="x" * 100)


def _has_ready(event: Event, number: int) -> bool:
    return bool(event.data["rows"]) and event.data["rows"][0][COLUMNS.index("ready")] == number


@contextlib.asynccontextmanager
async def _stuck(fleet: Synthetic) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.ReadTransport]]:
    """A page that asks and then does not read."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(fleet.url.rpartition(":")[2]), limit=1 << 26
    )
    transport = cast(asyncio.ReadTransport, writer.transport)
    transport.pause_reading()
    writer.write(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        yield reader, transport
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_look_that_fails_is_told_and_the_next_one_is_taken(
    fleet: Synthetic, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.failing = True
    with caplog.at_level(logging.ERROR, "kpa.web.dashboard.live"):
        async with client.get("/api/stream") as answer:
            async with asyncio.timeout(30):
                while "could not look" not in caplog.text:
                    await asyncio.sleep(0.01)
            fleet.failing = False
            assert (await anext(events(answer))).name == "fleet"
    assert "a look that fails" in caplog.text


async def test_rows_are_made_and_written_beside_the_event_loop(
    fleet: Synthetic, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def watched(work: Any) -> Any:
        def note(*arguments: Any) -> Any:
            threads.add(threading.current_thread())
            return work(*arguments)

        return note

    monkeypatch.setattr(live, "row_of", watched(live.row_of))
    monkeypatch.setattr(live.orjson, "dumps", watched(live.orjson.dumps))
    async with client.get("/api/stream") as answer:
        stream = events(answer)
        for _ in range(3):
            await anext(stream)
    assert threads
    assert threading.main_thread() not in threads


async def test_others_have_their_turns_while_a_fleet_is_read(
    fleet: Synthetic, client: aiohttp.ClientSession
) -> None:
    turns: list[int] = []
    turn = 0
    statuses = list(fleet.statuses.values())

    def slowly() -> Iterator[RevisionStatus]:
        for status in statuses:
            time.sleep(0.001)  # of work
            turns.append(turn)
            yield status

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    fleet.read = slowly  # type: ignore[method-assign]
    others = asyncio.create_task(count())
    async with client.get("/api/stream") as answer:
        await anext(events(answer))
    others.cancel()
    first = turns[: len(statuses)]
    assert len(set(first)) > 5


async def test_streams_end_when_the_server_closes(fleet: Synthetic, client: aiohttp.ClientSession) -> None:
    async with client.get("/api/stream") as answer:
        stream = events(answer)
        await anext(stream)
        async with asyncio.timeout(20):
            await fleet.close()
            assert [event async for event in stream if event.name == "fleet"] == []


async def test_a_stream_has_no_head_and_cannot_be_written(client: aiohttp.ClientSession) -> None:
    for method in ("HEAD", "POST", "DELETE"):
        async with client.request(method, "/api/stream") as answer:
            assert answer.status == 405
