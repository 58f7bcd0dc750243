"""The activator over real HTTP: held and spread requests, limits, refusals, probes, neighbours that go away.

Around it stand a real websocket server, a real stream of routes and real backends (`activator_fakes`). Left
out: rules of the queue in all their cases (test_activator_throttle), the process around it
(test_activator_app), how bytes pass through (tests of kpa.dataplane.http).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from kpa.dataplane.activator import reporter as reporter_module
from kpa.dataplane.activator import server as server_module
from kpa.dataplane.activator import throttle as throttle_module
from kpa.dataplane.activator.load import RequestLoad
from kpa.dataplane.activator.reporter import Reporter
from kpa.dataplane.activator.server import Activator
from kpa.dataplane.activator.source import follow
from kpa.dataplane.http.server import ProxyServer
from kpa.dataplane.routes import Route
from tests.kpa.dataplane.activator.fakes import Autoscaler, Pod, RoutesSource, gathered, running, until

HOST = "hello.localhost"
Answer = tuple[int, str]


def route(
    *pods: Pod, name: str = "hello-00001", host: str = HOST, concurrency: int = 0, timeout: float = 60
) -> Route:
    return Route("default", name, (host,), concurrency, timeout, tuple(pod.backend for pod in pods))


HELLO = route().key


class World:
    """An activator in its surroundings, and a client before it."""

    def __init__(self) -> None:
        self.autoscaler, self.routes = Autoscaler(), RoutesSource()
        self.load = RequestLoad("activator-1")
        self.port = 0
        self.pods: list[Pod] = []

    async def pod(self, name: str) -> Pod:
        pod = Pod(name)
        await pod.start()
        self.pods.append(pod)
        return pod

    async def publish(self, *routes: Route) -> None:
        """A new table, in force when this returns."""
        await self.routes.publish(*routes)
        await until(lambda: self.activator._throttle.table.routes == routes)

    def uses(self, pod: Pod) -> bool:
        """Whether the activator has requests there, on their way included, or may send some."""
        return pod.backend in self.activator._throttle.of(route())._trackers

    async def get(self, path: str = "/", host: str = HOST, **options: Any) -> Answer:
        headers = {"Host": host, **options.pop("headers", {})}
        method = options.pop("method", "GET")
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.client.request(method, url, headers=headers, **options) as response:
            return response.status, await response.text()

    async def held(self, path: str = "/", **options: Any) -> asyncio.Task[Answer]:
        """A request that the activator has, but no backend."""
        before = self.load.in_flight()
        task = asyncio.create_task(self.get(path, **options))
        await until(lambda: self.load.in_flight() > before)
        return task

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator["World"]:
        reporter = Reporter(self.autoscaler.url, self.load, lambda _: None)
        self.activator = Activator(reporter)
        server = ProxyServer(self.activator.handle)
        self.port = await server.start("127.0.0.1", 0)
        tasks = [
            asyncio.create_task(reporter.run()),
            asyncio.create_task(follow(self.routes.url, self.activator.apply)),
        ]
        self.reporter = reporter
        await until(lambda: reporter.connected)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self.client:
            yield self
        await until(lambda: self.load.in_flight() == 0)
        self.load.check_valid()
        await server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pod in self.pods:
            await pod.stop()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with running(world.autoscaler, world.routes):
        await world.routes.publish()
        async with world.live():
            yield world


@pytest.fixture
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is announced at once reaches the autoscaler."""
    monkeypatch.setattr(reporter_module, "INTERVAL", 1e6)


async def test_a_request_at_zero_is_announced_at_once_and_answered_when_the_table_gains_a_backend(
    no_reports, world
):
    await world.publish(route())
    request = await world.held("/predict?x=1")
    await until(lambda: world.autoscaler.stats(HELLO) == [(1.0, 1.0)])
    assert not request.done()
    pod = await world.pod("a")
    await world.publish(route(pod))
    assert await request == (200, "a")
    assert pod.requests[0].path_qs == "/predict?x=1"


async def test_a_body_waits_with_its_request(world):
    await world.publish(route())
    body = bytes(range(256)) * 4096
    request = await world.held("/", method="POST", data=body)
    pod = await world.pod("a")
    await world.publish(route(pod))
    assert await request == (200, "a")
    assert pod.bodies == [body]


async def test_a_backend_sees_the_host_and_who_proxied_and_not_the_revision_headers(world):
    pod = await world.pod("a")
    await world.publish(route(pod))
    headers = {
        "Knative-Serving-Revision": "hello-00001",
        "Knative-Serving-Namespace": "default",
        "X-Own": "1",
    }
    assert await world.get(host="any.example.org", headers=headers) == (200, "a")
    got = pod.requests[0].headers
    assert (got["Host"], got["K-Proxy-Request"], got["X-Own"]) == ("any.example.org", "activator", "1")
    assert "Knative-Serving-Revision" not in got
    assert "Knative-Serving-Namespace" not in got


async def test_60_requests_at_a_concurrency_of_10_never_exceed_it_on_1_or_3_backends(world):
    pods = [await world.pod(name) for name in "abc"]
    for pod in pods:
        pod.go.clear()
    await world.publish(route(pods[0], concurrency=10))
    requests = [asyncio.create_task(world.get()) for _ in range(60)]
    await until(lambda: world.load.in_flight() == 60 and pods[0].in_flight == 10)
    await world.publish(route(*pods, concurrency=10))
    await until(lambda: [pod.in_flight for pod in pods] == [10, 10, 10])
    for pod in pods:
        pod.go.set()
    assert {status for status, _ in await gathered(*requests)} == {200}
    assert [pod.most_in_flight for pod in pods] == [10, 10, 10]
    assert sum(len(pod.requests) for pod in pods) == 60


async def test_requests_are_served_in_the_order_of_their_arrival(world):
    pod = await world.pod("a")
    await world.publish(route(concurrency=1))
    requests = [await world.held(f"/{number}") for number in range(12)]
    await world.publish(route(pod, concurrency=1))
    await gathered(*requests)
    assert [request.path for request in pod.requests] == [f"/{number}" for number in range(12)]


async def test_a_full_queue_is_answered_with_503(world, monkeypatch):
    monkeypatch.setattr(throttle_module, "QUEUE_DEPTH", 2)
    await world.publish(route())
    requests = [await world.held() for _ in range(2)]
    assert await world.get() == (503, "pending request queue full\n")
    await world.publish(route(await world.pod("a")))
    assert await gathered(*requests) == [(200, "a")] * 2


async def test_a_client_that_leaves_the_queue_frees_its_place(world, monkeypatch):
    monkeypatch.setattr(throttle_module, "QUEUE_DEPTH", 1)
    await world.publish(route())
    leaving = await world.held()
    leaving.cancel()
    await until(lambda: world.load.in_flight() == 0)
    staying = await world.held()
    pod = await world.pod("a")
    await world.publish(route(pod))
    assert await staying == (200, "a")
    assert len(pod.requests) == 1


async def test_a_client_that_leaves_a_backend_frees_its_place(world):
    pod = await world.pod("a")
    pod.go.clear()
    await world.publish(route(pod, concurrency=1))
    leaving = asyncio.create_task(world.get())
    await until(lambda: pod.in_flight)
    leaving.cancel()
    await until(lambda: not pod.in_flight)
    pod.go.set()
    assert await world.get() == (200, "a")


@pytest.mark.parametrize("busy", [False, True], ids=["at zero", "all busy"])
async def test_waiting_longer_than_the_timeout_is_answered_with_504_and_the_reason(world, busy: bool):
    pods = [await world.pod("a")] if busy else []
    await world.publish(route(*pods, concurrency=1, timeout=60))
    first = []
    for pod in pods:
        pod.go.clear()
        first = [asyncio.create_task(world.get())]
        await until(lambda: pods[0].in_flight)
    await world.publish(route(*pods, concurrency=1, timeout=0.05))
    reason = "1 backends are busy with 1 requests each, 0 wait" if busy else "no backend is ready"
    assert await world.get() == (504, f"waited 0.05 s: {reason}\n")
    for pod in pods:
        pod.go.set()
    await gathered(*first)


async def test_an_unknown_host_is_answered_with_404_and_named(world):
    await world.publish(route(), route(name="other-00001", host="other.localhost"))
    assert await world.get(host="nobody.localhost:80") == (
        404,
        "no revision answers host 'nobody.localhost:80'; 2 hosts are known\n",
    )
    assert (await world.get(host="nobody.localhost", headers={"Knative-Serving-Revision": "gone-00001"})) == (
        404,
        "no revision answers host 'nobody.localhost'; 2 hosts are known\n",
    )
    headers = {"Knative-Serving-Revision": "gone-00001", "Knative-Serving-Namespace": "default"}
    status, reason = await world.get(headers=headers)
    assert (status, reason.startswith("no revision answers revision default/gone-00001")) == (404, True)


async def test_a_backend_that_leaves_the_table_loses_no_request_under_load(world):
    """Backends come and go every few requests; one that left stops when it has finished what it has."""
    pods = [await world.pod("a")]
    await world.publish(route(*pods, concurrency=2))
    answers: list[Answer] = []

    async def client() -> None:
        for number in range(50):
            answers.append(await world.get(method="POST" if number % 2 else "GET", data=b"x" * 1000))

    async def changes() -> None:
        for number in range(8):
            await until(lambda: len(answers) >= 40 * number)  # noqa: B023 - waited for at once
            new = await world.pod(f"pod-{number}")
            await world.publish(route(pods[-1], new, concurrency=2))
            await until(lambda: new.requests)  # noqa: B023 - waited for at once
            old = pods[-1]
            pods.append(new)
            await world.publish(route(new, concurrency=2))
            await until(lambda: not world.uses(old))  # noqa: B023 - waited for at once
            await old.stop()

    await gathered(changes(), *(client() for _ in range(8)))
    assert [answer for answer in answers if answer[0] != 200] == []
    assert len(answers) == 400
    assert max(pod.most_in_flight for pod in pods) == 2


async def test_a_backend_that_refuses_connections_is_passed_over(world):
    dead, alive = await world.pod("dead"), await world.pod("alive")
    await dead.stop()
    await world.publish(route(dead, alive, concurrency=100))
    answers = await gathered(*(world.get(method="POST", data=b"abc") for _ in range(20)))
    assert answers == [(200, "alive")] * 20
    assert alive.bodies == [b"abc"] * 20


async def test_a_lone_backend_that_refuses_is_tried_again_until_it_answers(world, monkeypatch):
    monkeypatch.setattr(throttle_module, "SET_ASIDE", 0.02)
    monkeypatch.setattr(throttle_module, "QUEUE_DEPTH", 0)  # it had a place, so it is not turned away now
    pod = await world.pod("a")
    await pod.stop()
    await world.publish(route(pod, concurrency=1))
    request = await world.held()
    await pod.start()
    assert await request == (200, "a")


async def test_a_request_whose_host_leads_to_a_new_revision_meanwhile_goes_there(no_reports, world):
    await world.publish(route())
    request = await world.held()
    new = route(await world.pod("new"), name="hello-00002")
    await world.publish(new)
    assert await request == (200, "new")
    await until(lambda: world.autoscaler.stats(new.key) == [(1.0, 1.0)])


async def test_a_request_whose_revision_leaves_is_answered_with_404(world):
    await world.publish(route())
    request = await world.held()
    await world.publish()
    assert await request == (404, "no revision answers host 'hello.localhost'; 0 hosts are known\n")


async def test_the_last_routes_stay_in_force_while_their_source_is_away(world):
    pod = await world.pod("a")
    await world.publish(route(pod))
    await world.routes.stop()
    assert await world.get() == (200, "a")
    world.routes.text = ""
    await world.routes.start()
    assert await world.get() == (200, "a")
    await world.publish(route(pod), route(pod, name="other-00001", host="other.localhost"))
    assert await world.get(host="other.localhost") == (200, "a")


@pytest.mark.parametrize("text", ["{", '{"routes": [{}]}', "[]"])
async def test_a_malformed_table_leaves_the_last_good_one_in_force(world, text: str, caplog):
    pod = await world.pod("a")
    await world.publish(route(pod))
    await world.routes.publish_text(text)
    await until(lambda: "routes refused, the last ones stay" in caplog.text)
    assert await world.get() == (200, "a")


async def test_an_autoscaler_that_comes_back_hears_of_the_requests_that_wait(no_reports, world):
    await world.publish(route())
    first = await world.held()
    await until(lambda: world.autoscaler.stats(HELLO) == [(1.0, 1.0)])
    await world.autoscaler.stop()
    await until(lambda: not world.reporter.connected)
    second = await world.held()
    world.autoscaler.heard.clear()
    await world.autoscaler.start()
    await until(lambda: world.autoscaler.stats(HELLO) == [(2.0, 1.0)])
    await world.publish(route(await world.pod("a")))
    assert await gathered(first, second) == [(200, "a")] * 2


async def test_requests_are_served_while_the_autoscaler_is_away(world):
    await world.publish(route(await world.pod("a")))
    await world.autoscaler.stop()
    await until(lambda: not world.reporter.connected)
    assert await world.get() == (200, "a")


@pytest.mark.parametrize(
    "headers", [{"User-Agent": "kube-probe/1.34"}, {"K-Kubelet-Probe": "queue"}], ids=["agent", "header"]
)
async def test_kubelet_probes_succeed_only_while_the_autoscaler_listens(world, headers: dict[str, str]):
    assert await world.get(host="10.0.0.1", headers=headers) == (200, "")
    await world.autoscaler.stop()
    await until(lambda: not world.reporter.connected)
    assert await world.get(host="10.0.0.1", headers=headers) == (500, "no connection to the autoscaler\n")
    await world.autoscaler.start()
    await until(lambda: world.reporter.connected)
    assert await world.get(host="10.0.0.1", headers=headers) == (200, "")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("activator", (200, "activator")),
        ("queue", (400, "unexpected probe header value: 'queue'\n")),
        ("probe", (400, "unexpected probe header value: 'probe'\n")),
    ],
)
async def test_a_network_probe_must_mean_the_activator(world, value: str, answer: Answer):
    pod = await world.pod("a")
    await world.publish(route(pod))
    assert await world.get(headers={"K-Network-Probe": value}) == answer
    assert pod.requests == []
    assert world.load.report(0) == []


async def test_websockets_pass(world):
    pod = await world.pod("a")
    await world.publish(route(pod, concurrency=1))
    url = f"ws://127.0.0.1:{world.port}/ws"
    async with world.client.ws_connect(url, headers={"Host": HOST}) as websocket:
        for text in ("one", "two"):
            await websocket.send_str(text)
            assert await websocket.receive_str(timeout=30) == f"a: {text}"
        assert world.load.in_flight() == 1
    await until(lambda: world.load.in_flight() == 0)


async def test_server_sent_events_pass_one_by_one(world):
    pod = await world.pod("a")
    pod.go.clear()
    await world.publish(route(pod))
    url = f"http://127.0.0.1:{world.port}/stream"
    async with world.client.get(url, headers={"Host": HOST}) as response:
        assert await asyncio.wait_for(response.content.readline(), 30) == b"data: 1\n"
        pod.go.set()
        assert (await response.content.read()).endswith(b"data: 2\n\n")


@pytest.mark.virtual_time
@pytest.mark.usefixtures("virtual_wall_clock")
async def test_load_is_reported_each_second_while_it_lasts(world):
    pod = await world.pod("a")
    pod.go.clear()
    await world.publish(route(pod))
    requests = [asyncio.create_task(world.get()) for _ in range(5)]
    await until(lambda: (5.0, 0.0) in world.autoscaler.stats(HELLO))
    pod.go.set()
    await gathered(*requests)
    await until(lambda: world.autoscaler.stats(HELLO)[-1] == (0.0, 0.0))
    announced, *reports = world.autoscaler.stats(HELLO)
    assert announced == (1.0, 1.0)
    assert sum(count for _, count in reports) == 4.0
    assert {stat.pod_name for _, stat in world.autoscaler.heard} == {"activator-1"}


@pytest.mark.parametrize("patience", [30.0, 0.02], ids=["it comes", "it does not come"])
async def test_a_request_waits_for_the_first_table(monkeypatch, patience: float):
    monkeypatch.setattr(server_module, "FIRST_TABLE", patience)
    world = World()
    async with running(world.autoscaler, world.routes), world.live():
        request = asyncio.create_task(world.get())
        if patience < 1:
            assert await request == (503, "the routing table has not arrived yet\n")
        else:
            await asyncio.wait({request}, timeout=0.1)
            assert not request.done()
            await world.publish(route(await world.pod("a")))
            assert await request == (200, "a")
