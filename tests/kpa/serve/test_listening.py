"""Ports are open at all addresses of a pod, which may have IPv6 alone.

Left out: what is answered there, which tests/metrics/test_stat_server and test_server cover.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from kpa.serve.profiling import serve_no_profiles
from metrics.stat_server import StatServer

ATTEMPTS = 10  # a port that is free at one address may be taken at another


def loopbacks() -> list[str]:
    """Return what this machine calls itself, as URLs have it."""
    found = ["127.0.0.1"]
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        found.append("[::1]")
    return found


def free_port() -> int:
    with socket.create_server(("", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def stat_server(port: int) -> AsyncIterator[int]:
    server = StatServer(lambda messages: None)
    await server.start(None, port)
    yield 200
    await server.close()


@asynccontextmanager
async def profiles(port: int) -> AsyncIterator[int]:
    runner = await serve_no_profiles(None, port)
    yield 404
    await runner.cleanup()


@pytest.mark.parametrize("listening", [stat_server, profiles])
async def test_without_a_host_all_addresses_answer(listening: object) -> None:
    for attempt in range(ATTEMPTS):
        port = free_port()
        try:
            async with listening(port) as status, aiohttp.ClientSession() as session:  # type: ignore[operator]
                for host in loopbacks():
                    url, headers = f"http://{host}:{port}/", {"User-Agent": "kube-probe/1.34"}
                    async with session.get(url, headers=headers) as answer:
                        assert answer.status == status
            return
        except OSError:
            if attempt == ATTEMPTS - 1:
                raise
