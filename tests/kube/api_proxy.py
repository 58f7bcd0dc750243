"""The way to the API server, spoiled on demand: cut, slow, busy, or not there.

A replica that is started with the proxy's kubeconfig alone suffers; the test and the other replicas have the
API server itself.
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from tests.kube.control_plane import ControlPlane
from tests.kube.serving import Autoscaler, Serving

PASSED_ON = ("Authorization", "Content-Type", "Accept")


class ApiProxy:
    """Passes requests on to the API server, unless told otherwise; change it at any time.

    Attributes
    ----------
    delay : float
        Seconds before each answer, as with a slow etcd.
    down : bool
        Connections are cut instead of answered.
    busy : callable (aiohttp.web.Request) -> bool
        Says which requests are refused with 429 and `Retry-After: 1`.
    asked : list of (float, str, str)
        When (event loop time) which verb was asked of which path; a list is `LIST`, a watch `WATCH`.
    refused : Counter
        Requests refused, by verb and path.
    """

    def __init__(self, control_plane: ControlPlane, token: str) -> None:
        self.delay = 0.0
        self.down = False
        self.busy: Callable[[web.Request], bool] = lambda request: False
        self.asked: list[tuple[float, str, str]] = []
        self.refused: Counter[tuple[str, str]] = Counter()
        self._token, self._target = token, control_plane.url
        context = ssl.create_default_context(cafile=str(control_plane.ca_file))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context), timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)

    async def start(self) -> None:
        """Listen at a free port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def close(self) -> None:
        """Cut everything and stop."""
        self.cut()
        await self._runner.cleanup()
        await self._session.close()

    def kubeconfig(self, file: Path) -> Path:
        """Write a kubeconfig that leads here."""
        address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": address}}],
            "users": [{"name": "test", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def cut(self) -> int:
        """Break all connections off; returns how many there were."""
        server = self._runner.server
        transports = [each.transport for each in server.connections] if server is not None else []
        for transport in transports:
            if transport is not None:
                transport.abort()
        return len(transports)

    @contextlib.asynccontextmanager
    async def cutting(self, seconds: float) -> AsyncIterator[None]:
        """Cut all connections again and again."""

        async def cut() -> None:
            while True:
                await asyncio.sleep(seconds)
                self.cut()

        task = asyncio.create_task(cut())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Let nobody through for a while."""
        self.down = True
        self.cut()
        try:
            yield
        finally:
            self.down = False

    def count(self, verb: str, path: str = "") -> int:
        """Count requests of a verb whose path contains a text."""
        return sum(each == verb and path in where for _, each, where in self.asked)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        verb = _verb(request)
        self.asked.append((asyncio.get_running_loop().time(), verb, request.path))
        if self.down:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.busy(request):
            self.refused[verb, request.path] += 1
            status = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "too many"}
            return web.json_response(status, status=429, headers={"Retry-After": "1"})
        await asyncio.sleep(self.delay)
        return await self._pass_on(request)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        async with self._session.request(
            request.method, self._target + request.path_qs, data=await request.read(), headers=headers
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):  # it was cut
                async for part in answer.content.iter_any():
                    await response.write(part)
            return response


def _verb(request: web.Request) -> str:
    if "watch" in request.query:
        return "WATCH"
    return "LIST" if request.method == "GET" and "limit" in request.query else request.method


@contextlib.asynccontextmanager
async def proxying(control_plane: ControlPlane, token: str) -> AsyncIterator[ApiProxy]:
    """Have a proxy for a while."""
    proxy = ApiProxy(control_plane, token)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()


async def start_behind(autoscaler: Autoscaler, proxy: ApiProxy, ready: bool = True) -> Serving:
    """Start a replica that has the API server through a proxy, and wait until it leads."""
    file = proxy.kubeconfig(autoscaler.folder / "through-the-proxy")
    serving = await autoscaler.start(ready=ready, environment={"KUBECONFIG": str(file)})
    if ready:
        await serving.logs("we lead")
    return serving
