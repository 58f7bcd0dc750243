"""Services on a cluster, their revisions, requests to them and what Kubernetes says of them."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp

from tests.e2e.cluster.kubectl import Json, apply, get, until

INGRESS = os.environ.get("KPA_E2E_INGRESS", "")
"""HOST:PORT of an ingress; without, requests go to the Services of revisions, in the cluster's network."""

_PREFIX = "autoscaling.knative.dev/"
_DOMAIN = "svc.cluster.local"
_PATIENCE = aiohttp.ClientTimeout(total=120)


def app_image() -> str:
    """Return the image of a server that takes `/?sleep=MILLISECONDS` on port 8080."""
    return os.environ.get("KPA_E2E_APP_IMAGE", "dev.local/app:v1")


class Replicas(NamedTuple):
    """Of a revision's Deployment."""

    requested: int
    ready: int


@dataclass(frozen=True)
class Revision:
    """One revision of a service; `host` is the name under which an ingress knows it."""

    namespace: str
    name: str
    host: str

    async def replicas(self) -> Replicas:
        """Return how many pods are asked for, and how many are ready."""
        deployment = await get("deployment", f"{self.name}-deployment", self.namespace)
        return Replicas(deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0))

    async def autoscaler(self) -> Json:
        """Return the status of the PodAutoscaler."""
        found: Json = (await get("kpa", self.name, self.namespace)).get("status", {})
        return found

    async def mode(self) -> str:
        """Return `Proxy` while activators are in the path of requests, else `Serve`."""
        return str((await get("sks", self.name, self.namespace))["spec"].get("mode", "Serve"))

    async def at_zero(self, seconds: float = 180.0) -> float:
        """Wait until there is no pod left; returns the seconds."""
        return await until(f"{self.name} at zero", self.replicas, lambda seen: seen == (0, 0), seconds)

    async def reaches(self, pods: int, seconds: float = 120.0) -> float:
        """Wait until at least so many pods are ready; returns the seconds."""
        what = f"{self.name} with {pods} pods"
        return await until(what, self.replicas, lambda seen: seen.ready >= pods, seconds)

    async def request(self, session: aiohttp.ClientSession, sleep_ms: int = 0) -> int:
        """Send a request and return its HTTP status; 0 is none."""
        own = f"{self.name}.{self.namespace}.{_DOMAIN}"
        address, headers = (INGRESS, {"Host": self.host}) if INGRESS else (own, {})
        try:
            async with session.get(f"http://{address}/?sleep={sleep_ms}", headers=headers) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, OSError):
            return 0

    async def ask(self) -> int:
        """Send one request on a connection of its own."""
        async with _session() as session:
            return await self.request(session)

    @asynccontextmanager
    async def load(self, workers: int, sleep_ms: int = 500) -> AsyncIterator[Counter[int]]:
        """Keep so many requests in flight, each on its own connection; gives how many had which status."""
        statuses: Counter[int] = Counter()
        on = True

        async def work(session: aiohttp.ClientSession) -> None:
            while on:
                statuses[await self.request(session, sleep_ms)] += 1

        async with _session() as session, asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(session))
            try:
                yield statuses
            finally:
                on = False
        print(f"{self.name}: answers {dict(statuses)}", flush=True)


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=_PATIENCE)


async def serve(
    namespace: str, name: str, annotations: Mapping[str, object], *, concurrency: int = 10, ready: bool = True
) -> Revision:
    """Create a Knative Service and wait until it is ready; annotations are without their prefix."""
    prefixed = {_PREFIX + key: str(value) for key, value in annotations.items()}
    spec = {"containerConcurrency": concurrency, "containers": [{"image": app_image()}]}
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"annotations": prefixed}, "spec": spec}},
    }
    await apply(service)
    revision = Revision(namespace, f"{name}-00001", f"{name}.{namespace}.{_DOMAIN}")
    return await _ready("ksvc", name, revision) if ready else revision


async def infer(namespace: str, name: str, predictor: Json, annotations: Mapping[str, str]) -> Revision:
    """Create a KServe InferenceService and wait until it is ready; returns the revision of its predictor."""
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations)},
        "spec": {"predictor": predictor},
    }
    await apply(service)
    own = Revision(namespace, f"{name}-predictor-00001", f"{name}-predictor.{namespace}.{_DOMAIN}")
    return await _ready("ksvc", f"{name}-predictor", own)


async def _ready(kind: str, name: str, revision: Revision) -> Revision:
    async def condition() -> str:
        try:
            status = (await get(kind, name, revision.namespace)).get("status", {})
        except AssertionError as error:  # KServe has not made it yet
            return str(error)
        return next((each["status"] for each in status.get("conditions", ()) if each["type"] == "Ready"), "")

    await until(f"{name} ready", condition, lambda status: status == "True", 180)
    status = (await get(kind, name, revision.namespace))["status"]
    host = status.get("url", "").partition("://")[2]
    return Revision(revision.namespace, revision.name, host or revision.host)
