"""Points the Service of each bucket that we hold to our pod.

Peers use it where a mesh keeps them from reaching a pod by its address. Knative ends the process if the
objects cannot be written within 3 s; kpa goes on and retries until it succeeds.

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
"""Seconds between checks of an EndpointSlice: the previous holder of the bucket may have written late."""

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
        """Begin to point the Service of a bucket to our pod."""
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
        """Create the Service. We may not read it: AlreadyExists says that it is there."""
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
        is_as_desired: Callable[[Json, Json], bool],
    ) -> None:
        try:
            present = await self._client.get(resource, self._namespace, bucket)
        except NotFound:
            await self._client.create(resource, self._namespace, make({"name": bucket}))
            return
        desired = make(present["metadata"])
        if not is_as_desired(present, desired):
            await self._client.replace(resource, self._namespace, bucket, desired)
            _log.info("bucket %s: Service points to this pod", bucket)

    def _endpoints(self, metadata: Json) -> Json:
        """Return Endpoints with our address."""
        return {
            "apiVersion": api_version(ENDPOINTS),
            "kind": "Endpoints",
            "metadata": metadata,
            "subsets": [{"addresses": [{"ip": self._ip}], "ports": _PORTS}],
        }

    def _slice(self, metadata: Json) -> Json:
        """Return an EndpointSlice with our address."""
        labels = (metadata.get("labels") or {}) | {_SERVICE_NAME: metadata["name"]}
        return {
            "apiVersion": api_version(ENDPOINTSLICES),
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": labels},
            "addressType": f"IPv{ip_address(self._ip).version}",
            "endpoints": [{"addresses": [self._ip]}],
            "ports": _PORTS,
        }


def _leads(present: Json, desired: Json) -> bool:
    """Tell whether an EndpointSlice is as it should be; conditions that others may have set are theirs."""
    endpoints = present.get("endpoints") or []
    return (
        present["metadata"].get("labels") == desired["metadata"]["labels"]
        and present["addressType"] == desired["addressType"]
        and [endpoint["addresses"] for endpoint in endpoints] == [desired["endpoints"][0]["addresses"]]
        and (endpoints[0].get("conditions") or {}).get("ready") is not False
        and present.get("ports") == desired["ports"]
    )


def _has_subsets(present: Json, desired: Json) -> bool:
    """Tell whether Endpoints are as they should be."""
    return bool(present.get("subsets") == desired["subsets"])
