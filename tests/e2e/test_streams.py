"""Answers that come in parts, through activator and queue-proxy: none of them is held back.

No clocks: the server sends a part only after the test has seen the one before.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.running import Kpa, service

pytestmark = pytest.mark.e2e

SERVER = ("$(KPA_PYTHON)", str(Path(__file__).with_name("stream_server.py")))
HOST = {"Host": "stream.localhost"}
SECONDS = 30.0
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def kpa(launch: Launch) -> Kpa:
    return launch(
        service("stream", {"initial-scale": 0}, command=SERVER), settings={"allow-zero-initial-scale": "t"}
    )


@pytest.fixture
async def session(kpa: Kpa) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{kpa.port}", headers=HOST) as made:
        yield made


async def test_server_sent_events_pass_one_by_one(session: aiohttp.ClientSession) -> None:
    """The request finds the service at zero; its answer's head is there before any event."""
    async with asyncio.timeout(SECONDS), session.get("/events?next=5") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        for number in range(5):
            async with session.post("/next") as passed:
                assert passed.status == 200
            assert await response.content.readuntil(b"\n\n") == f"data: {number}\n\n".encode()
        assert await response.content.read() == b""


async def test_a_websocket_talks_both_ways(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(SECONDS), session.ws_connect("/chat") as socket:
        for word in ("hello", "how are you", "x" * 300_000):
            await socket.send_str(word)
            assert await socket.receive_str() == word.upper()
        await socket.send_bytes(bytes(range(256)))
        assert await socket.receive_bytes() == bytes(reversed(range(256)))
        await socket.send_str("close")
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_an_upload_is_answered_while_it_comes(session: aiohttp.ClientSession) -> None:
    more: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while part := await more.get():
            yield part

    more.put_nowait(b"x" * 1000)
    async with asyncio.timeout(SECONDS), session.post("/upload", data=body()) as response:
        for size in (1000, 2000, 3000):
            received = 0
            while received < size:
                received += int(await response.content.readline())
            assert received == size
            more.put_nowait(b"x" * (size + 1000) if size < 3000 else b"")
        assert await response.content.read() == b""


async def test_a_large_upload_is_held_by_nobody(kpa: Kpa, session: aiohttp.ClientSession) -> None:
    """64 MB go through activator and queue-proxy, which grow by a small part of that."""
    proxies = [kpa.activator, kpa.queue_proxy_of(kpa.pods("stream")[0])]
    before = [peak(pid) for pid in proxies]

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * MEGABYTE

    received = 0
    async with asyncio.timeout(SECONDS), session.post("/upload", data=body()) as response:
        async for line in response.content:
            received += int(line)
    assert received == 64 * MEGABYTE
    for pid, peak_before in zip(proxies, before, strict=True):
        assert peak(pid) - peak_before < 16 * MEGABYTE


async def test_an_open_websocket_counts_as_load(kpa: Kpa, session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(SECONDS), session.ws_connect("/chat") as socket:
        await asyncio.to_thread(
            kpa.wait_status, "stream-00001", lambda status: (status.panic or 0) > 0.5, "a request in flight"
        )
        await socket.close()


def peak(pid: int) -> int:
    """Most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
