"""A fleet on a real control plane, and what the rest of Knative does for it.

Revisions are made in bulk and never change by themselves; ServerlessServices get the status that their
controller would write. `tests/kube/knative_double.py` plays one revision in full, which takes more of the
machine than what is measured here.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from fleet_pods import FleetPods, fleet_pods

from tests.kube import objects
from tests.kube.api import Api, ApiError, Json, path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM, controller_token, install, reset_system

FLEET, ZERO = "fleet", "zero"
"""Namespaces of revisions under steady load, and of those at zero."""

AT_A_TIME = 32  # requests of ours in flight while a fleet is made
PLAYED_AT_A_TIME = 8
"""Requests in flight of the rest of Knative, whose controllers work on two objects of a kind at a time."""
CONTAINER_CONCURRENCY = 10
UPTIME = 3600.0  # seconds
LOAD = 6.5  # requests in flight at each pod: 3 pods hold 3 pods at Knative's target of 7
TOKEN_SECONDS = 7200

T = TypeVar("T")


class Cluster:
    """Revisions, their pods, and the status of their services.

    Attributes
    ----------
    fleet, zero : list of str
        Names of revisions under load, and at zero.
    """

    def __init__(self, api: Api, revisions: int, zero: int) -> None:
        self._api = api
        self.fleet = [f"hello-{number:05d}-00001" for number in range(revisions)]
        self.zero = [f"idle-{number:05d}-00001" for number in range(zero)]
        self._arrived: dict[str, set[str]] = {FLEET: set(), ZERO: set()}
        self._ready = {FLEET: 0, ZERO: 0}  # pods of each revision
        self._changed = asyncio.Event()

    async def make(self, pods: int, ips: Sequence[str]) -> None:
        """Make Deployments and pods, as many for each revision of the fleet, with these addresses."""
        for namespace in (FLEET, ZERO):
            await self._api.post(path("namespaces"), {"metadata": {"name": namespace}})
        self._ready[FLEET] = pods
        await _each(self.fleet, lambda name: self._deploy(FLEET, name, pods))
        await _each(self.zero, lambda name: self._deploy(ZERO, name, 0))
        named = [(name, number) for name in self.fleet for number in range(pods)]
        await _each(zip(named, ips, strict=True), lambda pod: self._run(*pod[0], pod[1]))

    async def _deploy(self, namespace: str, name: str, replicas: int) -> None:
        await self._api.post(path("deployments", namespace), objects.deployment(name, uid(name), replicas))

    async def _run(self, revision: str, number: int, ip: str) -> None:
        name = pod_name(revision, number)
        await self._api.post(path("pods", FLEET), objects.pod(name, revision, uid(revision)))
        status = {"status": objects.pod_status(ip, True, time.time() - UPTIME)}
        await self._api.patch(path("pods", FLEET, name, "status"), status)

    async def reset(self, *namespaces: str) -> None:
        """Forget every autoscaler: no lease, no PodAutoscaler in these namespaces, nothing made for one.

        Zero is zero again.
        """
        await reset_system(self._api)
        settings = {"data": {"allow-zero-initial-scale": "true"}}
        await self._api.patch(path("configmaps", SYSTEM, "config-autoscaler"), settings)
        for kind in ("podautoscalers", "metrics", "serverlessservices"):
            for namespace in namespaces:
                await self._api.delete(path(kind, namespace))
        await _each(
            self.zero,
            lambda name: self._api.patch(
                path("deployments", ZERO, f"{name}-deployment"), {"spec": {"replicas": 0}}
            ),
        )
        for namespace in namespaces:
            self._arrived[namespace].clear()

    async def create(self, namespace: str) -> None:
        """Make the PodAutoscalers of a namespace, as the controller of revisions does."""
        names, annotations = (self.fleet, {}) if namespace == FLEET else (self.zero, {"initial-scale": "0"})
        await _each(
            names,
            lambda name: self._api.post(
                path("podautoscalers", namespace),
                objects.pod_autoscaler(name, uid(name), CONTAINER_CONCURRENCY, annotations, "Reachable"),
            ),
            PLAYED_AT_A_TIME,
        )

    @property
    def taken_up(self) -> int:
        """Revisions of the fleet that are ready and whose load has been decided on."""
        return len(self._arrived[FLEET])

    @property
    def at_zero(self) -> int:
        """Revisions at zero that are known to be there."""
        return len(self._arrived[ZERO])

    async def until(self, holds: Callable[[], bool], seconds: float) -> float:
        """Wait until something about PodAutoscalers holds, or time is over; returns the seconds waited."""
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
                    await asyncio.sleep(0.05)  # looks at many changes at once
        return time.monotonic() - began

    # The rest of Knative.

    async def play(self) -> None:
        """Follow PodAutoscalers, and answer for ServerlessServices, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for namespace in (FLEET, ZERO):
                group.create_task(self._follow(namespace))
                group.create_task(self._serve(namespace, group))

    async def _follow(self, namespace: str) -> None:
        async for change, pa in self._api.watch(path("podautoscalers", namespace)):
            arrived = change != "DELETED" and self._has_arrived(namespace, pa.get("status") or {})
            (self._arrived[namespace].add if arrived else self._arrived[namespace].discard)(
                pa["metadata"]["name"]
            )
            self._changed.set()

    def _has_arrived(self, namespace: str, status: Json) -> bool:
        if namespace == ZERO:
            return _condition(status, "Active") == "False"
        return status.get("desiredScale") == self._ready[FLEET] and _condition(status, "Ready") == "True"

    async def _serve(self, namespace: str, group: asyncio.TaskGroup) -> None:
        limit = asyncio.Semaphore(PLAYED_AT_A_TIME)
        async for change, sks in self._api.watch(path("serverlessservices", namespace)):
            generation = sks["metadata"]["generation"]
            if change != "DELETED" and sks.get("status", {}).get("observedGeneration") != generation:
                group.create_task(self._answer(namespace, sks, limit))

    async def _answer(self, namespace: str, sks: Json, limit: asyncio.Semaphore) -> None:
        """Replace the status, as the controller does: half the work of a patch for the API server."""
        body = {**sks, "status": objects.sks_status(sks, self._ready[namespace])}
        async with limit:
            with contextlib.suppress(ApiError):  # it went, or changed: a later event tells
                name = sks["metadata"]["name"]
                await self._api.put(path("serverlessservices", namespace, name, "status"), body)


class Standing(NamedTuple):
    """A fleet that stands on a control plane of its own, and how an autoscaler gets in."""

    control_plane: ControlPlane
    api: Api
    cluster: Cluster
    pods: FleetPods
    kubeconfig: Path


@contextlib.asynccontextmanager
async def standing_fleet(folder: Path, revisions: int, zero: int, pods: int) -> AsyncIterator[Standing]:
    """Have a fleet for a while, each revision with so many pods under load; nobody scales it yet."""
    control_plane = ControlPlane(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(control_plane.stop)
        control_plane.start()
        running = stack.enter_context(fleet_pods())
        async with control_plane.api() as api:
            await install(api)
            cluster = Cluster(api, revisions, zero)
            running.start([pod_name(name, number) for name in cluster.fleet for number in range(pods)], LOAD)
            async with _playing(cluster):
                began = time.monotonic()
                await cluster.make(pods, running.ips)
                print(f"{revisions} x {pods} made in {time.monotonic() - began:.1f} s", flush=True)
                token = await controller_token(api, TOKEN_SECONDS)
                kubeconfig = control_plane.kubeconfig(folder / "kubeconfig", token)
                yield Standing(control_plane, api, cluster, running, kubeconfig)


@contextlib.asynccontextmanager
async def _playing(cluster: Cluster) -> AsyncIterator[None]:
    """Play the rest of Knative for a while."""
    player = asyncio.create_task(cluster.play())
    try:
        yield
    finally:
        player.cancel()
        await asyncio.gather(player, return_exceptions=True)


def pod_name(revision: str, number: int) -> str:
    """Return the name of a pod, which it says of itself as well."""
    return f"{revision}-deployment-{number:05d}"


def uid(revision: str) -> str:
    """Return the uid of a revision."""
    return f"uid-{revision}"


def _condition(status: Json, kind: str) -> str:
    return next((each["status"] for each in status.get("conditions", ()) if each["type"] == kind), "")


async def _each(items: Iterable[T], do: Callable[[T], Awaitable[object]], at_a_time: int = AT_A_TIME) -> None:
    """Do something for all items, some at a time."""
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await do(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_a_time):
            group.create_task(work())
