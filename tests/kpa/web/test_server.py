"""The service's HTTP server, asked over real connections.

Covered: every path, content types and negotiation, health and readiness, the stream of routes, slow clients,
close. Left out: the texts themselves, which test_telemetry and test_api cover.
"""

import asyncio
import contextlib
import gzip
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kpa.controller.explain import Explanation
from kpa.controller.status import RevisionStatus
from kpa.runtime.heartbeat import Heartbeat
from kpa.telemetry.telemetry import Exposition, Telemetry
from kpa.web.api import route_stream
from kpa.web.api.api import FleetResponse, fleet_from_json
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from metrics.key import Key
from tests.kpa.controller.status_samples import SAMPLE, explained, named

pytestmark = pytest.mark.timeout(60)


@dataclass
class Running:
    """A server on a free port and everything it reads, for a test to change."""

    statuses: list[RevisionStatus] = field(default_factory=lambda: [SAMPLE])
    feed: RouteFeed = field(default_factory=lambda: RouteFeed('{"routes": []}'))
    unready: str | None = None
    heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(asyncio.get_running_loop().time(), 600.0))
    url: str = ""
    telemetry: Telemetry = field(default_factory=Telemetry)
    server: Server = field(init=False)

    def explain(self, key: Key) -> Explanation | None:
        return next((explained(status) for status in self.statuses if status.key == key), None)

    async def start(self) -> None:
        self.server = Server(
            self.telemetry,
            lambda: self.statuses,
            self.explain,
            lambda key: None,
            heartbeat=self.heartbeat,
            ready=lambda: self.unready,
            profile=lambda: "inference",
            routes=self.feed,
        )
        self.url = f"http://127.0.0.1:{await self.server.start('127.0.0.1', 0)}"


async def lines_of(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines with something in them, however long; aiohttp's own `readline` ends at 512 KiB."""
    waiting = b""
    async for chunk in content.iter_any():
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in filter(None, lines):
            yield line


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    await running.start()
    yield running
    await running.server.close()


@pytest.fixture
async def client(running: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(running.url, auto_decompress=False) as session:
        yield session


async def test_metrics_are_prometheus_text(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "Content-Encoding" not in answer.headers
        names = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert {"kn_revision_pods_desired", "kpa_tick_duration_seconds", "process_cpu_seconds"} <= names


async def test_metrics_are_openmetrics_and_compressed_if_asked(client: aiohttp.ClientSession) -> None:
    headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    async with client.get("/metrics", headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()).endswith(b"# EOF\n")


async def test_metrics_show_the_revisions_of_the_moment(
    running: Running, client: aiohttp.ClientSession
) -> None:
    for names in (["a", "b"], ["b"], []):
        running.statuses = [named(name) for name in names]
        async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
            text = await answer.text()
        assert [f'kn_revision_name="{name}"' in text for name in "ab"] == [name in names for name in "ab"]


async def test_health_follows_the_ticks(running: Running, client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
    now = asyncio.get_running_loop().time()
    running.heartbeat.interval = 2.0
    running.heartbeat.beat(now - 100)
    async with client.get("/healthz") as answer:
        assert answer.status == 503
        assert "the last tick was 1m40" in await answer.text()
        assert "allowed are 10s" in await answer.text()
    running.heartbeat.beat(now)
    async with client.get("/healthz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("now", "well"), [(100.0, True), (110.0, True), (110.1, False)])
def test_the_heart_may_miss_as_many_beats_as_allowed(now: float, well: bool) -> None:
    heartbeat = Heartbeat(0.0, interval=2.0, allowed=5)
    heartbeat.beat(100.0)
    assert (heartbeat.problem(now) is None) is well


async def test_readiness_gives_its_reason(running: Running, client: aiohttp.ClientSession) -> None:
    running.unready = "no configuration yet"
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.text()) == (503, "no configuration yet\n")
    running.unready = None
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_revisions_are_json(running: Running, client: aiohttp.ClientSession) -> None:
    running.statuses = [named("a"), named("b")]
    async with client.get("/api/revisions") as answer:
        assert answer.content_type == "application/json"
        fleet = fleet_from_json(await answer.text())
    assert fleet == FleetResponse(fleet.time, "inference", (named("a"), named("b")))


async def test_one_revision_is_found_by_name(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/revisions/shop/cart-00002") as answer:
        assert (answer.status, (await answer.json())["recommended"]) == (200, 5)
    async with client.get("/api/revisions/shop/other") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "no revision shop/other"})


@pytest.mark.parametrize("path", ["/metric", "/api/revisions/shop", "/api/revisions/a/b/c"])
async def test_an_unknown_path_names_the_known_ones(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404
        assert "/api/revisions/NAMESPACE/NAME" in (await answer.json())["error"]


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/api/revisions"])
async def test_heads_are_those_of_the_answers(client: aiohttp.ClientSession, path: str) -> None:
    async with client.head(path) as head, client.get(path) as answer:
        assert (head.status, head.content_type) == (answer.status, answer.content_type)
        assert await head.read() == b""


async def test_an_endless_answer_has_no_head(client: aiohttp.ClientSession) -> None:
    async with client.head("/api/routes") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/api/revisions", "/api/routes"])
async def test_nothing_can_be_written(client: aiohttp.ClientSession, method: str, path: str) -> None:
    async with client.request(method, path) as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert (await answer.json())["error"].startswith(f"{method} is not allowed on {path}")


async def test_routes_are_streamed_now_and_at_each_change(
    running: Running, client: aiohttp.ClientSession
) -> None:
    async with client.get("/api/routes") as answer:
        assert answer.content_type == "application/x-ndjson"
        assert json.loads(await answer.content.readline()) == {"routes": []}
        for number in range(3):
            running.feed.publish(json.dumps({"routes": [number]}))
            assert json.loads(await answer.content.readline()) == {"routes": [number]}


async def test_a_silent_stream_of_routes_shows_that_it_lives(
    running: Running, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_stream, "SIGN_OF_LIFE", 0.01)
    async with client.get("/api/routes") as answer:
        await answer.content.readline()
        assert [await answer.content.readline() for _ in range(3)] == [b"\n"] * 3
        running.feed.publish('{"routes": [1]}')
        while not (line := (await answer.content.readline()).strip()):
            pass
        assert json.loads(line) == {"routes": [1]}


async def test_a_change_between_reading_and_waiting_is_not_missed() -> None:
    feed = RouteFeed("old")
    seen = feed.current()
    feed.publish("new")
    async with asyncio.timeout(30):
        await feed.changed(seen)
    assert feed.current() == "new"


async def test_a_client_that_never_reads_holds_nobody_up(
    running: Running, client: aiohttp.ClientSession
) -> None:
    port = int(running.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    cast(asyncio.ReadTransport, writer.transport).pause_reading()
    writer.write(b"GET /api/routes HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        async with client.get("/api/routes") as answer:
            lines = lines_of(answer.content)
            await anext(lines)
            for number in range(20):
                table = {"routes": [number], "bulk": "x" * 1_000_000}
                running.feed.publish(json.dumps(table))
                assert json.loads(await anext(lines)) == table
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with asyncio.timeout(20):
            await running.server.close()
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_closing_ends_the_streams(running: Running, client: aiohttp.ClientSession) -> None:
    async with client.get("/api/routes") as answer:
        await answer.content.readline()
        async with asyncio.timeout(20):
            await running.server.close()
            assert await answer.content.read() == b""
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get("/healthz")


async def test_the_server_answers_while_a_long_text_is_written(
    running: Running, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, finish = threading.Event(), threading.Event()

    def render(*arguments: object, **named: object) -> Exposition:
        writing.set()
        return Exposition(b"long" if finish.wait(40) else b"nobody else was served", "text/plain")

    monkeypatch.setattr(running.telemetry, "render", render)
    long = asyncio.create_task(client.get("/metrics"))
    assert await asyncio.to_thread(writing.wait, 30)
    async with client.get("/healthz") as answer:
        assert answer.status == 200
    finish.set()
    async with await long as answer:
        assert await answer.read() == b"long"


async def test_a_taken_port_is_an_error(running: Running) -> None:
    other = Running()
    port = int(running.url.rpartition(":")[2])
    other.server = Server(
        Telemetry(),
        list,
        lambda key: None,
        lambda key: None,
        heartbeat=running.heartbeat,
        ready=lambda: None,
        profile=lambda: "inference",
        routes=running.feed,
    )
    with pytest.raises(OSError, match="address already in use"):
        await other.server.start("127.0.0.1", port)
    await other.server.close()
