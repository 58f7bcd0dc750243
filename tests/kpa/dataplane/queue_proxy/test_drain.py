"""The end of a queue-proxy, which loses no request.

Covered: both ways to begin it, the quiet time, requests and websockets in flight, more signals, a reader of
events that has gone.
"""

import asyncio
import signal

import pytest
from aiohttp import ClientSession, web

from tests.kpa.dataplane.http_peers import (
    DEADLINE,
    Child,
    application,
    ask,
    connected,
    get,
    queue_proxy,
    replies,
    rest_of,
)

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PROBE = ("User-Agent: kube-probe/1.34", "K-Network-Probe: queue")


async def drained(child: Child) -> int:
    """Wait until it has told of its end and is gone; the exit code."""
    async with asyncio.timeout(DEADLINE):
        while (await child.event())["event"] != "drained":
            pass
        return await child.process.wait()


async def closed(port: int) -> None:
    """Wait until nobody listens any more."""
    while True:
        try:
            async with connected(port) as (reader, writer):
                if writer.get_extra_info("sockname") == writer.get_extra_info("peername"):
                    return  # the kernel gave us that very port: nobody else has it
                async with asyncio.timeout(0.1):  # it may have been taken, and be kept until the end
                    await rest_of(reader)
        except TimeoutError:
            pass
        except ConnectionRefusedError:
            return
        except ConnectionError:
            pass  # was about to be accepted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_an_idle_one_ends_after_the_quiet_time(number: signal.Signals) -> None:
    async with replies(OK) as (port, _), queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="0.3") as child:
        await child.event()
        start = asyncio.get_running_loop().time()
        child.process.send_signal(number)
        assert await drained(child) == 0
        assert asyncio.get_running_loop().time() - start >= 0.3


async def test_it_ends_before_the_replica_was_ever_ready() -> None:
    async with queue_proxy(1, QUEUE_DRAIN_QUIET_SECONDS="0") as child:
        child.process.terminate()
        assert await drained(child) == 0


async def test_whoever_waits_for_the_drain_begins_it_and_is_answered_at_its_end() -> None:
    async with replies(OK) as (port, _), queue_proxy(port) as child:
        response = asyncio.create_task(ask(child.admin, get("/wait-for-drain")))
        assert await drained(child) == 0
        assert (await response).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_it_serves_and_fails_probes_until_nobody_sends_any_more() -> None:
    async with replies(OK) as (port, _), queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="3") as child:
        await child.event()
        child.process.terminate()
        while not (await ask(child.serving, get("/", *PROBE))).startswith(b"HTTP/1.1 503 "):
            pass  # the signal is on its way
        for _ in range(4):
            response = await ask(child.serving, get(close=False))  # asked to keep the connection
            assert response.endswith(b"\r\nConnection: close\r\n\r\nok")
            await asyncio.sleep(1.0)
            assert child.process.returncode is None
        assert await drained(child) == 0


async def test_a_load_that_moves_away_loses_no_request() -> None:
    async def handle(request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.Response(text=await request.text())

    async with (
        application(x=handle) as port,
        queue_proxy(port, CONTAINER_CONCURRENCY="4", QUEUE_DRAIN_QUIET_SECONDS="3") as old,
        queue_proxy(port, CONTAINER_CONCURRENCY="4") as new,
        ClientSession() as session,
    ):
        target, answers = old, list[int]()
        reached = {80: asyncio.Event(), 120: asyncio.Event()}

        async def client() -> None:
            for number in range(40):
                url = f"http://127.0.0.1:{target.serving}/x"
                async with session.post(url, data=f"{number}") as response:
                    assert await response.text() == f"{number}"
                    answers.append(response.status)
                    if len(answers) in reached:
                        reached[len(answers)].set()

        clients = [asyncio.create_task(client()) for _ in range(8)]
        await reached[80].wait()
        old.process.terminate()
        await reached[120].wait()
        target = new
        await asyncio.gather(*clients)
        assert answers == [200] * 320
        assert await drained(old) == 0


async def test_requests_in_flight_are_finished_whatever_else_is_signalled() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        arrived.set()
        await go.wait()
        return web.Response(text="done")

    async with application(x=slow) as port, queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="0") as child:
        request = asyncio.create_task(ask(child.serving, get("/x")))
        await arrived.wait()
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            child.process.send_signal(number)
            await closed(child.serving)  # so that the signals do not become one
        go.set()
        assert (await request).endswith(b"done")
        assert await drained(child) == 0


async def test_a_request_in_flight_does_not_outlive_its_time() -> None:
    async def hang(request: web.Request) -> web.Response:
        child.process.terminate()
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        application(x=hang) as port,
        queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="0", REVISION_TIMEOUT_SECONDS="2") as child,
    ):
        assert (await ask(child.serving, get("/x"))).startswith(b"HTTP/1.1 504 ")
        assert await drained(child) == 0


async def test_a_websocket_may_go_on_after_the_quiet_time() -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_str(message.data)
        return websocket

    async with (
        application(ws=echo) as port,
        queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="0") as child,
        ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{child.serving}/ws") as websocket,
    ):
        child.process.terminate()
        await closed(child.serving)
        await websocket.send_str("still here")
        assert await websocket.receive_str() == "still here"
        await websocket.close()
        assert await drained(child) == 0


async def test_a_reader_of_events_that_has_gone_is_no_reason_to_end() -> None:
    async with replies(OK) as (port, _), queue_proxy(port, QUEUE_DRAIN_QUIET_SECONDS="3") as child:
        child.hang_up()
        child.process.terminate()
        assert (await ask(child.serving, get())).endswith(b"ok")
        async with asyncio.timeout(DEADLINE):
            assert await child.process.wait() == 0
