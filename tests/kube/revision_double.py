"""One revision as Knative's controllers and a node leave it: PodAutoscaler, Deployment, pods, SKS status."""

import asyncio
import math
import time
import uuid
from collections import Counter
from typing import Any

from tests.kube import objects
from tests.kube.api import Api, ApiError, Json, path
from tests.kube.stub_pods import Mode, StubPod, StubPods

NEVER = math.inf


class PodDouble:
    """A pod of a revision; `stub` answers at its address while it runs.

    Attributes
    ----------
    ready, terminating : bool
        What its status says.
    ready_at, gone_at : float
        When it becomes ready and when, terminating, it is gone, by `time.monotonic`.
    """

    def __init__(self, name: str, stub: StubPod) -> None:
        self.name, self.stub = name, stub
        self.ready = self.terminating = False
        self.ready_at = self.gone_at = NEVER


class RevisionDouble:
    """A revision that follows its Deployment's replicas and its ServerlessService's mode by itself.

    Attributes
    ----------
    start_seconds, drain_seconds : float
        Time from a pod's creation until it is ready, and from its deletion until it is gone.
    pod_mode : str
        How the queue-proxies of new pods answer (`tests.kube.stub_pods.StubPod`).
    ips : list of str
        Addresses that the next pods get; without any, free ones.
    follows : bool
        Whether pods follow the Deployment; turn it off to add and remove pods by hand.
    pods : dict
        Pods by name, terminating ones included.
    objects : dict
        Objects as last seen on the API server, by kind (`deployments`, `podautoscalers`, ...).
    replicas_seen : list of (float, int)
        What the Deployment was asked for, with the time (`time.monotonic`) at which that was seen.
    modes_seen : list of (float, str)
        Likewise the mode of the ServerlessService.
    changes : Counter
        How often an object of each kind was seen created or changed.
    """

    def __init__(self, api: Api, stubs: StubPods, namespace: str, name: str) -> None:
        self.api, self.stubs, self.namespace, self.name = api, stubs, namespace, name
        self.uid = str(uuid.uuid4())
        self.start_seconds = self.drain_seconds = 0.0
        self.pod_mode: Mode = "ok"
        self.ips: list[str] = []
        self.follows = True
        self.pods: dict[str, PodDouble] = {}
        self.objects: dict[str, Json] = {}
        self.replicas_seen: list[tuple[float, int]] = []
        self.modes_seen: list[tuple[float, str]] = []
        self.changes: Counter[str] = Counter()
        self._deleted = False
        self._load = (0.0, 0.0, 0.0)
        self._number = 0
        self._lock = asyncio.Lock()

    @property
    def pa(self) -> Json | None:
        """The PodAutoscaler."""
        return self.objects.get("podautoscalers")

    @property
    def sks(self) -> Json | None:
        """The ServerlessService."""
        return self.objects.get("serverlessservices")

    @property
    def metric(self) -> Json | None:
        """The Metric."""
        return self.objects.get("metrics")

    @property
    def replicas(self) -> int:
        """What the Deployment is asked for; -1 before it was seen."""
        deployment = self.objects.get("deployments")
        return int(deployment["spec"]["replicas"]) if deployment else -1

    @property
    def mode(self) -> str:
        """`Serve` or `Proxy`; empty without a ServerlessService."""
        return str(self.sks["spec"]["mode"]) if self.sks else ""

    @property
    def staying(self) -> list[PodDouble]:
        """Pods that are not terminating."""
        return [pod for pod in self.pods.values() if not pod.terminating]

    @property
    def ready(self) -> list[PodDouble]:
        """Those of them that are ready."""
        return [pod for pod in self.staying if pod.ready]

    def condition(self, kind: str, of: str = "podautoscalers") -> tuple[str, str]:
        """Return status and reason of a condition of the PodAutoscaler, or of the object of another kind."""
        status = self.objects.get(of, {}).get("status", {})
        found = [each for each in status.get("conditions", []) if each["type"] == kind]
        return (found[0]["status"], found[0].get("reason", "")) if found else ("", "")

    def load(self, concurrency: float, requests_per_second: float = 0.0, proxied: float = 0.0) -> None:
        """Spread this load evenly over the ready pods, now and as they come and go.

        `proxied` is the part of the concurrency that comes from activators.
        """
        self._load = (concurrency, requests_per_second, proxied)
        self._spread()

    def _spread(self) -> None:
        ready = self.ready
        for pod in self.pods.values():
            share = 1.0 / len(ready) if pod in ready else 0.0
            concurrency, requests, proxied = (value * share for value in self._load)
            pod.stub.stat = pod.stub.stat._replace(
                average_concurrent_requests=concurrency,
                average_proxied_concurrent_requests=proxied,
                request_count=requests,
            )

    async def create(
        self, replicas: int, container_concurrency: int, annotations: dict[str, str], reachability: str
    ) -> None:
        """Make the Deployment and the PodAutoscaler, as Knative's Revision controller does."""
        deployment = objects.deployment(self.name, self.uid, replicas)
        await self.api.post(path("deployments", self.namespace), deployment)
        pa = objects.pod_autoscaler(self.name, self.uid, container_concurrency, annotations, reachability)
        await self.api.post(path("podautoscalers", self.namespace), pa)

    async def annotate(self, **annotations: str | None) -> None:
        """Set annotations of the PodAutoscaler, as in `min_scale="2"`; None removes one."""
        full = {objects.PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
        await self.edit({"metadata": {"annotations": full}})

    async def edit(self, change: Json) -> None:
        """Apply a merge patch to the PodAutoscaler."""
        await self.api.patch(path("podautoscalers", self.namespace, self.name), change)

    async def delete(self) -> None:
        """Delete the PodAutoscaler and, as garbage collection does, all that belongs to the revision."""
        async with self._lock:
            self._deleted = True
            for kind in ("podautoscalers", "metrics", "serverlessservices"):
                await self.api.delete(path(kind, self.namespace, self.name))
            await self.api.delete(path("deployments", self.namespace, f"{self.name}-deployment"))
            for pod in list(self.pods.values()):
                await self._remove(pod)

    async def add_pod(self, ready: bool = True, uptime: float = 3600.0) -> PodDouble:
        """Start a pod that began to run `uptime` seconds ago."""
        name = f"{self.name}-deployment-{self._number:05d}"
        ip = self.ips.pop(0) if self.ips else None
        pod = PodDouble(name, self.stubs.add(name, uptime=uptime, ip=ip))
        pod.stub.mode = self.pod_mode
        try:
            await self._make(objects.pod(name, self.name, self.uid))
            await self.set_ready(pod, ready, uptime)
        except BaseException:
            self.stubs.remove(pod.stub)
            raise
        self._number += 1
        self.pods[name] = pod
        self._spread()
        return pod

    async def _make(self, pod: Json) -> None:
        try:
            await self.api.post(path("pods", self.namespace), pod)
        except ApiError as error:
            if error.status != 409:  # made before the API server went away
                raise

    async def set_ready(self, pod: PodDouble, ready: bool, uptime: float = 3600.0) -> None:
        """Let a running pod become ready or unready."""
        status = objects.pod_status(pod.stub.ip, ready, time.time() - uptime)
        await self.api.patch(path("pods", self.namespace, pod.name, "status"), {"status": status})
        pod.ready = ready
        self._spread()

    async def remove_pod(self, pod: PodDouble) -> None:
        """Delete a pod: it is Terminating for `drain_seconds`, then gone."""
        if self.drain_seconds > 0:
            await self.api.delete(path("pods", self.namespace, pod.name), grace_seconds=3600)
            pod.terminating, pod.gone_at = True, time.monotonic() + self.drain_seconds
        else:
            await self._remove(pod)
        self._spread()

    async def _remove(self, pod: PodDouble) -> None:
        await self.api.delete(path("pods", self.namespace, pod.name))
        self.stubs.remove(pod.stub)
        self.pods.pop(pod.name, None)

    async def settle(self) -> float:
        """Do what the Deployment's and the ServerlessService's controllers and the node would do by now.

        Returns
        -------
        float
            When there is more to do (`time.monotonic`); infinite if only a change can ask for more.
        """
        async with self._lock:
            if self._deleted:
                return NEVER
            await self._pass_time()
            if self.follows and "deployments" in self.objects:
                await self._follow(self.replicas)
            await self._report()
            return min((min(pod.ready_at, pod.gone_at) for pod in self.pods.values()), default=NEVER)

    async def _pass_time(self) -> None:
        now = time.monotonic()
        for pod in list(self.pods.values()):
            if pod.gone_at <= now:
                await self._remove(pod)
            elif pod.ready_at <= now:
                pod.ready_at = NEVER
                await self.set_ready(pod, True, self.start_seconds)

    async def _follow(self, replicas: int) -> None:
        staying = self.staying
        for pod in staying[replicas:]:
            pod.ready_at = NEVER
            await self.remove_pod(pod)
        for _ in range(replicas - len(staying)):
            if self.start_seconds > 0:
                pod = await self.add_pod(ready=False, uptime=0.0)
                pod.ready_at = time.monotonic() + self.start_seconds
            else:
                await self.add_pod()

    async def _report(self) -> None:
        ready = len(self.ready)
        if deployment := self.objects.get("deployments"):
            generation = deployment["metadata"]["generation"]
            status = objects.deployment_status(generation, len(self.staying), ready)
            await self._write_status("deployments", deployment, status)
        if self.sks:
            await self._write_status("serverlessservices", self.sks, objects.sks_status(self.sks, ready))

    async def _write_status(self, kind: str, document: Json, status: Json) -> None:
        old = document.get("status", {})
        if all(old.get(key, 0) == value for key, value in status.items()):
            return
        target = path(kind, self.namespace, document["metadata"]["name"], "status")
        try:
            await self.api.patch(target, {"status": status})
        except ApiError as error:
            if error.status != 404:  # it was deleted meanwhile
                raise

    def saw(self, change: str, kind: str, document: Json) -> None:
        """Take note of an object as the API server tells of it."""
        if change == "DELETED":
            self.objects.pop(kind, None)
            return
        self.objects[kind] = document
        self.changes[kind] += 1
        if kind == "deployments":
            note(self.replicas_seen, self.replicas)
        if kind == "serverlessservices":
            note(self.modes_seen, self.mode)


def note(history: list[tuple[float, Any]], value: Any) -> None:
    """Add a value to a history if it is new."""
    if not history or history[-1][1] != value:
        history.append((time.monotonic(), value))
