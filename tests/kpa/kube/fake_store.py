"""Objects with versions and a history that is forgotten in parts, as an API server's store."""

import asyncio
import copy
from typing import Any

from metrics.key import Key

Json = dict[str, Any]


class FakeStore:
    """Objects, and all changes; those up to version `compacted` count as forgotten."""

    def __init__(self) -> None:
        self.objects: dict[Key, Json] = {}
        self.changes: list[tuple[int, str, Json]] = []
        self.version, self.compacted = 10, 10
        self.news = asyncio.Event()
        self._pages: dict[str, list[Json]] = {}

    def put(self, name: str, spec: Any, space: str = "default", **more: Any) -> Json:
        key = Key(space, name)
        return self._happen("MODIFIED" if key in self.objects else "ADDED", key, {"spec": spec, **more})

    def remove(self, name: str, space: str = "default") -> Json:
        return self._happen("DELETED", Key(space, name), {"spec": self.objects[Key(space, name)]["spec"]})

    def _happen(self, kind: str, key: Key, body: Json) -> Json:
        self.version += 1
        metadata = {"namespace": key.namespace, "name": key.name, "resourceVersion": str(self.version)}
        body = {**copy.deepcopy(body), "metadata": metadata}
        self.objects[key] = body
        if kind == "DELETED":
            del self.objects[key]
        self.changes.append((self.version, kind, body))
        self.news.set()
        self.news = asyncio.Event()
        return body

    def page(self, space: str | None, begin: str, limit: int) -> tuple[list[Json], Json] | None:
        """Give part of all objects of one moment and the list's metadata; None if the moment is forgotten."""
        version, _, first = (begin or f"{self.version}:0").partition(":")
        start, end = int(first), int(first) + limit
        if start == 0:
            self._pages[version] = [
                o for k, o in sorted(self.objects.items()) if space in (None, k.namespace)
            ]
        elif int(version) < self.compacted:
            return None
        more = f"{version}:{end}" if end < len(self._pages[version]) else ""
        return self._pages[version][start:end], {"resourceVersion": version, "continue": more}
