"""A server that answers lives, however it answers; one that hangs or is gone does not."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from kpa.local.processes.liveness import until_silent
from tests.servers import Script, scripted

MANY = 12  # questions


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""


@contextlib.asynccontextmanager
async def asked(script: Callable[[int], Script]) -> AsyncIterator[asyncio.Task[None]]:
    """Ask a server, with a script for each question, until many were asked or it is held to be silent."""
    many = asyncio.Event()
    number = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        if number > MANY:
            many.set()
        await script(number)(reader, writer)

    async with scripted(serve) as port:
        asking = asyncio.create_task(until_silent("127.0.0.1", port, interval=0.001, seconds=20.0))
        waiting = asyncio.create_task(many.wait())
        await asyncio.wait([asking, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield asking
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize("every", [1, 3], ids=["each", "each third"])
async def test_any_answer_is_a_sign_of_life_and_some_lost_ones_are_forgiven(every: int) -> None:
    async with asked(lambda number: nothing if number % every else answer) as asking:
        assert not asking.done()


async def test_too_many_lost_answers_are_not_forgiven() -> None:
    async with asked(lambda number: nothing if number % 5 else answer) as asking:
        assert asking.done()


async def test_a_server_that_takes_connections_and_says_nothing_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with asyncio.timeout(20):
            await until_silent("127.0.0.1", port, interval=0.01, seconds=0.05)


async def test_a_server_that_is_gone_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with asyncio.timeout(20):
        await until_silent("127.0.0.1", port, interval=0.01)
