"""The queue-proxy as a process before a replica.

Covered: events, reports, probes, the bound on concurrency, time limits, failing replicas, settings and ports
that cannot be used, start-up imports. Left out: the end (`test_queue_proxy_drain`).
"""

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import ClientSession, web

from metrics.stat import Stat
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
from tests.servers import Port, ScriptedServer, scripted

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PROBE = ("User-Agent: kube-probe/1.34", "K-Network-Probe: queue")


class Held:
    """A replica that answers when told."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.go = asyncio.Semaphore(0)
        self.in_flight = 0
        self.most_in_flight = 0
        self.order: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.order.append(request.query.get("n", ""))
        self.arrived.release()
        try:
            await self.go.acquire()
        finally:
            self.in_flight -= 1
        return web.Response(text="done")

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self.go.release()


async def scrape(child: Child) -> Stat:
    response = await ask(child.metrics, get("/metrics", "Accept: text/plain"))
    head, body = response.split(b"\r\n\r\n", 1)
    assert b"\r\nContent-Type: application/protobuf\r\n" in head
    return Stat.decode(body)


async def status_of(port: int, *fields: str) -> bytes:
    response = await ask(port, get("/", *fields))
    head, body = response.split(b"\r\n\r\n", 1)
    return head.split()[1] + b" " + body.strip()


async def until_stat(child: Child, **expected: Any) -> Stat:
    """The first report that has some values; before the deadline."""
    async with asyncio.timeout(DEADLINE):
        while True:
            stat = await scrape(child)
            if all(getattr(stat, name) == pytest.approx(value) for name, value in expected.items()):
                return stat
            await asyncio.sleep(0.02)


async def test_it_tells_where_it_listens_and_when_the_replica_is_ready_and_no_more() -> None:
    port = Port()
    async with queue_proxy(port.number) as child:
        assert len({child.serving, child.metrics, child.admin} - {0}) == 3
        assert await status_of(child.serving, *PROBE) == b"503 "
        async with ScriptedServer(lambda *_: asyncio.sleep(0), port=port.number):
            assert await child.event() == {"event": "ready"}
            assert await status_of(child.serving, *PROBE) == b"200 queue"
        assert (await status_of(child.serving)).startswith(b"502 ")  # which makes it ask at once
        event = await child.event()
        assert event["event"] == "unready"
        assert "refused" in event["reason"].lower()
        assert await status_of(child.serving, *PROBE) == b"503 "


async def test_requests_count_in_every_second_until_their_end() -> None:
    replica = Held()
    async with application(x=replica.handle) as port, queue_proxy(port) as child, ClientSession() as session:
        assert (await scrape(child))._replace(process_uptime=0.0) == Stat("hello-00001-abc")
        url = f"http://127.0.0.1:{child.serving}/x"
        requests = [asyncio.create_task(session.get(url)) for _ in range(2)]
        requests.append(asyncio.create_task(session.get(url, headers={"K-Proxy-Request": "activator"})))
        for _ in requests:
            await replica.arrived.acquire()
        stat = await until_stat(child, average_concurrent_requests=3.0, request_count=0.0)
        assert stat.average_proxied_concurrent_requests == pytest.approx(1.0)
        assert 1.0 <= stat.process_uptime < DEADLINE
        replica.let_go(3)
        await asyncio.gather(*requests)
        await until_stat(child, average_concurrent_requests=0.0)


async def test_arrivals_are_counted_once() -> None:
    async with replies(OK) as (port, _), queue_proxy(port) as child:
        await child.event()
        seen = [0.0, 0.0]
        uptime = 0.0
        for fields in [(), (), ("K-Proxy-Request: activator",), PROBE]:
            await ask(child.serving, get("/", *fields))
        async with asyncio.timeout(DEADLINE):
            while sum(seen) < 4:
                stat = await scrape(child)
                if stat.process_uptime > uptime:
                    uptime = stat.process_uptime
                    seen = [seen[0] + stat.request_count, seen[1] + stat.proxied_request_count]
                await asyncio.sleep(0.02)
    assert seen == [3.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (("User-Agent: kube-probe/1.34", "K-Network-Probe: queue"), b"200 queue"),
        (("User-Agent: Knative-Activator-Probe", "K-Network-Probe: queue"), b"200 queue"),
        (("User-Agent: Knative-Autoscaling-Probe", "K-Network-Probe: queue"), b"200 queue"),
        (("K-Kubelet-Probe: anything", "K-Network-Probe: queue"), b"200 queue"),
        (
            ("User-Agent: Knative-Autoscaling-Probe", "K-Network-Probe: activator"),
            b"400 unexpected probe header value: activator",
        ),
        (("User-Agent: kube-probe/1.34",), b"400 unexpected probe header value:"),
        (("User-Agent: curl/8", "K-Network-Probe: queue"), b"200 ok"),
        ((), b"200 ok"),
    ],
    ids=[
        "kubelet",
        "activator",
        "autoscaler",
        "field",
        "for an activator",
        "unnamed",
        "not a prober",
        "request",
    ],
)
async def test_probes_are_answered_for_the_replica(fields: tuple[str, ...], answer: bytes) -> None:
    async with replies(OK) as (port, _), queue_proxy(port) as child:
        await child.event()
        assert await status_of(child.serving, *fields) == answer


async def test_the_replica_gets_no_more_than_it_may_and_the_queue_no_more_than_ten_times_that() -> None:
    replica = Held()
    async with (
        application(x=replica.handle) as port,
        queue_proxy(port, CONTAINER_CONCURRENCY="1") as child,
        ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{child.serving}/x?n="
        tasks = []
        for number in range(11):
            tasks.append(asyncio.create_task(session.get(f"{url}{number}")))
            if number == 0:
                await replica.arrived.acquire()
            await asyncio.sleep(0.02)  # so that they come in their order
        await until_stat(child, average_concurrent_requests=11.0)  # those that wait count
        async with session.get(url) as refused:
            assert (refused.status, await refused.text()) == (503, "pending request queue full\n")
        replica.let_go(11)
        assert [response.status for response in await asyncio.gather(*tasks)] == [200] * 11
        assert replica.most_in_flight == 1
        assert replica.order == [str(number) for number in range(11)]


async def test_a_request_that_waits_for_its_turn_and_goes_away_is_not_passed_on() -> None:
    replica = Held()
    async with (
        application(x=replica.handle) as port,
        queue_proxy(port, CONTAINER_CONCURRENCY="1") as child,
        ClientSession() as session,
    ):
        first = asyncio.create_task(session.get(f"http://127.0.0.1:{child.serving}/x?n=1"))
        await replica.arrived.acquire()
        async with connected(child.serving) as (_, writer):
            writer.write(get("/x?n=2"))
            await until_stat(child, average_concurrent_requests=2.0)
        await until_stat(child, average_concurrent_requests=1.0)
        replica.let_go(2)
        assert (await first).status == 200
        async with session.get(f"http://127.0.0.1:{child.serving}/x?n=3") as response:
            assert response.status == 200
        assert replica.order == ["1", "3"]


@pytest.mark.parametrize(
    "limit",
    ["REVISION_TIMEOUT_SECONDS", "REVISION_RESPONSE_START_TIMEOUT_SECONDS", "REVISION_IDLE_TIMEOUT_SECONDS"],
)
async def test_a_replica_that_is_silent_for_too_long_is_answered_for(limit: str) -> None:
    replica = Held()
    async with application(x=replica.handle) as port, queue_proxy(port, **{limit: "0.2"}) as child:
        response = await ask(child.serving, get("/x"))
    assert response.startswith(b"HTTP/1.1 504 ")
    assert response.endswith(b"\r\n\r\nrequest timeout\n")


async def test_the_limit_on_the_whole_holds_for_a_response_that_has_begun() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await reader.read()

    async with scripted(endless) as port, queue_proxy(port, REVISION_TIMEOUT_SECONDS="2") as child:
        response = await ask(child.serving, get())
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert response.endswith(b"1\r\na\r\n")


async def test_fields_for_activators_do_not_reach_the_replica() -> None:
    async with replies(OK) as (port, seen), queue_proxy(port) as child:
        await child.event()
        await ask(
            child.serving, get("/", "Knative-Serving-Revision: r", "Knative-Serving-Namespace: n", "X: y")
        )
    assert b"X: y" in seen[-1]
    assert b"Knative" not in seen[-1]


async def test_rubbish_and_half_requests_disturb_nobody() -> None:
    async with replies(OK) as (port, _), queue_proxy(port) as child:
        await child.event()
        async with connected(child.serving) as (_, slow), connected(child.serving) as (half, half_writer):
            slow.write(b"GET / HT")
            half_writer.write(get("/", "Content-Length: 10", method="POST") + b"half")
            for rubbish in (b"\x00" * 1000, b"GET /\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 500):
                assert (await ask(child.serving, rubbish)).startswith(b"HTTP/1.1 400 ")
            assert await status_of(child.serving) == b"200 ok"
            slow.write(b"TP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            half_writer.write(b"whole.")
            assert (await rest_of(half)).endswith(b"ok")


@pytest.mark.parametrize(("port", "path"), [("metrics", "/"), ("admin", "/metrics")])
async def test_other_paths_of_the_other_listeners_are_not_found(port: str, path: str) -> None:
    nobody = Port()
    async with queue_proxy(nobody.number) as child:
        assert (await ask(getattr(child, port), get(path))).startswith(b"HTTP/1.1 404 ")


async def test_settings_that_cannot_be_used_end_it_with_2_and_all_the_reasons() -> None:
    done = await _run({"USER_PORT": "", "CONTAINER_CONCURRENCY": "x"})
    assert done[0] == 2
    assert done[1].splitlines() == [
        "USER_PORT is missing: a port from 1 to 65535",
        "CONTAINER_CONCURRENCY='x': must be a whole number from 0",
    ]


async def test_a_port_in_use_ends_it_with_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, text = await _run({"USER_PORT": "1", "QUEUE_SERVING_PORT": str(taken.getsockname()[1])})
    assert status == 1
    assert text.startswith("cannot listen: ")


async def test_nothing_heavy_is_imported_before_it_listens() -> None:
    heavy = ["aiohttp", "numpy", "pydantic", "typer", "rich", "prometheus_client", "kubernetes", "yaml"]
    started = "kpa.dataplane.queue_proxy.__main__"
    code = f"import sys, {started}; print([name for name in {heavy} if name in sys.modules])"
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert (await done.communicate())[0] == b"[]\n"


async def _run(environment: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kpa.dataplane.queue_proxy", env=environment, stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode()
