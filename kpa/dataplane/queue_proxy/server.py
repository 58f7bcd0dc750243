"""The queue-proxy at work: three listeners, one replica, and an end that loses no request.

Source: `knative/serving pkg/queue/sharedmain/{main,handlers}.go`, `pkg/queue/{handler,health/handler}.go`,
`knative/pkg network/handlers/drain.go`.
"""

import asyncio
import signal

from kpa.dataplane.http.breaker import Breaker, QueueFull
from kpa.dataplane.http.forward import forward
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.server import ProxyServer
from kpa.dataplane.http.upstream import Upstream, UpstreamUnreachable
from kpa.dataplane.queue_proxy.events import EventWriter
from kpa.dataplane.queue_proxy.health import Health
from kpa.dataplane.queue_proxy.settings import USER_HOST, QueueProxySettings
from kpa.dataplane.queue_proxy.stats import PERIOD, RequestStats

NAME = "queue"
"""What a probe must ask for (K-Network-Probe), and what it is answered with when the replica is ready."""

PROBE_AGENTS = ("kube-probe/", "Knative-Activator-Probe", "Knative-Autoscaling-Probe")
"""How the User-Agent of those who probe begins."""

QUEUE_DEPTH_FACTOR = 10
"""Requests that may wait per request that is served at once: what the autoscaler needs to react.

Source: `knative/serving pkg/queue/sharedmain/main.go` (buildBreaker).
"""

TUNNEL_SECONDS = 60.0
"""Seconds that websockets may go on once everything else has ended."""

REVISION_HEADERS = (b"knative-serving-namespace", b"knative-serving-revision")
"""Fields for activators, which the replica does not get to see."""


class QueueProxy:
    """One queue-proxy.

    Example:
    -------
    ::

        proxy = QueueProxy(read_settings(os.environ))
        await proxy.run()           # until SIGTERM or a request for /wait-for-drain
    """

    def __init__(self, settings: QueueProxySettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._events = EventWriter(settings.events_fd)
        self._stats = RequestStats(settings.pod_name, self._loop.time())
        self._health = Health(settings.probe, self._ready_changed)
        self._upstream = Upstream(USER_HOST, settings.user_port)
        concurrency = settings.container_concurrency
        self._breaker = Breaker(concurrency, concurrency * QUEUE_DEPTH_FACTOR)
        self._serving = ProxyServer(self._serve)
        self._metrics = ProxyServer(self._serve_metrics)
        self._admin = ProxyServer(self._serve_admin)
        self._last_request = 0.0
        self._drain = asyncio.Event()
        self._drained = asyncio.Event()

    async def run(self) -> None:
        """Serve until drained.

        Raises
        ------
        OSError
            A port cannot be listened on.
        """
        settings = self._settings
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain.set)
        self._events.send(
            "listening",
            serving=await self._serving.start(settings.host, settings.serving_port),
            metrics=await self._metrics.start(settings.host, settings.metrics_port),
            admin=await self._admin.start(settings.host, settings.admin_port),
        )
        tasks = [self._loop.create_task(self._health.run()), self._loop.create_task(self._report())]
        await self._drain.wait()
        await self._until_quiet()
        await self._serving.close(settings.timeout or None, TUNNEL_SECONDS)
        self._events.send("drained")
        self._drained.set()
        await self._admin.close(1.0)
        await self._metrics.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._upstream.close()

    # --- requests for the replica

    async def _serve(self, request: Request) -> None:
        if _is_probe(request):
            self._answer_probe(request)
            return
        start = self._last_request = self._loop.time()
        proxied = request.headers.get(b"k-proxy-request") == b"activator"
        self._stats.arrive(start, proxied=proxied)
        try:
            await self._pass_on(request, start)
        except QueueFull as error:
            request.fail(503, str(error))
        except UpstreamUnreachable as error:
            self._health.suspect()
            request.fail(502, str(error))
        except TimeoutError:
            request.fail(504, "request timeout")
        finally:
            self._stats.leave(self._loop.time(), proxied=proxied)

    async def _pass_on(self, request: Request, start: float) -> None:
        settings = self._settings
        async with asyncio.timeout_at(start + settings.timeout if settings.timeout else None), self._breaker:
            await forward(
                request,
                self._upstream,
                drop=REVISION_HEADERS,
                respond_by=start + settings.response_start_timeout
                if settings.response_start_timeout
                else None,
                idle=settings.idle_timeout or None,
            )

    def _answer_probe(self, request: Request) -> None:
        asked = request.header("k-network-probe")
        if self._drain.is_set():
            request.fail(503, "shutting down")
        elif asked != NAME:
            request.fail(400, f"unexpected probe header value: {asked}")
        elif not self._health.ready:
            request.respond(503)
        else:
            request.respond(200, NAME.encode())

    # --- the other listeners

    async def _serve_metrics(self, request: Request) -> None:
        if request.path == "/metrics":
            request.respond(200, self._stats.latest.encode(), content_type="application/protobuf")
        else:
            request.fail(404, "only /metrics is served here")

    async def _serve_admin(self, request: Request) -> None:
        if request.path != "/wait-for-drain":
            request.fail(404, "only /wait-for-drain is served here")
            return
        self._drain.set()
        await self._drained.wait()
        request.respond(200)

    # --- in the background

    async def _report(self) -> None:
        """End a period of the stats each second, on deadlines that do not drift."""
        due = self._loop.time() + PERIOD
        while True:
            await asyncio.sleep(due - self._loop.time())
            now = self._loop.time()
            self._stats.report(now)
            due = max(due + PERIOD, now)

    async def _until_quiet(self) -> None:
        """Wait until no request has come for a while since the drain began: routers send no more then."""
        self._serving.stop_keeping_alive()
        self._last_request = self._loop.time()
        left = self._settings.drain_quiet_seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._last_request + self._settings.drain_quiet_seconds - self._loop.time()

    def _ready_changed(self, ready: bool, reason: str) -> None:
        if ready:
            self._events.send("ready")
        else:
            self._events.send("unready", reason=reason)


def _is_probe(request: Request) -> bool:
    return request.header("user-agent").startswith(PROBE_AGENTS) or b"k-kubelet-probe" in request.headers
