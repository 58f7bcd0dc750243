"""Connections to an API server: whole answers however they come, and which connections are used again.

Left out: what is asked and what an answer means (test_client), TLS and credentials (test_client_credentials,
tests/kube/test_client_real).
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.kube import connections
from kpa.kube.connections import Answer, Broken, Connections
from kpa.kube.credentials import Access
from tests.kpa.local.helpers import until
from tests.servers import ScriptedServer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\n\r\n" + PLAIN
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nhello"
Ask = Callable[..., "asyncio.Task[Answer]"]
ANSWERS = {
    PLAIN: Answer(200, None, b"hello"),
    CHUNKED: Answer(200, None, b"hello"),
    EMPTY: Answer(204, None, b""),
    BUSY: Answer(429, "7", b""),
    EARLY: Answer(200, None, b"hello"),
}


class Server:
    """Answers each request with the next of some bytes; `pieces` come apart, and after `last` the end."""

    def __init__(self) -> None:
        self.access = Access("")
        self.answers: list[bytes] = []
        self.pieces = 0
        self.last = False
        self.connections = 0
        self.ended = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.answer(reader, writer)
        finally:
            self.ended += 1

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.requests.append(head + await reader.readexactly(int(length or b"0")))
            answer = self.answers.pop(0) if self.answers else PLAIN
            size = self.pieces or len(answer)
            for place in range(0, len(answer), size):
                writer.write(answer[place : place + size])
                await asyncio.sleep(0)
            if self.last:
                return


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with ScriptedServer(made.serve) as listening:
        made.access = Access(f"http://127.0.0.1:{listening.port}/prefix")
        yield made


@pytest.fixture
async def ask(server: Server) -> AsyncIterator[Ask]:
    made = Connections()

    def start(body: bytes = b"", access: Access = server.access) -> "asyncio.Task[Answer]":
        headers = {"Authorization": "Bearer one"}
        return asyncio.create_task(made.ask(access, "PUT", "/things?a=1", headers, body))

    yield start
    await made.close()
    assert not made._open


async def test_a_request_goes_below_the_address_with_its_headers_and_its_length(
    server: Server, ask: Ask
) -> None:
    await ask(b"{}")
    (request,) = server.requests
    line, host, *headers = request.decode().split("\r\n")
    assert line == "PUT /prefix/things?a=1 HTTP/1.1"
    assert host == f"Host: {server.access.address[7:-7]}"
    assert headers == ["Authorization: Bearer one", "Content-Length: 2", "", "{}"]


@pytest.mark.parametrize("pieces", [0, 1, 7], ids=["at once", "byte by byte", "in pieces"])
@pytest.mark.parametrize("sent", ANSWERS, ids=["plain", "chunked", "empty", "busy", "after hints"])
async def test_an_answer_is_whole_however_it_comes_and_its_connection_is_used_again(
    server: Server, ask: Ask, sent: bytes, pieces: int
) -> None:
    server.answers, server.pieces = [sent, PLAIN], pieces
    assert await ask() == ANSWERS[sent]
    assert await ask() == ANSWERS[PLAIN]
    assert server.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection(server: Server, ask: Ask) -> None:
    server.answers, server.last = [ENDLESS, PLAIN], True
    assert await ask() == Answer(200, None, b"hello")
    assert await ask() == ANSWERS[PLAIN]
    assert server.connections == 2


@pytest.mark.parametrize(
    "sent",
    [b"", PLAIN[:9], PLAIN[:-1], CHUNKED[:-6], ENDLESS[:15], b"SSH-2.0-go\r\n", b"HTTP/1.1 101 Go\r\n\r\n"],
    ids=["nothing", "line", "body", "chunks", "head", "something else", "another protocol"],
)
async def test_what_is_no_whole_answer_breaks_the_connection(server: Server, ask: Ask, sent: bytes) -> None:
    server.answers, server.last = [sent], True
    with pytest.raises(Broken):
        await ask()
    assert await ask() == ANSWERS[PLAIN]
    assert server.connections == 2


@pytest.mark.parametrize(
    "sent",
    [PLAIN + PLAIN, PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")],
    ids=["another answer comes with it", "the server says so"],
)
async def test_a_connection_is_not_used_again(server: Server, ask: Ask, sent: bytes) -> None:
    server.answers = [sent]
    assert await ask() == ANSWERS[PLAIN]
    assert await ask() == ANSWERS[PLAIN]
    assert server.connections == 2


async def test_a_connection_whose_request_was_given_up_is_closed(server: Server, ask: Ask) -> None:
    server.answers = [PLAIN[:20]]
    asking = ask()
    await until(lambda: server.requests, "the request has come")
    asking.cancel()
    await asyncio.wait([asking])
    await until(lambda: server.ended, "the connection is closed")
    assert await ask() == ANSWERS[PLAIN]


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: Server, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(ask(), ask())
    assert server.connections == 2
    await ask()
    assert server.connections == 2
    monkeypatch.setattr(connections, "_IDLE", 0.0)
    await ask()
    assert server.connections == 3


async def test_other_certificates_have_connections_of_their_own(server: Server, ask: Ask) -> None:
    await ask()
    address = server.access.address
    await ask(access=Access(address, authorization="Bearer two"))
    assert server.connections == 1  # who we are is in the request
    await ask(access=Access(address, server_name="kube"))
    assert server.connections == 2


async def test_nobody_there_is_an_error_of_the_system() -> None:
    async with ScriptedServer(Server().serve) as listening:
        port = listening.port
    made = Connections()
    with pytest.raises(ConnectionError):
        await made.ask(Access(f"http://127.0.0.1:{port}"), "GET", "/", {}, b"")
    await made.close()


@given(st.sampled_from(list(ANSWERS)), st.sampled_from(list(ANSWERS)), st.lists(st.integers(0, 200)))
async def test_how_bytes_are_cut_makes_no_difference(first: bytes, second: bytes, cuts: list[int]) -> None:
    connection = connections._Connection(set())
    connection.connection_made(_Nowhere())
    for sent in (first, second):
        answer = connection.ask(b"")
        ends = [0, *sorted(cut % len(sent) for cut in cuts), len(sent)]
        for start, end in itertools.pairwise(ends):
            if start < end:
                connection.data_received(sent[start:end])
        assert await answer == ANSWERS[sent]
        assert connection.usable


class _Nowhere(asyncio.Transport):
    def write(self, data: object) -> None:
        pass
