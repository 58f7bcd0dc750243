"""The public port: whom a request is for, its wait for a backend, and what is answered without one."""

import asyncio
import logging

from kpa.dataplane.activator.reporter import Reporter
from kpa.dataplane.activator.throttle import RevisionGone, Throttle
from kpa.dataplane.http.breaker import QueueFull
from kpa.dataplane.http.forward import forward
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.upstream import Upstream, UpstreamUnreachable
from kpa.dataplane.routes import Backend, Route, RoutingTable

log = logging.getLogger(__name__)

NAME = b"activator"
PROXIED = ((b"K-Proxy-Request", NAME),)
"""Tells the queue-proxy that this request is reported here (knative/networking `pkg/http/header`)."""

REVISION, NAMESPACE = b"knative-serving-revision", b"knative-serving-namespace"
FIRST_TABLE = 10.0
"""Seconds that a request waits for the first routing table of this process before it is refused."""


class Activator:
    """Answers every request of the public port.

    Parameters
    ----------
    reporter : Reporter
        Hears of each request while it waits and while it is forwarded.

    Notes
    -----
    Source: `knative/serving pkg/activator/handler`. Different from it, a request whose revision leaves the
    table while it waits goes to the revision that its host leads to by then, and is refused only if there
    is none.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._throttle = Throttle(_upstream)
        self._first_table = asyncio.Event()

    def apply(self, table: RoutingTable) -> None:
        """Follow a new routing table."""
        self._throttle.apply(table)
        self._first_table.set()

    async def handle(self, request: Request) -> None:
        """Answer a probe, or forward the request as soon as a backend has room for it."""
        headers = request.headers
        if headers.get(b"user-agent").startswith(b"kube-probe/") or b"k-kubelet-probe" in headers:
            self._answer_kubelet(request)
        elif probe := headers.get(b"k-network-probe"):
            _answer_probe(request, probe)
        elif self._first_table.is_set() or await self._has_first_table():
            await self._pass_on(request)
        else:
            request.fail(503, "the routing table has not arrived yet")

    async def _pass_on(self, request: Request) -> None:
        arrived = asyncio.get_running_loop().time()
        while route := self._find(request):
            self._reporter.arrived(route.key)
            try:
                await self._hold(request, route, arrived + route.timeout_seconds)
                return
            except RevisionGone:
                continue
            finally:
                self._reporter.left(route.key)
        hosts = len(self._throttle.table.by_host)
        request.fail(404, f"no revision answers {_asked(request)}; {hosts} hosts are known")

    async def _hold(self, request: Request, route: Route, deadline: float) -> None:
        """Forward the request as soon as a backend takes it; refused connections leave it untouched."""
        throttle, refused = self._throttle.of(route), False
        while True:
            try:
                place = await throttle.take(deadline, again=refused)
            except QueueFull:
                return request.fail(503, "pending request queue full")
            except TimeoutError:
                return request.fail(504, f"waited {route.timeout_seconds:g} s: {throttle.why_waiting()}")
            try:
                return await forward(request, place.upstream, add=PROXIED, drop=(REVISION, NAMESPACE))
            except UpstreamUnreachable as error:
                refused = True
                throttle.set_aside(place)
                fields = {"namespace": route.namespace, "name": route.name, "backend": place.backend.name}
                log.info(
                    f"backend refused a connection; pausing it: {error}",
                    extra={"fields": fields},
                )
            finally:
                throttle.give_back(place)

    def _find(self, request: Request) -> Route | None:
        headers = request.headers
        return self._throttle.table.find(
            headers.get(b"host").decode("latin-1"),
            headers.get(REVISION).decode("latin-1"),
            headers.get(NAMESPACE).decode("latin-1"),
        )

    def _answer_kubelet(self, request: Request) -> None:
        """Ready while the autoscaler is connected: otherwise a request at zero starts no pod."""
        if self._reporter.connected:
            request.respond(200)
        else:
            request.fail(500, "no connection to the autoscaler")

    async def _has_first_table(self) -> bool:
        try:
            async with asyncio.timeout(FIRST_TABLE):
                return await self._first_table.wait()
        except TimeoutError:
            return False


def _answer_probe(request: Request, probe: bytes) -> None:
    if probe == NAME:
        request.respond(200, NAME)
    else:
        request.fail(400, f"unexpected probe header value: {probe.decode('latin-1')!r}")


def _asked(request: Request) -> str:
    revision, namespace = (
        request.header("knative-serving-revision"),
        request.header("knative-serving-namespace"),
    )
    return (
        f"revision {namespace}/{revision}" if revision and namespace else f"host {request.header('host')!r}"
    )


def _upstream(backend: Backend) -> Upstream:
    host, _, port = backend.address.rpartition(":")
    return Upstream(host.strip("[]"), int(port))
