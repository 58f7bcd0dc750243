"""The API server's verbs over raw JSON objects.

Why not the client of the package `kubernetes`: see `kpa.kube.api.informer` for what its watch costs.
"""

import random
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, ClassVar, Self

from kpa.kube.api.credentials import Credentials
from kpa.kube.api.errors import Forbidden, Unreachable, error_from_status
from kpa.kube.api.json_stream import lines, parse
from kpa.kube.api.resource import Resource
from kpa.kube.api.transport import Call, Transport

__all__ = ["KubeClient", "Resource"]

CONCURRENCY = 64
"""Requests in flight at most: more would wait in the server's own queues (API priority and fairness)."""

DEADLINE = 15.0
"""Seconds for a request with all its attempts."""

_LIST_DEADLINE = 60.0
"""Seconds for one page of a list."""

_WATCH_SECONDS = (300, 600)
"""How long a watch lasts, at random so that all do not end together (client-go tools/cache/reflector.go)."""

_SILENCE = 150.0
"""Seconds without a byte after which a watch counts as cut; servers send a bookmark about once a minute."""

_JSON_PATCH = "application/json-patch+json"

Json = dict[str, Any]
Objects = list[Json]


class KubeClient:
    """One API server.

    All verbs raise a KubeError. After a Conflict the caller reads the object and retries.

    Parameters
    ----------
    credentials : Credentials
    concurrency : int
        Requests in flight at most, watches excepted.
    deadline : float
        Seconds for a request with all its attempts.
    """

    transport: ClassVar[type[Transport]] = Transport

    def __init__(
        self, credentials: Credentials, *, concurrency: int = CONCURRENCY, deadline: float = DEADLINE
    ) -> None:
        self._transport = self.transport(credentials, concurrency=concurrency)
        self._deadline = deadline
        self._ways_to_scale: dict[Resource, tuple[str, str]] = {}

    @classmethod
    def from_environment(cls) -> Self:
        """Make a client of the API server that KUBECONFIG, the pod or `~/.kube/config` name.

        Raises
        ------
        CredentialsError
            There is none, or its configuration cannot be used.
        """
        return cls(Credentials.from_environment())

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    # One object.

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Read an object."""
        return await self._request("get", "GET", resource, namespace, name)

    async def create(self, resource: Resource, namespace: str | None, body: Json) -> Json:
        """Create an object; AlreadyExists if there is one of this name."""
        name = body["metadata"].get("name", "")
        what = f"create {resource} {_full_name(namespace, name)}"
        return await self._send(Call(what, "POST", resource.path(namespace), body=body))

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Json) -> Json:
        """Replace an object; Conflict if its `resourceVersion` is not the present one."""
        return await self._request("update", "PUT", resource, namespace, name, body=body)

    async def replace_status(self, resource: Resource, namespace: str | None, name: str, body: Json) -> Json:
        """Replace the status of an object; Conflict as for `replace`."""
        return await self._request("update", "PUT", resource, namespace, name, "status", body)

    async def patch_replicas(self, resource: Resource, namespace: str, name: str, replicas: int) -> Json:
        """Set the replicas of an object by its scale subresource, or by its own field if that is forbidden.

        Knative's roles before 1.22 allow the autoscaler to change a Deployment, but not the subresource. The
        request that was allowed last is tried first.

        Source: knative/serving pkg/reconciler/autoscaling/kpa/scaler.go.
        """
        first, second = self._ways_to_scale.get(resource, ("scale", ""))
        patch = [{"op": "add", "path": "/spec/replicas", "value": replicas}]
        request = partial(self._request, "patch", "PATCH", resource, namespace, name)
        try:
            return await request(first, patch, _JSON_PATCH)
        except Forbidden as refused:
            try:
                answer = await request(second, patch, _JSON_PATCH)
            except Forbidden:
                raise refused from None
        self._ways_to_scale[resource] = second, first
        return answer

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Json) -> Json:
        """Apply a merge patch to an object."""
        kind = "application/merge-patch+json"
        return await self._request("patch", "PATCH", resource, namespace, name, "", body, kind)

    async def _request(
        self,
        verb: str,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str,
        subresource: str = "",
        body: Any = None,
        content_type: str = "application/json",
    ) -> Json:
        kind = f"{resource}/{subresource}" if subresource else str(resource)
        path = resource.path(namespace, name, subresource)
        what = f"{verb} {kind} {_full_name(namespace, name)}"
        return await self._send(Call(what, method, path, body=body, content_type=content_type))

    async def _send(self, call: Call) -> Json:
        answer: Json = await self._transport.request(call, self._deadline)
        return answer

    # Many objects.

    async def pages(
        self, resource: Resource, namespace: str | None, label_selector: str, limit: int
    ) -> AsyncGenerator[tuple[Objects, str], None]:
        """Read all objects of a kind page by page; each comes with the resource version of the whole.

        Raises
        ------
        Gone
            The list took so long that its resource version expired: start again.
        """
        what = f"list {resource}" + (f" in {namespace}" if namespace else "")
        params = _selection(label_selector) | ({"limit": str(limit)} if limit else {})
        while True:
            call = Call(what, "GET", resource.path(namespace), params)
            items, version, more = _read_page(what, await self._transport.request(call, _LIST_DEADLINE))
            yield items, version
            if not more:
                return
            params = {**params, "continue": more}

    async def watch(
        self, resource: Resource, namespace: str | None, resource_version: str, label_selector: str = ""
    ) -> AsyncGenerator[tuple[str, Json], None]:
        """Yield all changes after a resource version: ADDED, MODIFIED, DELETED or BOOKMARK, and the object.

        Ends after some minutes; continue with the `resourceVersion` of the last object.

        Raises
        ------
        Gone
            The version is too old: list again.
        Unreachable
            The stream was cut.
        """
        what = f"watch {resource}" + (f" in {namespace}" if namespace else "")
        params = _selection(label_selector) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),
        }
        call = Call(what, "GET", resource.path(namespace), params)
        async with self._transport.stream(call, _SILENCE) as stream:
            async for line in lines(stream):
                event = parse(what, line)
                if event["type"] == "ERROR":
                    raise error_from_status(what, event["object"])
                yield event["type"], event["object"]


def _read_page(what: str, answer: Json) -> tuple[Objects, str, str]:
    """Take a page apart: objects, resource version of the whole, token of the next page."""
    try:
        metadata = answer["metadata"]
        return answer["items"] or [], metadata["resourceVersion"], metadata.get("continue", "")
    except (KeyError, TypeError) as error:
        raise Unreachable(f"{what}: the response is not a list") from error


def _selection(label_selector: str) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _full_name(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
