"""What passes through the proxy and what does not.

Covered: fields, framing, responses without bodies, failures of the upstream before its response, repeated
requests, offers of HTTP/2. Left out: timing and broken bodies (`test_proxying_streams`), websockets
(`test_proxying_tunnels`).
"""

import asyncio
import gzip

import pytest

from kpa.dataplane.http.forward import forward
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.upstream import Upstream, UpstreamUnreachable
from tests.kpa.dataplane.http_peers import (
    ask,
    connected,
    get,
    on_both_loops,
    post,
    proxying,
    replies,
    rest_of,
    serving,
)
from tests.servers import Port, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def fields_of(message: bytes) -> list[bytes]:
    return message.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]


@on_both_loops
async def test_the_request_line_and_end_to_end_fields_pass_in_order_and_spelling() -> None:
    async with replies(OK) as (port, seen), proxying(port) as proxy:
        await ask(
            proxy, get("/a%2Fb//c?x=1&y=%20", "x-Two: 2", "COOKIE: a=b", "x-two: 3", "Accept-Encoding: br")
        )
    assert seen[0].startswith(b"GET /a%2Fb//c?x=1&y=%20 HTTP/1.1\r\n")
    assert fields_of(seen[0])[:5] == [
        b"Host: hello.localhost",
        b"x-Two: 2",
        b"COOKIE: a=b",
        b"x-two: 3",
        b"Accept-Encoding: br",
    ]


@on_both_loops
async def test_fields_of_one_connection_do_not_pass_in_either_direction() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n"
    hop = (
        "Connection: X-Secret, close",
        "X-Secret: 1",
        "TE: trailers",
        "Keep-Alive: 1",
        "Proxy-Authorization: x",
    )
    async with replies(answer + b"Content-Length: 0\r\n\r\n") as (port, seen), proxying(port) as proxy:
        response = await ask(proxy, get("/", *hop, close=False))
    names = {line.split(b":")[0].lower() for line in fields_of(seen[0])}
    assert names == {b"host", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
    assert fields_of(response) == [b"X-Stays: 1", b"Content-Length: 0", b"Connection: close"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            (),
            [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Host: hello.localhost", b"X-Forwarded-Proto: http"],
        ),
        (
            ("X-Forwarded-For: 10.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: outside.example"),
            [
                b"X-Forwarded-For: 10.0.0.9, 127.0.0.1",
                b"X-Forwarded-Host: outside.example",
                b"X-Forwarded-Proto: https",
            ],
        ),
    ],
    ids=["first proxy", "behind another proxy"],
)
async def test_forwarding_fields_name_the_client_and_keep_what_earlier_proxies_said(
    sent: tuple[str, ...], expected: list[bytes]
) -> None:
    async with replies(OK) as (port, seen), proxying(port) as proxy:
        await ask(proxy, get("/", *sent))
    assert sorted(line for line in fields_of(seen[0]) if line.startswith(b"X-F")) == expected


async def test_added_fields_replace_those_of_the_client_and_dropped_ones_are_left_out() -> None:
    options = {"add": [(b"K-Proxy-Request", b"activator")], "drop": (b"knative-serving-revision",)}
    async with replies(OK) as (port, seen), proxying(port, **options) as proxy:
        await ask(proxy, get("/", "k-proxy-request: forged", "Knative-Serving-Revision: r"))
    assert [line for line in fields_of(seen[0]) if line.lower().startswith(b"k")] == [
        b"K-Proxy-Request: activator"
    ]


@on_both_loops
async def test_lengths_and_chunks_are_kept_as_they_were() -> None:
    framing, data = "Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nTrailer: ignored\r\n\r\n"
    async with replies(answer, OK) as (port, seen), proxying(port) as proxy:
        first, second = (
            await ask(proxy, get("/", framing, method="POST") + data),
            await ask(proxy, post(b"abcd")),
        )
    assert b"Transfer-Encoding: chunked" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert b"Content-Length: 4" in seen[1]
    assert seen[1].endswith(b"\r\n\r\nabcd")
    assert b"Transfer-Encoding: chunked" in first
    assert first.endswith(b"\r\n\r\n3\r\nxyz\r\n0\r\n\r\n")
    assert b"Content-Length: 2" in second


async def test_compressed_bytes_cookies_and_redirects_pass_untouched() -> None:
    body = gzip.compress(b"hello" * 100)
    answer = b"HTTP/1.1 302 Elsewhere\r\nLocation: /x\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n"
    answer += b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with replies(answer) as (port, seen), proxying(port) as proxy:
        response = await ask(proxy, get())
    assert response == answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("method", "answer", "fields"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", [b"Content-Length: 999"]),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", []),
        (
            "GET",
            b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 9\r\n\r\n',
            [b'ETag: "x"', b"Content-Length: 9"],
        ),
    ],
    ids=["HEAD with length", "HEAD with chunks", "204", "304 with length"],
)
async def test_a_response_without_body_leaves_the_connection_to_the_next_request(
    method: str, answer: bytes, fields: list[bytes]
) -> None:
    async with (
        replies(answer, OK) as (port, _),
        proxying(port) as proxy,
        connected(proxy) as (reader, writer),
    ):
        writer.write(get(method=method, close=False))
        assert fields_of(await reader.readuntil(b"\r\n\r\n")) == fields
        writer.write(get())
        assert (await rest_of(reader)).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    "http10", [False, True], ids=["HTTP/1.1 gets chunks", "HTTP/1.0 gets the end of the connection"]
)
async def test_a_body_that_ends_with_its_connection_is_framed_for_the_client(http10: bool) -> None:
    request = b"GET / HTTP/1.0\r\n\r\n" if http10 else get()
    async with replies(b"HTTP/1.0 200 OK\r\n\r\nuntil the end") as (port, _), proxying(port) as proxy:
        response = await ask(proxy, request)
    assert (b"Transfer-Encoding: chunked" in response) is not http10
    assert response.endswith(
        b"\r\n\r\nuntil the end" if http10 else b"\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", b"closed before the response was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-", b"closed before the response was complete"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"malformed response"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            b"without being asked",
        ),
    ],
    ids=["closed", "half a head", "not HTTP", "protocol switched"],
)
@on_both_loops
async def test_an_upstream_that_fails_before_its_response_is_answered_with_502_and_the_reason(
    answer: bytes, reason: bytes
) -> None:
    async with replies(answer) as (port, _), proxying(port) as proxy:
        response = await ask(proxy, get())
    assert response.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert reason in response


@on_both_loops
async def test_without_a_connection_the_request_is_untouched_and_may_go_elsewhere() -> None:
    nobody = Port()
    async with replies(OK) as (port, seen):

        async def handle(request: Request) -> None:
            with pytest.raises(UpstreamUnreachable):
                await forward(request, Upstream("127.0.0.1", nobody.number))
            await forward(request, Upstream("127.0.0.1", port))

        async with serving(handle) as (proxy, _):
            assert (await ask(proxy, post(b"body"))).startswith(b"HTTP/1.1 200 OK")
    assert seen[0].endswith(b"body")


@pytest.mark.parametrize(
    ("request_", "status", "times"),
    [
        (get(close=False), b"200", 3),
        (get(method="DELETE", close=False), b"200", 3),
        (post(b"body", close=False).replace(b"POST", b"PUT"), b"200", 3),
        (post(b"body", close=False), b"502", 2),
    ],
    ids=["GET", "DELETE", "PUT with body", "POST is not"],
)
async def test_a_request_lost_on_a_kept_alive_connection_is_repeated_if_it_may_be(
    request_: bytes, status: bytes, times: int
) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        seen.append(b"lost")

    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get(close=False))
        await reader.readuntil(b"\r\n\r\nok")
        writer.write(request_)
        assert (await reader.readline()).split()[1] == status
        assert len(seen) == times


async def test_a_request_whose_body_was_partly_sent_is_not_repeated() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        seen.append(await reader.readuntil(b"half"))

    async with scripted(serve) as port, proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get(close=False))
        await reader.readuntil(b"\r\n\r\nok")
        writer.write(get("/", "Content-Length: 8", method="PUT", close=False) + b"half")
        assert (await reader.readline()).split()[1] == b"502"
    assert len(seen) == 2


@pytest.mark.parametrize("body", [b"", b"some body"], ids=["no body", "body"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@on_both_loops
async def test_offers_of_http2_are_not_taken_and_bodies_behind_them_pass(body: bytes, chunked: bool) -> None:
    fields = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    )
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    data = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if chunked else body
    async with replies(OK) as (port, seen), proxying(port) as proxy, connected(proxy) as (reader, writer):
        writer.write(get("/", *fields, framing, method="POST", close=False) + data)
        assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 OK")
        writer.write(get())  # and the connection goes on
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 200 OK")
    assert seen[0].endswith(b"\r\n\r\n" + data)
    assert b"pgrade" not in seen[0]
