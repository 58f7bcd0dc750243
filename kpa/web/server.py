"""The service's read-only HTTP server: telemetry, health, and what `kpa status` and activators read.

GET /metrics                  Prometheus text, or OpenMetrics if asked for; gzip if accepted
GET /healthz                  200 while the event loop runs and ticks come, else 503 with the reason
GET /readyz                   200 once the service is ready, else 503 with the reason
GET /api/revisions            all revisions as JSON
GET /api/revisions/NS/NAME    one of them, and in words why it has the pods it has
GET .../NS/NAME/history       its last hour
GET /api/explain?name=...     the one that NAME or NS/NAME means, of a revision or a service
GET /api/sparklines?of=NS/NAME&of=...  the loads of some revisions over the last hour
GET /api/stream               the fleet as server-sent events: all of it, then what changes
GET /, /dashboard/...         the dashboard
GET /api/routes               the routing table as JSON lines: now, and again whenever it changes
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import gzip_accepted

from kpa.controller.explain import Explanation
from kpa.controller.status import RevisionStatus
from kpa.runtime.heartbeat import Heartbeat
from kpa.runtime.time_budget import LENGTH, TimeBudget
from kpa.telemetry.telemetry import Telemetry
from kpa.web.api.api import explanation_to_json, fleet_to_json
from kpa.web.api.names import Ambiguous, NoRevision, find_revision
from kpa.web.api.route_stream import RouteSource, RouteStream
from kpa.web.dashboard.charts import Charts, Past
from kpa.web.dashboard.live import Live
from kpa.web.dashboard.pages import add_pages
from metrics.key import Key

_T = TypeVar("_T")


class Server:
    """Answers on one port; `start` and `close` once each.

    Parameters
    ----------
    telemetry : Telemetry
    read : callable
        Gives the status of all revisions; called on the event loop, at each scrape or API request.
    explain : callable (key)
        Gives the explanation of a revision; None if there is no such revision.
    past : callable (key)
        Gives the last hour of a revision; None if there is no such revision.
    heartbeat : Heartbeat
    ready : callable
        Says why the service is not ready, or None.
    profile : callable
        Names the profile of the configuration in force.
    routes : RouteSource

    Notes
    -----
    Long texts are written and compressed in a thread, one at a time; the event loop goes on meanwhile. Each
    client is written to at its own pace.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        read: Callable[[], Iterable[RevisionStatus]],
        explain: Callable[[Key], Explanation | None],
        past: Past,
        *,
        heartbeat: Heartbeat,
        ready: Callable[[], str | None],
        profile: Callable[[], str],
        routes: RouteSource,
    ) -> None:
        self._telemetry = telemetry
        self._read = read
        self._explain = explain
        self._heartbeat = heartbeat
        self._ready = ready
        self._profile = profile
        self._routes = RouteStream(routes)
        self._charts = Charts(past)
        self._live = Live(self._statuses, self._in_thread, profile)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kpa-server")
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str | None = "127.0.0.1", port: int = 9090) -> int:
        """Listen; returns the port, which is of use where 0 was asked for.

        Raises
        ------
        OSError
            The address cannot be had.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening, end the streams, give open answers one second."""
        await self._runner.cleanup()
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_say_what_was_wrong])
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/api/revisions", self._revisions)
        application.router.add_get("/api/revisions/{namespace}/{name}", self._revision)
        application.router.add_get("/api/revisions/{namespace}/{name}/history", self._charts.history)
        application.router.add_get("/api/explain", self._explain_name)
        application.router.add_get("/api/sparklines", self._charts.sparklines)
        application.router.add_get("/api/stream", self._live.serve, allow_head=False)
        application.router.add_get("/api/routes", self._routes.serve, allow_head=False)
        add_pages(application)
        application.on_shutdown.append(self._end_streams)
        return application

    async def _metrics(self, request: web.Request) -> web.Response:
        statuses = await self._statuses()
        accept = request.headers.get("Accept", "")
        compress = gzip_accepted(request.headers.get("Accept-Encoding", ""))
        body, content_type = await self._in_thread(
            lambda: self._telemetry.render(statuses, accept, compress=compress)
        )
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if compress:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _healthz(self, request: web.Request) -> web.Response:
        return _verdict(self._heartbeat.problem(asyncio.get_running_loop().time()))

    async def _readyz(self, request: web.Request) -> web.Response:
        return _verdict(self._ready())

    async def _revisions(self, request: web.Request) -> web.Response:
        now, profile, statuses = time.time(), self._profile(), await self._statuses()
        text = await self._in_thread(lambda: fleet_to_json(now, profile, statuses))
        return web.Response(text=text, content_type="application/json")

    async def _revision(self, request: web.Request) -> web.Response:
        return self._explanation(Key(request.match_info["namespace"], request.match_info["name"]))

    async def _explain_name(self, request: web.Request) -> web.Response:
        try:
            key = find_revision(request.query.get("name", ""), await self._statuses())
        except NoRevision as error:
            return web.json_response({"error": str(error)}, status=404)
        except Ambiguous as error:
            return web.json_response({"error": str(error)}, status=409)
        return self._explanation(key)

    def _explanation(self, key: Key) -> web.Response:
        explanation = self._explain(key)
        if explanation is None:
            return web.json_response({"error": f"no revision {key}"}, status=404)
        return web.json_response(explanation_to_json(explanation))

    async def _end_streams(self, application: web.Application) -> None:
        self._live.end()
        self._routes.end()

    async def _statuses(self) -> list[RevisionStatus]:
        """Read all, with pauses in which the event loop goes on."""
        statuses, budget = [], TimeBudget(LENGTH)
        for status in self._read():
            statuses.append(status)
            if budget.over:
                await asyncio.sleep(0)
                budget = TimeBudget(LENGTH)
        return statuses

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)


def _verdict(problem: str | None) -> web.Response:
    return web.Response(text="ok\n") if problem is None else web.Response(text=f"{problem}\n", status=503)


@web.middleware
async def _say_what_was_wrong(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say in JSON what was wrong with a request that no handler takes."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.method} is not allowed on {request.path}; this server is read-only ({allowed})"
        return web.json_response({"error": text}, status=405, headers={"Allow": allowed})
    except web.HTTPNotFound:
        paths = (
            "/, /metrics, /healthz, /readyz, /api/revisions, /api/revisions/NAMESPACE/NAME, "
            "/api/revisions/NAMESPACE/NAME/history, /api/explain, /api/sparklines, /api/stream, /api/routes"
        )
        return web.json_response({"error": f"no {request.path} here; there are {paths}"}, status=404)
