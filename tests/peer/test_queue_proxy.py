"""Knative's queue-proxy and ours answer alike: probes, metrics, overflow, errors, and what passes through.

Each exchange goes to both, with the same backend and settings, and all must be equal: status, headers, body,
what the backend saw. `DIFFERENT` lists where we answer differently, with both answers and the reason.
Left out: TLS, h2c and request logs, which ours does not have; `/wait-for-drain`, which begins the end of our
process, but of Knative's only together with SIGTERM.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from metrics.stat import Stat
from tests.peer.backend import Backend
from tests.peer.queues import (
    START_SECONDS,
    Answer,
    Queue,
    ask,
    knative_queue,
    kpa_queue,
    settings,
    wait_until,
    wait_until_ready,
)

pytestmark = pytest.mark.peer

PROBE = {"User-Agent": "kube-probe/1.34"}
READY_PROBE = PROBE | {"K-Network-Probe": "queue"}
TIMEOUT_SECONDS = 8

NOT_COMPARED = {"date", "x-content-type-options"}
"""Headers of answers: Go's http.Error forbids browsers to guess types, ours does not."""

ADDED_BY_OURS = {"x-forwarded-host", "x-forwarded-proto"}
"""Headers for the backend: ours adds them when they are missing, as there may be no ingress before it."""


@dataclass(frozen=True)
class Exchange:
    """A request for either queue-proxy."""

    name: str
    method: str = "GET"
    target: str = "/echo"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | tuple[bytes, ...] | None = None
    port: Literal["serving", "metrics", "admin"] = "serving"

    def __str__(self) -> str:
        return self.name

    def ask(self, queue: Queue) -> Answer:
        body = iter(self.body) if isinstance(self.body, tuple) else self.body
        return ask(getattr(queue, self.port), self.method, self.target, self.headers, body)


@dataclass(frozen=True)
class Difference:
    """What each answers to an exchange, seen through `view`."""

    exchange: Exchange
    view: Callable[[Answer], Any]
    theirs: Any
    ours: Any
    reason: str

    def __str__(self) -> str:
        return self.exchange.name


def seen_header(name: str) -> Callable[[Answer], str | None]:
    """Return a view of one header as the backend saw it."""
    return lambda answer: dict(json.loads(answer.body)["headers"]).get(name)


PASSED_ON = [
    Exchange("a request with an awkward target", target="/echo?a=1&b=%2f//x&c="),
    Exchange("a body of known length", "POST", headers={"Content-Type": "text/x-a"}, body=b"hello"),
    Exchange("a body in chunks", "POST", body=(b"ab", b"cd")),
    Exchange("an empty body", "PUT", body=b""),
    Exchange("a method without a body", "DELETE"),
    Exchange("a request for the head", "HEAD"),
    Exchange(
        "a ready-made Forwarded", headers={"Forwarded": "for=192.0.2.1", "X-Forwarded-For": "192.0.2.1"}
    ),
    Exchange(
        "headers of the activator",
        headers={
            "K-Proxy-Request": "activator",
            "Knative-Serving-Revision": "r",
            "Knative-Serving-Namespace": "n",
        },
    ),
    Exchange("headers of one hop", headers={"Connection": "close, X-Hop", "X-Hop": "1", "Keep-Alive": "3"}),
    Exchange("an answer in chunks", target="/stream"),
    Exchange("an answer without a body", target="/status/204"),
    Exchange("a client's error", target="/status/404"),
    Exchange("the backend's own overload", target="/status/503"),
    Exchange("a probe header of someone else", headers={"K-Network-Probe": "queue"}),
    Exchange("a probe of the ingress", headers={"User-Agent": "Knative-Ingress-Probe"}),
]

PROBES = [
    Exchange(
        f"{agent}, K-Network-Probe: {value}", method, headers={"User-Agent": agent, "K-Network-Probe": value}
    )
    for agent in ("kube-probe/1.34", "Knative-Activator-Probe", "Knative-Autoscaling-Probe")
    for method, value in (("GET", "queue"), ("POST", "queue"), ("GET", "activator"))
]
PROBES += [Exchange("kubelet's probe without K-Network-Probe", headers=PROBE)]

DIFFERENT = [
    Difference(
        Exchange("an answer without a type", target="/plain"),
        lambda answer: answer.header("content-type"),
        "text/plain; charset=utf-8",
        None,
        "Go guesses a type when the backend names none; ours adds nothing",
    ),
    Difference(
        Exchange("an answer not modified", target="/status/304"),
        lambda answer: answer.header("content-type"),
        None,
        "text/x-backend",
        "Go takes the type off a 304; ours takes off nothing",
    ),
    Difference(
        Exchange(
            "where it came from", headers={"X-Forwarded-For": "192.0.2.1, ::1", "X-Forwarded-Proto": "https"}
        ),
        seen_header("forwarded"),
        'for=192.0.2.1;proto=https, for="[::1]"',
        None,
        "Knative repeats the X-Forwarded headers as Forwarded; ours leaves it at the former",
    ),
    Difference(
        Exchange("the ingress's probe", headers={"K-Network-Probe": "probe", "K-Network-Hash": "h"}),
        lambda answer: answer.header("k-network-hash"),
        "h",
        None,
        "ours is not a target of an ingress's own probes and passes them on",
    ),
    Difference(
        Exchange("a probe by K-Kubelet-Probe", headers={"K-Kubelet-Probe": "1"}),
        lambda answer: answer.status,
        200,
        400,
        "Knative passes it on without counting it; ours takes it for a probe",
    ),
    Difference(
        Exchange("another path of the metrics port", target="/", port="metrics"),
        lambda answer: (answer.status, answer.body),
        (404, b"404 page not found\n"),
        (404, b"only /metrics is served here\n"),
        "ours says what there is",
    ),
    Difference(
        Exchange("another path of the admin port", target="/", port="admin"),
        lambda answer: (answer.status, answer.body),
        (404, b"404 page not found\n"),
        (404, b"only /wait-for-drain is served here\n"),
        "ours says what there is",
    ),
]


def comparable(exchange: Exchange, answer: Answer) -> tuple[int, list[tuple[str, str]], Any]:
    """Return what is compared of an answer: status, headers, and the body or what the backend saw."""
    headers = [header for header in answer.headers if header[0] not in NOT_COMPARED]
    if answer.header("content-type") != "application/json":
        return answer.status, headers, answer.body
    seen = json.loads(answer.body or b'{"headers": []}')
    asked = {name.lower() for name in exchange.headers}
    seen["headers"] = [h for h in seen["headers"] if h[0] not in ADDED_BY_OURS - asked]
    return answer.status, [header for header in headers if header[0] != "content-length"], seen


@pytest.fixture(scope="module")
def queues(backend: Backend) -> Iterator[tuple[Queue, Queue]]:
    """Knative's and ours, one request at a time each."""
    environment = settings(
        backend.port, CONTAINER_CONCURRENCY="1", REVISION_TIMEOUT_SECONDS=str(TIMEOUT_SECONDS)
    )
    with knative_queue(environment) as theirs, kpa_queue(environment) as ours:
        wait_until_ready(theirs)
        wait_until_ready(ours)
        yield theirs, ours


@pytest.mark.parametrize("exchange", [*PASSED_ON, *PROBES], ids=str)
def test_both_answer_alike(queues: tuple[Queue, Queue], exchange: Exchange) -> None:
    theirs, ours = (comparable(exchange, exchange.ask(queue)) for queue in queues)

    assert ours == theirs


@pytest.mark.parametrize("difference", DIFFERENT, ids=str)
def test_each_difference_is_still_one(queues: tuple[Queue, Queue], difference: Difference) -> None:
    theirs, ours = (difference.view(difference.exchange.ask(queue)) for queue in queues)

    assert theirs == difference.theirs
    assert ours == difference.ours, difference.reason


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["application/protobuf", "text/plain", "*/*"])
def test_both_report_protobuf_whatever_is_asked_for(
    queues: tuple[Queue, Queue], method: str, accept: str
) -> None:
    for queue in queues:
        answer = ask(queue.metrics, method, "/metrics", {"Accept": accept})

        assert (answer.status, answer.header("content-type")) == (200, "application/protobuf")
        assert Stat.decode(answer.body).pod_name == "hello-00001-pod"


def test_probes_fail_while_the_container_is_not_ready(backend: Backend, queues: tuple[Queue, Queue]) -> None:
    """Knative's asks the container at each probe; ours each period, and fails at the failure threshold."""
    theirs, ours = queues
    probe = Exchange("probe", headers=READY_PROBE)

    backend.ready = False
    try:
        expected = comparable(probe, probe.ask(theirs))
        wait_until(lambda: probe.ask(ours).status != 200, START_SECONDS)
        actual = comparable(probe, probe.ask(ours))
        served = [ask(queue.serving, target="/echo").status for queue in queues]
    finally:
        backend.ready = True

    assert expected[0] == 503
    assert actual == expected
    assert served == [200, 200]
    for queue in queues:
        wait_until_ready(queue)


def test_both_queue_ten_times_their_concurrency_and_refuse_the_rest(
    backend: Backend, queues: tuple[Queue, Queue]
) -> None:
    refused = []
    for queue in queues:
        with ThreadPoolExecutor(20) as pool:
            asked = [pool.submit(ask, queue.serving, target="/held") for _ in range(20)]
            done = as_completed(asked, timeout=60)
            answers = [next(done).result() for _ in range(9)]
            refused.append({(a.status, a.header("content-type"), a.body) for a in answers})
            for _ in range(11):
                backend.wait_until_held(1)
                backend.let_go()
                answers.append(next(done).result())
        assert [a.status for a in answers] == [503] * 9 + [200] * 11

    assert refused[0] == {(503, "text/plain; charset=utf-8", b"pending request queue full\n")}
    assert refused[1] == refused[0]


def test_both_end_a_request_at_its_timeout(backend: Backend, queues: tuple[Queue, Queue]) -> None:
    held = Exchange("held", target="/held")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(held.ask, queues))
    backend.let_go()

    for answer in answers:
        assert (answer.status, answer.body.rstrip(b"\n")) == (504, b"request timeout")
        assert answer.header("content-type") == "text/plain; charset=utf-8"
