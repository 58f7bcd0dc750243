"""Bodies on their way: passed on at once, with bounded memory, and never taken for complete when broken off.

Covered: events one by one, uploads piece by piece, slow readers, Expect: 100-continue, breaks on either side,
time limits, early responses. Left out: framing (`test_proxying_forward`).
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from kpa.dataplane.http import forward as forward_module
from kpa.dataplane.http.forward import forward
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.upstream import Upstream
from tests.kpa.dataplane.http_peers import (
    application,
    ask,
    connected,
    get,
    on_both_loops,
    post,
    proxying,
    rest_of,
    serving,
)
from tests.servers import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEGABYTE = 2**20


@on_both_loops
async def test_each_event_arrives_before_the_next_is_sent() -> None:
    arrived = asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(5):
            await arrived.wait()
            arrived.clear()
            await response.write(b"data: %d\n\n" % number)
        return response

    async with (
        application(events=events) as port,
        proxying(port) as proxy,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{proxy}/events") as response,  # the head comes alone
    ):
        for number in range(5):
            arrived.set()
            assert await response.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
        assert await response.content.read() == b""


@on_both_loops
async def test_each_piece_of_an_upload_arrives_before_the_next_is_sent() -> None:
    arrived = asyncio.Queue[bytes]()

    async def upload(request: web.Request) -> web.Response:
        async for piece in request.content.iter_any():
            arrived.put_nowait(piece)
        return web.Response(text="done")

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"piece %d" % number
            assert await arrived.get() == b"piece %d" % number

    async with (
        application(upload=upload) as port,
        proxying(port) as proxy,
        ClientSession() as session,
        session.post(f"http://127.0.0.1:{proxy}/upload", data=pieces()) as response,
    ):
        assert await response.text() == "done"


@on_both_loops
async def test_an_upload_waits_for_a_slow_upstream_and_arrives_whole() -> None:
    size, go, received = 64 * MEGABYTE, asyncio.Event(), 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        while received < size:
            received += len(await reader.read(MEGABYTE))
        writer.write(OK)

    async with scripted(slow) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", f"Content-Length: {size}", method="POST"))
        sent = await _write_until_stuck(writer, size)
        assert sent < size  # only what sockets and the proxy hold
        go.set()
        for _ in range(sent, size, MEGABYTE):
            writer.write(bytes(MEGABYTE))
            await writer.drain()
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 200 OK")
        assert received == size


@on_both_loops
async def test_a_download_waits_for_a_slow_client_and_arrives_whole() -> None:
    size, stuck = 64 * MEGABYTE, asyncio.Event()

    async def download(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sent = await _write_until_stuck(writer, size)
        assert sent < size
        stuck.set()
        for _ in range(sent, size, MEGABYTE):
            writer.write(bytes(MEGABYTE))
            await writer.drain()

    async with scripted(download) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get())
        await stuck.wait()
        await reader.readuntil(b"\r\n\r\n")
        received = 0
        while piece := await reader.read(MEGABYTE):
            received += len(piece)
        assert received == size


async def _write_until_stuck(writer: asyncio.StreamWriter, size: int) -> int:
    """Write until nobody has read for half a second; the bytes written."""
    for sent in range(0, size, MEGABYTE):
        writer.write(bytes(MEGABYTE))
        try:
            async with asyncio.timeout(0.5):
                await writer.drain()
        except TimeoutError:
            return sent + MEGABYTE
    return size


@on_both_loops
async def test_a_client_that_waits_for_leave_gets_it_from_the_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward_module, "CONTINUE_SECONDS", 3600.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)
        await reader.read()

    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 200 OK")


@on_both_loops
async def test_an_upstream_that_refuses_a_body_saves_the_client_from_sending_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        assert await reader.read() == b""

    async with scripted(serve) as port, proxying(port) as proxy:
        response = await ask(proxy, get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
    assert response.startswith(b"HTTP/1.1 417 ")
    assert b"Connection: close" in response


async def test_leave_is_given_for_an_upstream_that_does_not_know_the_mechanism(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward_module, "CONTINUE_SECONDS", 0.05)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"body")
        writer.write(OK)

    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
        await reader.readuntil(b"100 Continue\r\n\r\n")
        writer.write(b"body")
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 200 OK")


@on_both_loops
async def test_an_early_response_reaches_a_client_that_still_sends() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n")
        await reader.read()

    async with scripted(serve) as port, proxying(port) as proxy:
        upload = get("/", f"Content-Length: {MEGABYTE}", method="POST", close=False)
        response = await ask(proxy, upload + bytes(MEGABYTE // 2))
        await ask(proxy, get())  # over another connection, as the rest of the upload is missing in that one
    assert heads[1].startswith(b"GET / ")
    assert b"Connection: close" in response
    assert response.startswith(b"HTTP/1.1 413 Too Large\r\n")
    assert response.endswith(b"\r\n\r\nno\n")


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nrubbish\r\n",
    ],
    ids=["length", "chunks", "broken chunks"],
)
@on_both_loops
async def test_a_response_that_breaks_off_never_looks_complete(beginning: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(beginning)
        await writer.drain()
        await passed_on.wait()

    passed_on = asyncio.Event()
    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get())
        response = await reader.readuntil(b"half")
        passed_on.set()
        response += await rest_of(reader)
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert b"0\r\n\r\n" not in response


@on_both_loops
async def test_an_upstream_whose_connection_breaks_is_no_end_of_a_body_without_length() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        await passed.wait()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no end
        writer.transport.abort()

    passed = asyncio.Event()
    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get())
        await reader.readuntil(b"half")
        passed.set()
        assert b"0\r\n\r\n" not in await rest_of(reader)


@on_both_loops
async def test_a_client_that_goes_away_takes_its_request_with_it() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        gone.set()

    async with scripted(serve) as port, proxying(port) as proxy:
        async with connected(proxy) as (_, writer):
            writer.write(get())
            await arrived.wait()
        await gone.wait()


@on_both_loops
async def test_a_client_that_goes_away_in_the_middle_of_its_body_takes_its_request_with_it() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"half")
        arrived.set()
        await reader.read()
        gone.set()

    async with scripted(serve) as port, proxying(port) as proxy:
        async with connected(proxy) as (_, writer):
            writer.write(get("/", "Content-Length: 10", method="POST") + b"half")
            await arrived.wait()
        await gone.wait()


@pytest.mark.parametrize("option", ["respond_by", "idle"])
@on_both_loops
async def test_an_upstream_that_is_silent_for_too_long_is_given_up(option: str) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        gone.set()

    limit = 0.2 + (asyncio.get_running_loop().time() if option == "respond_by" else 0.0)
    async with scripted(silent) as port, proxying(port, **{option: limit}) as proxy:
        assert (await ask(proxy, post(b"x"))).startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        await gone.wait()


@on_both_loops
async def test_a_limit_on_the_whole_breaks_a_response_that_has_begun() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await reader.read()

    async with scripted(endless) as port:
        upstream = Upstream("127.0.0.1", port)

        limit = asyncio.timeout(None)

        async def handle(request: Request) -> None:
            try:
                async with limit:
                    await forward(request, upstream)
            except TimeoutError:
                request.fail(504, "request timeout")

        async with serving(handle) as (proxy, _), connected(proxy) as (reader, writer):
            writer.write(get())
            response = await reader.readuntil(b"1\r\na\r\n")
            limit.reschedule(0.0)
            response += await rest_of(reader)
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert response.endswith(b"1\r\na\r\n")


@on_both_loops
async def test_a_response_may_begin_before_the_request_has_ended() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(3):
            writer.write(await reader.readexactly(2))

    async with scripted(echo) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", "Content-Length: 6", method="POST"))
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"ab", b"cd", b"ef"):
            writer.write(piece)
            assert await reader.readexactly(2) == piece
