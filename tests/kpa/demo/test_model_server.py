"""The sample model as a real process.

Covered: loading, readiness, each kind of work, streaming, refusals, pipelining, batches, SIGTERM.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import pytest

from kpa.demo.model_server import LOADED_AT

pytestmark = pytest.mark.process


class Model(NamedTuple):
    """A running model server."""

    session: aiohttp.ClientSession
    port: int
    process: asyncio.subprocess.Process


@asynccontextmanager
async def model(**environment: str) -> AsyncIterator[Model]:
    """Start a model server on a free port; it must end by itself after SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kpa.demo.model_server"),
        env={**os.environ, "PORT": "0", **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        line = (await process.stdout.readline()).decode()
        port = int(line.rpartition(":")[2])
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:
            yield Model(session, port, process)
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_it_listens_once_the_model_is_loaded() -> None:
    before = time.time()
    async with model(LOAD_SECONDS="0.5") as server, server.session.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
        assert float(answer.headers[LOADED_AT]) - before >= 0.5


async def test_it_does_all_the_work_that_is_asked_for_and_says_so() -> None:
    async with model() as server:
        started = time.monotonic()
        async with server.session.get("/", params={"sleep": 200, "prime": 10000, "bloat": 5}) as answer:
            text = await answer.text()
        assert time.monotonic() - started >= 0.2
        assert text.splitlines() == [
            "held 5 MB of memory",
            "the largest prime below 10000 is 9973",
            "worked for 200 ms",
        ]


async def test_the_service_time_is_that_of_the_environment_for_any_path_and_body() -> None:
    body = b"x" * 1_000_000
    async with (
        model(SERVICE_SECONDS="0.05") as server,
        server.session.post("/v1/models/x:predict", data=body) as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "worked for 50 ms\n")


async def test_tokens_arrive_one_by_one_at_their_rate() -> None:
    async with model() as server, server.session.get("/?tokens=4&rate=3") as answer:
        assert answer.content_type == "text/event-stream"
        times = []
        async for line in answer.content:
            if line.strip():
                times.append((line, time.monotonic()))
    assert [line for line, _ in times] == [b"data: token %d\n" % number for number in range(1, 5)]
    assert times[3][1] - times[0][1] > 0.2  # 1 s by the rate, but the first may have waited for us


async def test_tokens_end_with_the_connection_for_clients_without_chunks() -> None:
    async with model() as server:
        request = b"GET /?tokens=2&rate=1000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        head, _, body = (await exchange(server.port, request)).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == b"data: token 1\n\ndata: token 2\n\n"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/?sleep=soon", 400, "sleep='soon' is not a number from 0 to 3600000\n"),
        (
            "GET",
            "/?snooze=1",
            400,
            "unknown parameter 'snooze'; known are sleep, prime, bloat, tokens, rate\n",
        ),
        ("DELETE", "/", 405, "DELETE is not served; GET and POST are\n"),
        ("HEAD", "/healthz", 405, ""),
    ],
)
async def test_what_it_cannot_do_it_refuses_with_the_reason(
    method: str, path: str, status: int, text: str
) -> None:
    async with model() as server, server.session.request(method, path) as answer:
        assert (answer.status, await answer.text()) == (status, text)


async def test_what_is_not_http_is_answered_400_and_closed() -> None:
    async with model() as server:
        assert (await exchange(server.port, b"hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_requests_sent_ahead_are_answered_in_order_and_expectations_met() -> None:
    async with model() as server:
        first = b"POST /?prime=10 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
        second = b"GET /?prime=20 HTTP/1.1\r\nConnection: close\r\n\r\n"
        answer = await exchange(server.port, first + second)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert 0 < answer.index(b"below 10 is 7") < answer.index(b"below 20 is 19")


async def test_a_batch_is_served_at_once_and_the_rest_waits() -> None:
    async with model(BATCH_SIZE="2", SERVICE_SECONDS="0.2") as server:

        async def ask() -> None:
            async with server.session.get("/") as answer:
                await answer.read()

        started = time.monotonic()
        await asyncio.gather(*(ask() for _ in range(5)))
        assert time.monotonic() - started >= 0.6  # 2 + 2 + 1


async def test_sigterm_lets_requests_in_flight_finish() -> None:
    async with model() as server:
        async with server.session.get("/?tokens=5&rate=10") as answer:
            await answer.content.readline()  # it is in flight now
            server.process.terminate()
            assert (await answer.read()).endswith(b"data: token 5\n\n")
        assert await asyncio.wait_for(server.process.wait(), 30) == 0


async def test_sigterm_ends_it_while_it_loads() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import kpa.demo.model_server as m; print('on', flush=True); m.main()"),
        env={**os.environ, "PORT": "0", "LOAD_SECONDS": "3000"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    await process.stdout.readline()
    process.terminate()  # before or after the handler is set: it ends either way
    assert await asyncio.wait_for(process.wait(), 30) in (0, -signal.SIGTERM)


async def test_a_bad_environment_is_refused_with_status_2() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kpa.demo.model_server"),
        env={**os.environ, "LOAD_SECONDS": "long"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert errors == b"model server: LOAD_SECONDS='long' is not a number from 0 to 3600\n"
