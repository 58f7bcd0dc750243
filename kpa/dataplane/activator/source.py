"""The way of the routing table into an activator: a stream of JSON lines that is followed for ever."""

import asyncio
import logging
from collections.abc import Callable

import aiohttp

from kpa.dataplane.activator.reconnect import reconnect_delay
from kpa.dataplane.routes import RoutesError, RoutingTable
from kpa.runtime.outage_logger import OutageLogger

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3.0  # seconds
SILENCE = 15.0  # seconds; the source sends an empty line every 5 s as a sign of life


async def follow(url: str, apply: Callable[[RoutingTable], None]) -> None:
    """Hand on each table of the stream until cancelled.

    While the source is away the last table stays in force, and a table that is refused changes nothing.
    Both are logged, an outage once.

    Parameters
    ----------
    url : str
        Answers GET with one table a line, the whole of it at once and again whenever it changes; empty
        lines are signs of life.
    apply : Callable[[RoutingTable], None]
        Takes a table.
    """
    attempt = 0
    outage = OutageLogger(log, "routes", "unreachable, keeping the last ones")
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=SILENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url, raise_for_status=True) as response:
                    outage.succeeded()
                    attempt = 0
                    await _read(response.content, apply)
                    reason = "it ended the stream"
            except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
                attempt += 1
                reason = str(error) or type(error).__name__
            pause = reconnect_delay(attempt)
            outage.failed(reason, pause, {"url": url})
            await asyncio.sleep(pause)


async def _read(stream: aiohttp.StreamReader, apply: Callable[[RoutingTable], None]) -> None:
    rest = bytearray()
    async for chunk in stream.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            tables = [line for line in lines if line.strip()]
            if tables:
                _take(tables[-1], apply)


def _take(line: bytes, apply: Callable[[RoutingTable], None]) -> None:
    try:
        table = RoutingTable.from_json(line)
    except RoutesError as error:
        log.error(f"routes refused, the last ones stay: {error}")
        return
    apply(table)
