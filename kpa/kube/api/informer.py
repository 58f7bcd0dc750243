"""A cache of the objects of one kind, trimmed to what kpa uses and kept up to date by a watch.

list, page by page ──> watch from there ──> cut, or its time is over: watch from the last version seen
       ^                                │
       └───── Gone: version too old ────┘   the list shows which objects were deleted meanwhile

Why not the watch of the package `kubernetes`: its models take 460 us of CPU a pod event and 129 KiB a pod.
This cache takes 50 us, socket and HTTP included, and 0.4 KiB (bench/bench_watch.py).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import Gone, KubeError, StreamCut, Unreachable
from kpa.kube.api.metadata import key_of
from kpa.kube.api.request_delay import request_delay
from kpa.kube.api.resource import Resource
from kpa.runtime.outage_logger import OutageLogger
from kpa.runtime.time_budget import LENGTH, TimeBudget
from metrics.key import Key

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PAGE = 50
"""Objects a page of a list. A page of pods is 0.7 MiB of JSON and takes a few MiB while it is read. With 250
a page the process keeps 26 MiB more, as fragments. client-go asks for 500 (tools/pager/pager.go)."""

_STEADY = 1.0
"""Seconds; a watch that lasted this long worked, even without an event: the next one may start at once."""

_OUTAGE = 3
"""Failures in a row that are logged as an outage; a single cut stream is normal."""


class Informer(Generic[T]):
    """Follows the objects of one kind until cancelled.

    Parameters
    ----------
    client : KubeClient
    resource : Resource
    trim : callable
        Returns what is kept of a raw object, or None to ignore the object. If it raises, the object is logged
        and the cache keeps the previous value.
    namespace : str, optional
        Without, all namespaces.
    label_selector : str
        Such as `app=web,tier`.
    on_change : callable
        Called with each new value once it is in the cache, and with None after a deletion; not called if the
        trimmed value is unchanged. Must not block.

    Attributes
    ----------
    cache : Mapping
        All current values by namespace and name; a read-only view.
    synced : Event
        Set after the first complete list.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        trim: Callable[[dict[str, Any]], T | None],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        on_change: Callable[[Key, T | None], None] = lambda key, value: None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._trim = trim
        self._namespace = namespace
        self._label_selector = label_selector
        self._on_change = on_change
        self._cache: dict[Key, T] = {}
        self.cache: Mapping[Key, T] = MappingProxyType(self._cache)
        self.synced = asyncio.Event()
        self._version = ""  # the last one seen; empty while a list is due
        self._at = 0  # that version, or the one of the list in progress, as a number
        self._learned: dict[Key, int] = {}  # versions that the watch has not reached yet
        self._limit = _PAGE
        self._failures = 0  # in a row
        self._unreachable = False  # the last failure was no response
        self._outage = OutageLogger(
            _log, f"watch {resource}", "failing, keeping the last known state", "works again"
        )

    async def run(self) -> None:
        """Keep the cache up to date until cancelled; an outage is logged once."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
            except KubeError as error:
                if not error.transient:
                    self._version = ""
                self._count(error)
                pause = request_delay(self._failures, error)
                self._log_failure(error, pause)
                await asyncio.sleep(pause)

    def learn(self, raw: dict[str, Any]) -> None:
        """Take an object from the response to a write, before the watch reports it.

        Earlier versions that the watch or a list still reports are ignored, and so is an object whose version
        the watch has already reached. Before the first list the call does nothing.
        """
        key, version = key_of(raw), _version_of(raw)
        if self.synced.is_set() and version > max(self._at, self._learned.get(key, 0)):
            self._learned[key] = version
            self._take(raw)

    # Reading from the API server.

    async def _list(self) -> None:
        """Read all objects; those that are not in the list were deleted."""
        seen: set[Key] = set()
        pages = self._client.pages(self._resource, self._namespace, self._label_selector, self._limit)
        try:
            async for page, at in pages:
                version, self._at = at, _number(at)
                page.reverse()
                budget = TimeBudget(LENGTH)
                while page:  # each raw object is freed before the next one is trimmed
                    raw = page.pop()
                    seen.add(key_of(raw) if self._is_old(raw) else self._take(raw))
                    if budget.over:
                        await asyncio.sleep(0)
                        budget = TimeBudget(LENGTH)
        except Gone:
            self._limit = 0  # pages take too long
            raise
        self._learned = {key: at for key, at in self._learned.items() if at > self._at}
        for key in self._cache.keys() - seen - self._learned.keys():
            self._put(key, None)
        self._version, self._limit = version, _PAGE
        self.synced.set()

    async def _follow(self) -> None:
        """Read the changes after the last version; always ends by raising."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        events = self._client.watch(self._resource, self._namespace, self._version, self._label_selector)
        try:
            async with aclosing(events):
                async for kind, raw in events:
                    if kind != "BOOKMARK" and not self._is_old(raw):
                        self._apply(kind, raw)
                    self._version = raw["metadata"]["resourceVersion"]
                    self._at = _number(self._version)
                    self._succeed()
            raise StreamCut(f"watch {self._resource}: the server ended the stream")
        except StreamCut:
            if loop.time() - began >= _STEADY:
                self._succeed()
            raise

    # Updating the cache.

    def _is_old(self, raw: dict[str, Any]) -> bool:
        """Return whether a later version of the object was learned from a write."""
        learned = self._learned.get(key_of(raw)) if self._learned else None
        if learned is None:
            return False
        if _version_of(raw) < learned:
            return True
        del self._learned[key_of(raw)]
        return False

    def _apply(self, kind: str, raw: dict[str, Any]) -> None:
        if kind == "DELETED":
            self._put(key_of(raw), None)
        else:
            self._take(raw)

    def _take(self, raw: dict[str, Any]) -> Key:
        """Trim an object and put it into the cache."""
        key = key_of(raw)
        try:
            value = self._trim(raw)
        except Exception as error:  # one bad object must not stop the others
            _log.error("%s %s cannot be read, keeping the previous one: %r", self._resource, key, error)
        else:
            self._put(key, value)
        return key

    def _put(self, key: Key, value: T | None) -> None:
        if self._cache.get(key) == value:
            return
        if value is None:
            del self._cache[key]
        else:
            self._cache[key] = value
        try:
            self._on_change(key, value)
        except Exception:  # a listener's fault must not stop the cache
            _log.exception("%s %s: change handler failed", self._resource, key)

    # Outages.

    def _count(self, error: KubeError) -> None:
        """Count failures in a row; the count starts again with the first error response after an outage."""
        unreachable = isinstance(error, Unreachable)
        self._failures = 1 if self._unreachable and not unreachable else self._failures + 1
        self._unreachable = unreachable

    def _succeed(self) -> None:
        self._failures = 0
        self._outage.succeeded()

    def _log_failure(self, error: KubeError, pause: float) -> None:
        if isinstance(error, Gone):
            _log.info("%s; listing again", error)
        elif self._failures >= _OUTAGE or not error.transient:
            self._outage.failed(error, pause)


def _number(version: str) -> int:
    """Return a resource version as a number, as the storage of API servers counts; 0 if it is none."""
    return int(version) if version.isdecimal() else 0


def _version_of(raw: dict[str, Any]) -> int:
    return _number(raw["metadata"].get("resourceVersion", ""))
