"""Aspects: what is handed on, what dropped, who gets a websocket, probes, pings, shutdown; on real sockets.

Left out: Knative's own activator as the client (tests/peer).
"""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from metrics.stat import Stat, StatMessage, encode_messages
from metrics.stat_server import StatServer
from tests.metrics.fake_pods import until

NOW = 1_800_000_000
STAT = Stat("activator-1", 3.0, 0.0, 5.0, 0.0, 0.0, NOW - 1)
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
MESSAGE = StatMessage("default", "hello", STAT)


class Host:
    """A running server, and what it handed on."""

    def __init__(self) -> None:
        self.batches: list[list[StatMessage]] = []
        self.server = StatServer(self.batches.append, clock=lambda: NOW + 0.7)
        self.port = 0
        self.session: aiohttp.ClientSession

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def send(self, *frames: bytes | str) -> None:
        """Send frames on one connection, and wait until the server has read them all."""
        async with self.session.ws_connect(self.url()) as socket:
            for frame in frames:
                await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            await socket.close()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    host.port = await host.server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as host.session:
        yield host
    await host.server.close()


async def test_a_frame_is_handed_on_as_one_batch(host: Host) -> None:
    other = StatMessage("default", "other", STAT)
    await host.send(encode_messages([MESSAGE, other]), encode_messages([MESSAGE]))
    assert host.batches == [[MESSAGE, other], [MESSAGE]]
    assert not host.server.dropped


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(0, NOW, id="unset becomes now"),
        pytest.param(1, 1, id="long past is kept"),
        pytest.param(NOW + 60, NOW + 60, id="a stable window ahead is kept"),
        pytest.param(NOW + 61, NOW, id="further ahead becomes now"),
        pytest.param(2**62, NOW, id="absurd becomes now"),
        pytest.param(-5, -5, id="negative is long past"),
    ],
)
async def test_timestamps(host: Host, sent: int, kept: int) -> None:
    await host.send(encode_messages([MESSAGE._replace(stat=STAT._replace(timestamp=sent))]))
    assert [message.stat.timestamp for message in host.batches[0]] == [kept]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        pytest.param("hello", "text", id="text"),
        pytest.param(encode_messages([MESSAGE]).hex(), "text", id="hex"),
        pytest.param(b"\xff\xff\xff\xff", "undecodable", id="garbage"),
        pytest.param(encode_messages([MESSAGE])[:-3], "undecodable", id="cut off"),
    ],
)
async def test_a_frame_without_sense_is_dropped_and_the_connection_kept(
    host: Host, frame: bytes | str, reason: str
) -> None:
    await host.send(frame, encode_messages([MESSAGE]))
    assert host.batches == [[MESSAGE]]
    assert host.server.dropped == {reason: 1}


async def test_an_empty_frame_hands_nothing_on(host: Host) -> None:
    await host.send(b"", b"\x0a\x0c\x0a\x03foo\x12\x05hello")
    assert host.batches == []
    assert not host.server.dropped


@pytest.mark.parametrize("field", ["average_concurrent_requests", "average_proxied_concurrent_requests",
                                   "request_count", "proxied_request_count"])  # fmt: skip
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.001, 1e16])
async def test_an_implausible_number_is_dropped_and_its_neighbours_kept(
    host: Host, field: str, value: float
) -> None:
    if (field, value) == ("request_count", -0.001):
        value = -1e16  # an activator may take back a request that it announced
    bad = MESSAGE._replace(stat=STAT._replace(**{field: value}))
    await host.send(encode_messages([MESSAGE, bad, MESSAGE]), encode_messages([bad]))
    assert host.batches == [[MESSAGE, MESSAGE]]
    assert host.server.dropped == {"implausible": 2}


async def test_an_activator_may_take_back_a_request_that_it_announced(host: Host) -> None:
    back = MESSAGE._replace(stat=STAT._replace(request_count=-1.0))
    await host.send(encode_messages([back]))
    assert host.batches == [[back]]


async def test_complaints_are_counted_but_not_logged_one_by_one(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "metrics.stat_server")
    await host.send(*["nonsense"] * 50)
    assert host.server.dropped == {"text": 50}
    assert len(caplog.records) == 1


async def test_a_large_fleet_fits_in_a_frame(host: Host) -> None:
    many = [StatMessage("default", f"revision-{number:06}", STAT) for number in range(50_000)]
    await host.send(encode_messages(many))
    assert len(host.batches[0]) == 50_000


async def test_a_message_beyond_16_mib_ends_its_connection_only(host: Host) -> None:
    async with (
        host.session.ws_connect(host.url()) as bad,
        host.session.ws_connect(host.url()) as good,
    ):
        with contextlib.suppress(ConnectionError):  # the server closes while we still write
            await bad.send_bytes(b"\x00" * (16 * 2**20 + 1))
        async with asyncio.timeout(30):
            assert [message async for message in bad if message.type is WSMsgType.BINARY] == []
        assert bad.close_code in (1009, 1006)
        await until(lambda: len(host.server._sockets) == 1)
        await good.send_bytes(encode_messages([MESSAGE]))
        await until(lambda: host.batches)


@pytest.mark.parametrize("path", ["/", "/metrics", "/a/b?c=d"])
async def test_every_path_upgrades(host: Host, path: str) -> None:
    async with host.session.ws_connect(host.url(path)) as socket:
        await socket.send_bytes(encode_messages([MESSAGE]))
        await until(lambda: host.batches)
        assert "Sec-WebSocket-Extensions" not in socket._response.headers
        assert "Sec-WebSocket-Protocol" not in socket._response.headers


async def test_compression_and_subprotocols_are_not_taken_up(host: Host) -> None:
    async with host.session.ws_connect(host.url(), protocols=["stats"], compress=15) as socket:
        assert socket.protocol is None
        assert socket.compress == 0


async def test_pings_are_answered(host: Host) -> None:
    async with host.session.ws_connect(host.url(), autoping=False) as socket:
        await socket.ping(b"are you there")
        message = await socket.receive(30)
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"are you there")


@pytest.mark.parametrize("path", ["/", "/healthz"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"User-Agent": "kube-probe/1.34"}, 200, id="kubelet by agent"),
        pytest.param({"K-Kubelet-Probe": ""}, 200, id="kubelet by header"),
        pytest.param({"User-Agent": "not-kube-probe/1.34"}, 400, id="another agent"),
        pytest.param({}, 400, id="a browser"),
        pytest.param({"Connection": "Upgrade", "Upgrade": "h2c"}, 426, id="another upgrade"),
        pytest.param({"Connection": "Upgrade", "Upgrade": "websocket"}, 400, id="no key"),
    ],
)
async def test_requests_that_get_no_websocket(
    host: Host, path: str, headers: dict[str, str], status: int
) -> None:
    async with host.session.get(host.url(path), headers=headers) as response:
        assert response.status == status
        if status == 200:
            assert await response.read() == b""


async def test_under_a_name_that_is_another_replicas_there_is_no_websocket() -> None:
    server = StatServer(lambda messages: None, accepts=lambda host: not host.startswith("autoscaler-bucket"))
    port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            for name, status in (("autoscaler-bucket-00-of-02.knative-serving", 200), ("autoscaler", 101)):
                upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
                headers = {"Host": name, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **upgrade}
                async with session.get(f"http://127.0.0.1:{port}/", headers=headers) as answer:
                    assert answer.status == status
    finally:
        await server.close()


async def test_only_get_upgrades(host: Host) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    async with host.session.post(host.url(), headers=headers) as response:
        assert response.status == 405


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("http://127.0.0.1:{port}", True),
        ("https://127.0.0.1:{port}/page", True),
        ("http://127.0.0.1", False),
        ("http://evil.example:{port}", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_an_origin_must_be_the_host(host: Host, origin: str, taken: bool) -> None:
    headers = {"Origin": origin.format(port=host.port)}
    async with host.session.get(host.url(), headers=headers | HANDSHAKE) as response:
        assert response.status == (101 if taken else 403)


async def test_an_origin_is_compared_without_case(host: Host) -> None:
    headers = {"Host": "Kpa.Example", "Origin": "http://kPA.eXAMPLE"}
    async with host.session.get(host.url(), headers=headers | HANDSHAKE) as response:
        assert response.status == 101


async def test_there_is_a_limit_of_connections(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.stat_server._MOST_CONNECTIONS", 1)
    async with host.session.ws_connect(host.url()):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await host.session.ws_connect(host.url())
        assert refused.value.status == 503
    await until(lambda: not host.server._sockets)
    async with host.session.ws_connect(host.url()):
        pass


async def test_peers_are_told_of_a_restart(host: Host) -> None:
    async with (
        host.session.ws_connect(host.url()) as first,
        host.session.ws_connect(host.url()) as second,
    ):
        await until(lambda: len(host.server._sockets) == 2)
        closing = asyncio.create_task(host.server.close())
        for socket in (first, second):
            message = await socket.receive(30)
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1012, "Restarting")
        await closing
    with pytest.raises(aiohttp.ClientConnectionError):
        await host.session.get(host.url())
    await host.server.close()


async def test_peers_that_do_not_answer_hold_up_the_shutdown_for_less_than_5_s(host: Host) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    began = asyncio.get_running_loop().time()
    await host.server.close()
    assert asyncio.get_running_loop().time() - began < 5
    assert await reader.read() == b"\x88\x0c\x03\xf4Restarting"
    writer.close()
    await writer.wait_closed()


async def test_a_port_that_is_taken_is_an_error(host: Host) -> None:
    second = StatServer(lambda batch: None)
    with pytest.raises(OSError, match="address already in use"):
        await second.start("127.0.0.1", host.port)


async def test_a_page_is_answered_until_the_end_and_its_path_takes_stats_as_well() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"page {request.query_string}")

    server = StatServer(lambda messages: None, pages={"/page": page})
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/page"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            await server.farewell()
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1012)
        async with session.get(f"{url}?x") as answer:
            assert (answer.status, await answer.text()) == (200, "page x")
        async with session.get(url.replace("/page", "/other")) as answer:
            assert answer.status == 400
        async with session.get(url, headers=HANDSHAKE) as answer:
            assert answer.status == 503, "stats are taken no more"
        async with session.post(url) as answer:
            assert answer.status == 400
    await server.close()


async def test_who_called_and_has_gone_is_no_error(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    lines = [
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{host.port}",
        *(": ".join(pair) for pair in HANDSHAKE.items()),
    ]
    for _ in range(5):  # as many connections wait for a process that slept
        with socket.create_connection(("127.0.0.1", host.port)) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    await host.send(encode_messages([MESSAGE]))
    assert host.batches == [[MESSAGE]]
    assert caplog.records == []
