"""Answers without an end: they end with their client, when told to, and even before they began."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kpa.web.api.streams import Streams


@pytest.fixture
async def streams() -> Streams:
    return Streams()


@pytest.fixture
async def server(streams: Streams) -> AsyncIterator[TestServer]:
    async def send(response: web.StreamResponse) -> None:
        while True:
            await response.write(b"again\n")
            await asyncio.sleep(0.01)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await streams.serve(request, "text/plain", send)

    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server:
        yield server


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_stream_lasts_as_long_as_its_client(server: TestServer, streams: Streams) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(server.make_url("/")) as answer:
            assert answer.headers["Content-Type"] == "text/plain"
            assert await answer.content.readline() == b"again\n"
            assert len(streams) == 1
        await until(lambda: len(streams) == 0)


async def test_streams_end_when_told_to(server: TestServer, streams: Streams) -> None:
    async with aiohttp.ClientSession() as client, client.get(server.make_url("/")) as answer:
        await answer.content.readline()
        streams.end()
        assert (await answer.content.read()).replace(b"again\n", b"") == b""
        await until(lambda: len(streams) == 0)


async def test_a_stream_may_end_before_it_began(
    server: TestServer, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = asyncio.create_task

    def create_and_end(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = create(coroutine)
        task.cancel()
        return task

    monkeypatch.setattr("kpa.web.api.streams.asyncio.create_task", create_and_end)
    async with aiohttp.ClientSession() as client, client.get(server.make_url("/")) as answer:
        assert await answer.content.read() == b""
    gc.collect()  # a coroutine that nobody awaited would warn now, which is an error
    await until(lambda: len(streams) == 0)
