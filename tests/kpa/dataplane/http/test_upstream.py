"""Connections to a server by themselves. Left out: requests over them (test_forward, test_streams)."""

import asyncio
import socket

import pytest

from kpa.dataplane.http.upstream import refuse_self
from tests.kpa.dataplane.http_peers import on_both_loops
from tests.waiting import until


def can_listen(address: tuple[str, int]) -> bool:
    with socket.socket() as server:
        try:
            server.bind(address)
        except OSError:
            return False
        server.listen()
        return True


@on_both_loops
async def test_a_connection_with_itself_is_refused_and_its_port_is_free_at_once() -> None:
    itself = socket.socket()
    itself.bind(("127.0.0.1", 0))
    address = itself.getsockname()
    itself.connect(address)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=itself)
    assert not can_listen(address)
    try:
        with pytest.raises(ConnectionRefusedError):
            refuse_self(transport)
        await until(lambda: can_listen(address), "the port is free", seconds=5.0)
    finally:
        transport.abort()


@on_both_loops
async def test_a_connection_with_another_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = asyncio.get_running_loop().create_connection(asyncio.Protocol, *server.getsockname())
        transport, _ = await made
        try:
            refuse_self(transport)
            assert not transport.is_closing()
        finally:
            transport.abort()
