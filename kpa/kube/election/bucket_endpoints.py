"""The Service of each bucket that we hold leads to us.

Peers use it where a mesh keeps them from reaching a pod by its address. Knative ends the process if the
objects cannot be written within 3 s; here all else goes on, and it is tried until it succeeds.

Source: `knative/serving pkg/autoscaler/statforwarder/leases.go`. Knative before 1.22 wrote Endpoints, which a
cluster mirrors to an EndpointSlice of another name, and its roles allow nothing else: then we do so too.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import AlreadyExists, Conflict, Forbidden, KubeError, NotFound
from kpa.kube.api.request_delay import request_delay
from kpa.kube.election.identity import PORT
from kpa.kube.objects.kinds import ENDPOINTS, ENDPOINTSLICES, SERVICES, Resource, api_version
from kpa.runtime.outage_logger import OutageLogger

CHECK_EVERY = 60.0
"""Seconds between looks at an EndpointSlice: who held the bucket before us may have written late."""

_PORT_NAME = "http"
_PORTS = [{"name": _PORT_NAME, "port": PORT, "protocol": "TCP"}]
_SERVICE_NAME = "kubernetes.io/service-name"

_log = logging.getLogger(__name__)

Json = dict[str, Any]


class BucketEndpoints:
    """Keeps the Services of our buckets and their EndpointSlices; writes only what is not as it should be.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        The system namespace.
    ip : str
        Our pod's address.
    check_every : float
        Seconds.
    """

    def __init__(
        self, client: KubeClient, namespace: str, ip: str, *, check_every: float = CHECK_EVERY
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._ip = ip
        self._check_every = check_every
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def hold(self, bucket: str) -> None:
        """Begin to lead the Service of a bucket to us."""
        if bucket not in self._tasks:
            self._tasks[bucket] = asyncio.create_task(self._keep(bucket))

    def release(self, bucket: str) -> None:
        """Leave the Service of a bucket to its next holder."""
        task = self._tasks.pop(bucket, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Release all buckets."""
        tasks = [self._tasks.pop(bucket) for bucket in list(self._tasks)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, bucket: str) -> None:
        await self._until_done(bucket, self._create_service)
        while True:
            await self._until_done(bucket, self._point)
            await asyncio.sleep(self._check_every)

    async def _until_done(self, bucket: str, step: Callable[[str], Awaitable[None]]) -> None:
        """Take a step until it succeeds; a failure is logged once."""
        outage = OutageLogger(_log, f"Service of bucket {bucket}", "not updated", "updated")
        for attempt in itertools.count(1):
            try:
                await step(bucket)
            except KubeError as error:
                pause = request_delay(attempt, error)
                if not isinstance(error, Conflict):
                    outage.failed(error, pause)
                await asyncio.sleep(pause)
            else:
                outage.succeeded()
                return

    async def _create_service(self, bucket: str) -> None:
        """Create the Service, which we may not read: that it exists is said by the refusal."""
        service = {
            "apiVersion": api_version(SERVICES),
            "kind": "Service",
            "metadata": {"name": bucket},
            "spec": {"ports": [{"name": _PORT_NAME, "port": PORT, "targetPort": PORT}]},
        }
        with contextlib.suppress(AlreadyExists):
            await self._client.create(SERVICES, self._namespace, service)

    async def _point(self, bucket: str) -> None:
        try:
            await self._write(ENDPOINTSLICES, bucket, self._slice, _leads)
        except Forbidden as refused:
            try:
                await self._write(ENDPOINTS, bucket, self._endpoints, _has_subsets)
            except Forbidden:
                raise refused from None

    async def _write(
        self,
        resource: Resource,
        bucket: str,
        make: Callable[[Json], Json],
        as_wanted: Callable[[Json, Json], bool],
    ) -> None:
        try:
            present = await self._client.get(resource, self._namespace, bucket)
        except NotFound:
            await self._client.create(resource, self._namespace, make({"name": bucket}))
            return
        wanted = make(present["metadata"])
        if not as_wanted(present, wanted):
            await self._client.replace(resource, self._namespace, bucket, wanted)
            _log.info("the Service of bucket %s leads to us", bucket)

    def _endpoints(self, metadata: Json) -> Json:
        """Return Endpoints that lead to us."""
        return {
            "apiVersion": api_version(ENDPOINTS),
            "kind": "Endpoints",
            "metadata": metadata,
            "subsets": [{"addresses": [{"ip": self._ip}], "ports": _PORTS}],
        }

    def _slice(self, metadata: Json) -> Json:
        """Return an EndpointSlice that leads to us."""
        labels = (metadata.get("labels") or {}) | {_SERVICE_NAME: metadata["name"]}
        return {
            "apiVersion": api_version(ENDPOINTSLICES),
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": labels},
            "addressType": f"IPv{ip_address(self._ip).version}",
            "endpoints": [{"addresses": [self._ip]}],
            "ports": _PORTS,
        }


def _leads(present: Json, wanted: Json) -> bool:
    """Tell whether an EndpointSlice is as it should be; conditions that others may have set are theirs."""
    endpoints = present.get("endpoints") or []
    return (
        present["metadata"].get("labels") == wanted["metadata"]["labels"]
        and present["addressType"] == wanted["addressType"]
        and [endpoint["addresses"] for endpoint in endpoints] == [wanted["endpoints"][0]["addresses"]]
        and (endpoints[0].get("conditions") or {}).get("ready") is not False
        and present.get("ports") == wanted["ports"]
    )


def _has_subsets(present: Json, wanted: Json) -> bool:
    """Tell whether Endpoints are as they should be."""
    return bool(present.get("subsets") == wanted["subsets"])
