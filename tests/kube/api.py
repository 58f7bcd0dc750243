"""The little of the Kubernetes API that a test needs to play the rest of the cluster."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
GROUPS = {
    **dict.fromkeys(
        ("configmaps", "endpoints", "events", "namespaces", "pods", "secrets", "serviceaccounts", "services"),
        "/api/v1",
    ),
    "deployments": "/apis/apps/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "podautoscalers": "/apis/autoscaling.internal.knative.dev/v1alpha1",
    "metrics": "/apis/autoscaling.internal.knative.dev/v1alpha1",
    "serverlessservices": "/apis/networking.internal.knative.dev/v1alpha1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    **dict.fromkeys(
        ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
        "/apis/rbac.authorization.k8s.io/v1",
    ),
}
PATIENCE_SECONDS = 60.0  # a kube-apiserver on a busy machine


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP status, `body` its answer."""

    def __init__(self, request: str, status: int, body: str) -> None:
        self.status, self.body = status, body
        super().__init__(f"{request}: {status} {body[:500]}")


def path(plural: str, namespace: str | None = None, *parts: str) -> str:
    """Return the path of a collection, or of an object or subresource in it."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return "/".join([f"{GROUPS[plural]}{scope}/{plural}", *parts])


class Api:
    """One session with an API server, as the user of a token.

    Refusals for the moment (429: the server starts, or stores a new kind) are repeated.
    """

    def __init__(self, url: str, token: str, ca_file: Path) -> None:
        self._url = url
        connector = aiohttp.TCPConnector(limit=64, ssl=ssl.create_default_context(cafile=str(ca_file)))
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"}, connector=connector
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, path: str) -> Json:
        """Read an object or a list."""
        return await self.call("GET", path)

    async def post(self, path: str, body: Json) -> Json:
        """Create an object."""
        return await self.call("POST", path, body)

    async def put(self, path: str, body: Json) -> Json:
        """Replace an object."""
        return await self.call("PUT", path, body)

    async def patch(self, path: str, body: Json | list[Json]) -> Json:
        """Change an object: a list is a JSON patch, anything else a merge patch."""
        return await self.call("PATCH", path, body, JSON_PATCH if isinstance(body, list) else MERGE_PATCH)

    async def delete(self, path: str, grace_seconds: int = 0, missing_ok: bool = True) -> None:
        """Delete an object or a collection."""
        try:
            await self.call("DELETE", path, {"gracePeriodSeconds": grace_seconds})
        except ApiError as error:
            if error.status != 404 or not missing_ok:
                raise

    async def call(
        self,
        method: str,
        path: str,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Make one request.

        Raises
        ------
        ApiError
            The answer was none of 200 to 299.
        """
        data = None if body is None else json.dumps(body)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                headers = {"Content-Type": content_type}
                async with self._session.request(
                    method, self._url + path, data=data, headers=headers
                ) as response:
                    text = await response.text()
                if response.status != 429:
                    break
                await asyncio.sleep(0.2)
        if not 200 <= response.status < 300:
            raise ApiError(f"{method} {path}", response.status, text)
        return json.loads(text) if text.startswith("{") else {"text": text}

    async def items(self, path: str) -> list[Json]:
        """Read the objects of a list."""
        items: list[Json] = (await self.get(path))["items"]
        return items

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        """Yield what is there as ADDED, then every change, until cancelled; interruptions lead to a new list.

        Objects that went during an interruption are not told.
        """
        while True:
            with contextlib.suppress(aiohttp.ClientError, ApiError, TimeoutError):
                found = await self.get(path)
                for item in found["items"]:
                    yield "ADDED", item
                async for kind, item in self._changes(path, found["metadata"]["resourceVersion"]):
                    yield kind, item
            await asyncio.sleep(0.1)

    async def _changes(self, path: str, version: str) -> AsyncIterator[tuple[str, Json]]:
        query = {"watch": "1", "resourceVersion": version}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url + path, params=query, timeout=timeout) as response:
            buffer = b""
            async for chunk in response.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]
