"""A client of an API server that is in memory: objects of all kinds, conflicts, watches that can be held."""

import asyncio
import copy
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from kpa.kube.api.errors import AlreadyExists, Conflict, NotFound
from kpa.kube.api.resource import Resource
from metrics.key import Key

Json = dict[str, Any]


class MemoryClient:
    """Does what `KubeClient` does.

    Attributes
    ----------
    objects : dict
        By resource, namespace and name.
    writes : list of str
        What was asked for, as `verb plural`; refused ones end with the refusal.
    flowing : Event
        Watches tell of changes while it is set.
    """

    def __init__(self) -> None:
        self.objects: dict[Resource, dict[Key, Json]] = defaultdict(dict)
        self.writes: list[str] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._versions = itertools.count(100)
        self._changes: dict[Resource, list[tuple[int, str, Json]]] = defaultdict(list)
        self._news = asyncio.Event()

    # What others than the autoscaler do.

    def put(self, resource: Resource, body: Json) -> Json:
        """Store an object; a new spec is a new generation."""
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        old = self.objects[resource].get(key)
        stored = copy.deepcopy(body)
        generation = old["metadata"]["generation"] + (old["spec"] != body["spec"]) if old else 1
        stored["metadata"] |= {"resourceVersion": str(next(self._versions)), "generation": generation}
        self.objects[resource][key] = stored
        return self._happen(resource, "MODIFIED" if old else "ADDED", stored)

    def remove(self, resource: Resource, key: Key) -> None:
        """Delete an object."""
        gone = copy.deepcopy(self.objects[resource].pop(key))
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self._happen(resource, "DELETED", gone)

    def _happen(self, resource: Resource, kind: str, body: Json) -> Json:
        self._changes[resource].append((int(body["metadata"]["resourceVersion"]), kind, body))
        self._news.set()
        self._news = asyncio.Event()
        return body

    # The client.

    async def pages(
        self, resource: Resource, namespace: str | None, label_selector: str, limit: int
    ) -> AsyncIterator[tuple[list[Json], str]]:
        yield copy.deepcopy(list(self.objects[resource].values())), str(next(self._versions))

    async def watch(
        self, resource: Resource, namespace: str | None, resource_version: str, label_selector: str = ""
    ) -> AsyncIterator[tuple[str, Json]]:
        at = int(resource_version)
        while True:
            await self.flowing.wait()
            news = self._news
            for version, kind, body in [each for each in self._changes[resource] if each[0] > at]:
                yield kind, copy.deepcopy(body)
                at = version
            await news.wait()

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self._note("get", resource)
        return copy.deepcopy(self._stored(resource, namespace, name))

    async def create(self, resource: Resource, namespace: str, body: Json) -> Json:
        self._note("create", resource)
        if Key(namespace, body["metadata"]["name"]) in self.objects[resource]:
            raise AlreadyExists("there is one")
        return copy.deepcopy(self.put(resource, body))

    async def replace(self, resource: Resource, namespace: str, name: str, body: Json) -> Json:
        return self._replace("replace", resource, namespace, name, body, "spec")

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Json) -> Json:
        return self._replace("status", resource, namespace, name, body, "status")

    async def patch_replicas(self, resource: Resource, namespace: str, name: str, replicas: int) -> Json:
        self._note(f"scale={replicas}", resource)
        stored = self._stored(resource, namespace, name)
        changed = self.put(resource, {**stored, "spec": {**stored["spec"], "replicas": replicas}})
        spec = {"replicas": replicas} if replicas else {}
        return {"kind": "Scale", "metadata": copy.deepcopy(changed["metadata"]), "spec": spec}

    def _replace(
        self, verb: str, resource: Resource, namespace: str, name: str, body: Json, part: str
    ) -> Json:
        self._note(verb, resource)
        stored = self._stored(resource, namespace, name)
        if body["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            self.writes[-1] += " Conflict"
            raise Conflict("the object has been modified", 409)
        return copy.deepcopy(self.put(resource, {**stored, part: body[part]}))

    def _note(self, verb: str, resource: Resource) -> None:
        self.writes.append(f"{verb} {resource.plural}")

    def _stored(self, resource: Resource, namespace: str, name: str) -> Json:
        try:
            return self.objects[resource][Key(namespace, name)]
        except KeyError:
            raise NotFound(f"no {name}", 404) from None
