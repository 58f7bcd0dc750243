"""What a cluster with Knative does around the autoscaler, played on a bare control plane.

Revisions are created as their controller creates them; pods follow their Deployments; ServerlessServices get
the status that their controller would write. Everything is in a namespace of its own.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable

import aiohttp

from tests.kube.api import Api, ApiError, path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM, config_maps, reset_system
from tests.kube.revision_double import NEVER, RevisionDouble
from tests.kube.stub_pods import StubPods

WATCHED = ("podautoscalers", "deployments", "serverlessservices", "metrics")
WORKERS = 8
UNTIL_SECONDS = 60.0


class Knative:
    """The rest of the cluster, for the revisions of one test.

    Attributes
    ----------
    api : Api
        A session as the admin.
    namespace : str
        Where the revisions are.
    revisions : dict
        Revisions by name.
    """

    def __init__(self, api: Api, stubs: StubPods) -> None:
        self.api, self.stubs = api, stubs
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.revisions: dict[str, RevisionDouble] = {}
        self._changed = asyncio.Condition()
        self._dirty: asyncio.Queue[str] = asyncio.Queue()

    async def create(
        self,
        name: str,
        *,
        replicas: int = 1,
        container_concurrency: int = 0,
        annotations: dict[str, str] | None = None,
        reachability: str = "Reachable",
        start_seconds: float = 0.0,
        drain_seconds: float = 0.0,
    ) -> RevisionDouble:
        """Create a revision; short names of annotations are autoscaling.knative.dev's."""
        revision = RevisionDouble(self.api, self.stubs, self.namespace, name)
        revision.start_seconds, revision.drain_seconds = start_seconds, drain_seconds
        self.revisions[name] = revision
        await revision.create(replicas, container_concurrency, annotations or {}, reachability)
        return revision

    async def configure(self, name: str, data: dict[str, str]) -> None:
        """Set a ConfigMap of the system namespace to Knative's data with these keys changed."""
        metadata = {"name": name, "namespace": SYSTEM}
        body = {"metadata": metadata, "data": {**config_maps().get(name, {}), **data}}
        try:
            await self.api.put(path("configmaps", SYSTEM, name), body)
        except ApiError as error:
            if error.status != 404:
                raise
            await self.api.post(path("configmaps", SYSTEM), body)

    async def unconfigure(self, name: str) -> None:
        """Delete a ConfigMap of the system namespace."""
        await self.api.delete(path("configmaps", SYSTEM, name))

    async def until(self, holds: Callable[[], bool], what: str = "", seconds: float = UNTIL_SECONDS) -> float:
        """Wait until something holds, looking whenever the API server tells of a change.

        Returns
        -------
        float
            Seconds waited.

        Raises
        ------
        AssertionError
            It did not hold in time.
        """
        began = time.monotonic()
        while not holds():
            left = began + seconds - time.monotonic()
            assert left > 0, f"{what or 'it'} did not come true in {seconds} s: {self.describe()}"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.5)), self._changed:
                    await self._changed.wait()
        return time.monotonic() - began

    def describe(self) -> str:
        """Say where the first revisions stand."""
        shown = [
            f"{r.name}: replicas {r.replicas}, ready {len(r.ready)}, mode {r.mode or 'none'}, "
            f"status {(r.pa or {}).get('status')}"
            for r in list(self.revisions.values())[:5]
        ]
        return "; ".join(shown)

    async def play(self) -> None:
        """Play the rest of the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in WATCHED:
                group.create_task(self._observe(kind))
            for _ in range(WORKERS):
                group.create_task(self._settle())

    async def _observe(self, kind: str) -> None:
        async for change, document in self.api.watch(path(kind, self.namespace)):
            name = document["metadata"]["name"].removesuffix("-deployment")
            if revision := self.revisions.get(name):
                revision.saw(change, kind, document)
                if kind in ("deployments", "serverlessservices"):
                    self._dirty.put_nowait(name)
                async with self._changed:
                    self._changed.notify_all()

    async def _settle(self) -> None:
        while True:
            name = await self._dirty.get()
            try:
                due = await self.revisions[name].settle()
                if due != NEVER:
                    asyncio.get_running_loop().call_later(
                        max(0.0, due - time.monotonic()), self._dirty.put_nowait, name
                    )
            except (aiohttp.ClientError, TimeoutError, ApiError) as error:
                if isinstance(error, ApiError) and error.status < 500:
                    raise
                await asyncio.sleep(0.1)  # the API server or its etcd is away
                self._dirty.put_nowait(name)
            async with self._changed:
                self._changed.notify_all()

    async def clear(self) -> None:
        """Delete all that the revisions left."""
        for revision in self.revisions.values():
            for pod in list(revision.pods.values()):
                self.stubs.remove(pod.stub)
        for kind in (*WATCHED, "pods", "events"):
            await self.api.delete(path(kind, self.namespace))


@contextlib.asynccontextmanager
async def playing(control_plane: ControlPlane, stubs: StubPods) -> AsyncIterator[Knative]:
    """Play a freshly installed Knative for a while."""
    async with control_plane.api() as api:
        await reset_system(api)
        knative = Knative(api, stubs)
        await api.post(path("namespaces"), {"metadata": {"name": knative.namespace}})
        player = asyncio.create_task(knative.play())
        try:
            yield knative
        finally:
            failure = player.exception() if player.done() else None
            player.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await player
            await knative.clear()
        if failure:
            raise failure
