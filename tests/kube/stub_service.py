"""The private services of revisions, as a mesh's sidecar leads to them: one address, told apart by host."""

import contextlib
import itertools
from collections.abc import AsyncIterator

from aiohttp import web

from tests.kube.revision_double import RevisionDouble
from tests.kube.stub_pods import METRICS_PORT


class StubServices:
    """Answers with what one after another of a revision's ready pods has to say.

    Attributes
    ----------
    hosts : list of str
        Of all requests.
    """

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self._revisions: dict[str, RevisionDouble] = {}
        self._turn = itertools.count()

    def lead_to(self, revision: RevisionDouble) -> None:
        """Answer for a revision, too."""
        self._revisions[f"{revision.name}-private.{revision.namespace}:{METRICS_PORT}"] = revision

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one scrape."""
        self.hosts.append(request.host)
        revision = self._revisions.get(request.host)
        if revision is None or not revision.ready or request.path != "/metrics":
            return web.Response(status=404)
        pod = revision.ready[next(self._turn) % len(revision.ready)]
        return web.Response(body=pod.stub.stat.encode(), content_type="application/protobuf")


@contextlib.asynccontextmanager
async def stub_services(address: str) -> AsyncIterator[StubServices]:
    """Run services at an address to which all their names lead."""
    stub = StubServices()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, METRICS_PORT).start()
        yield stub
    finally:
        await runner.cleanup()
