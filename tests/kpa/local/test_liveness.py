"""A server that answers lives, however it answers; one that hangs or is gone does not."""

import asyncio
import socket

import pytest

from kpa.local.liveness import until_silent


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
    writer.close()


async def test_any_answer_is_a_sign_of_life() -> None:
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until_silent("127.0.0.1", port, interval=0.01, seconds=5.0), 0.5)


async def test_a_server_that_takes_connections_and_says_nothing_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await asyncio.wait_for(until_silent("127.0.0.1", port, interval=0.01, seconds=0.05), 20)


async def test_a_server_that_is_gone_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    await asyncio.wait_for(until_silent("127.0.0.1", port, interval=0.01), 20)


async def test_some_lost_answers_are_forgiven() -> None:
    asked = 0

    async def rarely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked % 3 == 0:
            await answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(rarely, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until_silent("127.0.0.1", port, interval=0.01, seconds=5.0), 0.5)
    assert asked > 6
