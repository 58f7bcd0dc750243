"""The side that clients see.

Covered: what is refused and how, many requests on one connection, short responses, failing handlers, the end.
"""

import asyncio
import logging

import pytest

from kpa.dataplane.http import connection as connection_module
from kpa.dataplane.http.request import Request
from tests.kpa.dataplane.http_peers import ask, connected, get, on_both_loops, post, rest_of, serving


async def hello(request: Request) -> None:
    body = b"".join([piece async for piece in _pieces(request)])
    request.respond(200, b"%b %b" % (request.path.encode(), body))


async def _pieces(request: Request):  # type: ignore[no-untyped-def]
    while piece := await request.body.read():
        yield piece


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (get("/", "X-Long: " + "x" * 70_000), 431),
        (b"GET /" + b"x" * 70_000, 431),
        (get("/", *[f"X-{number}: {'y' * 70}" for number in range(1000)]), 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * 1_000_000, 431),
    ],
    ids=[
        "TLS",
        "bad field name",
        "no host",
        "two hosts",
        "length and chunks",
        "two lengths",
        "negative length",
        "CONNECT",
        "unknown encoding",
        "long field",
        "endless target",
        "many fields",
        "endless field",
    ],
)
@on_both_loops
async def test_what_is_no_request_is_refused_with_a_status_and_the_connection_closed(
    request_: bytes, status: int
) -> None:
    async with serving(hello) as (port, _):
        response = await ask(port, request_)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in response


@on_both_loops
async def test_a_head_that_does_not_come_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HEAD_SECONDS", 0.4)
    body = post(b"body")
    async with (
        serving(hello) as (port, _),
        connected(port) as (reader, writer),
        connected(port) as (reader_of_body, writer_of_body),
    ):
        writer.write(get("/first", close=False))
        await reader.readuntil(b"/first ")
        writer_of_body.write(body[:-1])
        await asyncio.sleep(0.5)  # a client may take its time for a body and between requests
        writer_of_body.write(body[-1:])
        assert (await rest_of(reader_of_body)).endswith(b"/ body")
        writer.write(get("/second", close=False))
        await reader.readuntil(b"/second ")
        writer.write(b"GET /slow")
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@on_both_loops
async def test_what_is_no_request_behind_one_being_answered_breaks_the_connection() -> None:
    """An answer to it would be taken for a part of the response before."""
    arrived = asyncio.Event()

    async def hang(request: Request) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with serving(hang) as (port, _), connected(port) as (reader, writer):
        writer.write(get(close=False))
        await arrived.wait()
        writer.write(b"\x16\x03\x01")
        assert await rest_of(reader) == b""


@pytest.mark.parametrize("step", [1, 7, 10_000], ids="in pieces of {} bytes".format)
async def test_requests_on_one_connection_are_answered_in_order(step: int) -> None:
    requests = get("/1", close=False) + post(b"two", close=False) + get("/3", close=False) + get("/4")
    async with serving(hello) as (port, _), connected(port) as (reader, writer):
        for start in range(0, len(requests), step):
            writer.write(requests[start : start + step])
            await asyncio.sleep(0)
        response = await rest_of(reader)
    bodies = [part.split(b"\r\n\r\n")[1] for part in response.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"/1 ", b"/ two", b"/3 ", b"/4 "]


@on_both_loops
async def test_any_number_of_requests_may_be_sent_ahead() -> None:
    async with serving(hello) as (port, _), connected(port) as (reader, writer):
        writer.write(get("/again", close=False) * 3000 + get("/last"))
        response = await rest_of(reader)
    assert response.count(b"/again ") == 3000
    assert response.endswith(b"/last ")


async def test_an_absolute_target_is_served_as_its_path() -> None:
    async with serving(hello) as (port, _):
        assert (await ask(port, get("http://hello.localhost/path"))).endswith(b"/path ")
        assert (await ask(port, get("http://hello.localhost"))).endswith(b"/ ")


async def test_a_short_response_to_head_has_the_length_but_not_the_body() -> None:
    async def respond(request: Request) -> None:
        request.respond(200, b"body")

    async with serving(respond) as (port, _):
        response = await ask(port, get(method="HEAD"))
    assert b"Content-Length: 4\r\n" in response
    assert response.endswith(b"\r\n\r\n")


async def test_a_handler_that_fails_is_answered_with_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Request) -> None:
        raise ZeroDivisionError

    async with serving(fail) as (port, _):
        with caplog.at_level(logging.ERROR):
            response = await ask(port, get("/path"))
    assert response.startswith(b"HTTP/1.1 500 ")
    assert "GET /path" in caplog.text


async def test_a_handler_that_does_not_answer_is_answered_for() -> None:
    async def forget(request: Request) -> None:
        return

    async with serving(forget) as (port, _):
        assert (await ask(port, get())).startswith(b"HTTP/1.1 500 ")


@on_both_loops
async def test_the_end_waits_for_requests_in_flight_and_takes_no_new_ones() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def wait(request: Request) -> None:
        arrived.set()
        await go.wait()
        request.respond(200, b"done")

    async with (
        serving(wait) as (port, server),
        connected(port) as (reader, writer),
        connected(port) as (idle, _),
    ):
        writer.write(get(close=False))
        await arrived.wait()
        closing = asyncio.create_task(server.close(None))
        assert await idle.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not closing.done()
        go.set()
        response = await rest_of(reader)
        assert b"Connection: close" in response
        assert response.endswith(b"done")
        writer.close()
        await closing


@on_both_loops
async def test_the_end_does_not_wait_for_a_request_that_leaves_http_meanwhile() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def upgrade(request: Request) -> None:
        arrived.set()
        await go.wait()
        await request.switch(101, b"", []).read()

    async with serving(upgrade) as (port, server), connected(port) as (reader, writer):
        writer.write(get("/", "Upgrade: echo", "Connection: Upgrade", close=False))
        await arrived.wait()
        closing = asyncio.create_task(server.close(grace=None, tunnel_grace=0.0))
        await asyncio.sleep(0)
        go.set()
        await closing
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 101 ")


@on_both_loops
async def test_the_end_breaks_what_takes_too_long() -> None:
    arrived, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: Request) -> None:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(hang) as (port, server), connected(port) as (reader, writer):
        writer.write(get())
        await arrived.wait()
        await server.close(0.05)
        assert cancelled.is_set()
        assert await rest_of(reader) == b""
