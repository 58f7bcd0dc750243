"""Connections that leave HTTP: websockets, and whatever else is upgraded to.

Covered: messages, subprotocols and close codes both ways, large messages, ends on either side, refused
upgrades.
"""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web

from tests.kpa.dataplane.http_peers import (
    application,
    ask,
    connected,
    get,
    on_both_loops,
    proxying,
    rest_of,
)
from tests.servers import scripted

UPGRADE = ("Connection: Upgrade", "Upgrade: echo")


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("other", "chat"), max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "leave":
            await socket.close(code=4001, message=b"as asked")
        elif message.type == WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        else:
            await socket.send_bytes(message.data)
    return socket


async def _dialogue(url: str, **options: Any) -> tuple[Any, ...]:
    async with (
        ClientSession() as session,
        session.ws_connect(url, protocols=("chat",), max_msg_size=0, **options) as ws,
    ):
        await ws.send_str("hello")
        text = await ws.receive_str()
        await ws.send_bytes(bytes(4 * 2**20))
        size = len(await ws.receive_bytes())
        await ws.send_str("leave")
        last = await ws.receive()
        return ws.protocol, text, size, ws.close_code, last.extra


@pytest.mark.parametrize("options", [{}, {"compress": 15}], ids=["plain", "compressed"])
@on_both_loops
async def test_messages_subprotocol_and_close_code_pass_both_ways(options: dict[str, Any]) -> None:
    async with application(ws=echo) as port, proxying(port) as proxy:
        outcome = await _dialogue(f"http://127.0.0.1:{proxy}/ws", **options)
    assert outcome == ("chat", "HELLO", 4 * 2**20, 4001, "as asked")


@on_both_loops
async def test_the_close_code_of_the_client_reaches_the_server() -> None:
    closed = asyncio.Queue[int | None]()

    async def listen(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        closed.put_nowait(socket.close_code)
        return socket

    async with application(ws=listen) as port, proxying(port) as proxy, ClientSession() as session:
        async with session.ws_connect(f"http://127.0.0.1:{proxy}/ws") as ws:
            await ws.close(code=4002)
        assert await closed.get() == 4002


@on_both_loops
async def test_bytes_sent_together_with_the_heads_are_not_lost() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nwelcome ")
        writer.write(await reader.readexactly(5))

    async with scripted(serve) as port, proxying(port) as proxy:
        response = await ask(proxy, get("/", *UPGRADE, close=False) + b"early")
    assert response.startswith(b"HTTP/1.1 101 Switching\r\n")
    assert response.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome early")


@pytest.mark.parametrize("ender", ["client", "server"])
@on_both_loops
async def test_the_end_of_one_side_ends_the_other(ender: str) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        if ender == "client":
            await reader.read()
            gone.set()

    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", *UPGRADE, close=False))
        await reader.readuntil(b"\r\n\r\n")
        if ender == "client":
            writer.close()
            await gone.wait()
        else:
            assert await reader.read() == b""


@on_both_loops
async def test_a_refused_upgrade_is_passed_back_and_the_connection_closed() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403, text="no")

    async with application(ws=refuse) as port, proxying(port) as proxy:
        response = await ask(proxy, get("/ws", *UPGRADE, close=False))
    assert response.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"Connection: close" in response
    assert response.endswith(b"\r\n\r\nno")


@on_both_loops
async def test_a_slow_reader_of_a_tunnel_slows_its_writer_down() -> None:
    size, go = 64 * 2**20, asyncio.Event()
    stuck = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        for _ in range(0, size, 2**20):
            writer.write(bytes(2**20))
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                await go.wait()
                await writer.drain()

    async with scripted(flood) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", *UPGRADE, close=False))
        await stuck.wait()
        go.set()
        await reader.readuntil(b"\r\n\r\n")
        assert len(await rest_of(reader)) == size
