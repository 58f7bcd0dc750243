"""The stream of routing tables: lines in any pieces, bad ones, a source that goes, fails or falls silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from kpa.dataplane.activator import source as source_module
from kpa.dataplane.activator.source import follow
from kpa.dataplane.routes import Route, RoutingTable
from tests.kpa.dataplane.activator.fakes import until
from tests.servers import scripted

pytestmark = pytest.mark.virtual_time

TABLES = [RoutingTable(tuple(Route("default", f"r{i}") for i in range(size))) for size in range(5)]
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: "
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def line(table: RoutingTable) -> bytes:
    return table.to_json().encode() + b"\n"


class Source:
    """Answers each connection with the next script: pieces that the activator gets one by one."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self.scripts = list(scripts)
        self.connections = 0
        self.tables: list[RoutingTable] = []

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        script = self.scripts.pop(0) if self.scripts else [HEAD]
        for piece in script:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if script[-1] != b"":  # the stream stays open
            await reader.read()

    @contextlib.asynccontextmanager
    async def followed(self) -> AsyncIterator["Source"]:
        async with scripted(self._answer) as port:
            task = asyncio.create_task(follow(f"http://127.0.0.1:{port}/api/routes", self.tables.append))
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def test_each_line_is_a_table_and_empty_lines_are_nothing(caplog):
    source = Source([HEAD, chunk(line(TABLES[1])), chunk(b"\n"), chunk(b"\n\n"), chunk(line(TABLES[2]))])
    async with source.followed():
        await until(lambda: source.tables == TABLES[1:3])
    assert "refused" not in caplog.text


async def test_a_line_may_come_in_any_pieces():
    whole = line(TABLES[4])
    pieces = [chunk(whole[start : start + 9]) for start in range(0, len(whole), 9)]
    source = Source([HEAD, *pieces, chunk(line(TABLES[1]) + whole[:20]), chunk(whole[20:])])
    async with source.followed():
        await until(lambda: source.tables == [TABLES[4], TABLES[1], TABLES[4]])


async def test_of_tables_that_come_together_the_last_counts():
    source = Source([HEAD, chunk(b"".join(map(line, TABLES)))])
    async with source.followed():
        await until(lambda: source.tables)
        assert source.tables == TABLES[-1:]


async def test_a_table_of_a_megabyte_is_read():
    big = RoutingTable(tuple(Route("default", f"revision-{i:05d}") for i in range(12_000)))
    source = Source([HEAD, chunk(line(big))])
    async with source.followed():
        await until(lambda: source.tables == [big])


async def test_a_bad_line_is_logged_and_the_next_good_one_counts(caplog):
    source = Source([HEAD, chunk(line(TABLES[1])), chunk(b"{]\n"), chunk(line(TABLES[2]))])
    async with source.followed():
        await until(lambda: source.tables == TABLES[1:3])
    assert "routes refused, the last ones stay: the routing table is not JSON" in caplog.text


@pytest.mark.parametrize(
    ("script", "outages"),
    [
        ([HEAD, chunk(line(TABLES[1])), b"0\r\n\r\n", b""], 2),
        ([HEAD, chunk(line(TABLES[1])), b""], 2),
        ([UNAVAILABLE + b"%d\r\n\r\n" % len(line(TABLES[1])) + line(TABLES[1]), b""], 1),
        ([b"nonsense\r\n\r\n", b""], 1),
        ([b""], 1),
    ],
    ids=["ended", "broken off", "unavailable", "no HTTP", "closed"],
)
async def test_a_source_that_goes_is_asked_again_and_an_outage_is_logged_once(
    script: list[bytes], outages: int, caplog
):
    source = Source(script, script, [HEAD, chunk(line(TABLES[3]))])
    async with source.followed():
        await until(lambda: source.tables[-1:] == [TABLES[3]])
    assert source.connections == 3
    assert caplog.text.count("routes unreachable") == outages
    assert len(source.tables) == 1 + (outages if outages > 1 else 0), "nothing is taken from a bad answer"


async def test_a_source_that_falls_silent_is_asked_again(monkeypatch):
    monkeypatch.setattr(source_module, "SILENCE", 0.1)
    source = Source([HEAD, chunk(line(TABLES[1]))], [HEAD, chunk(line(TABLES[2]))])
    async with source.followed():
        await until(lambda: TABLES[2] in source.tables)
