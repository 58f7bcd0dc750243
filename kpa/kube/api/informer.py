"""A cache that follows the objects of one kind, trimmed to what we use.

list, page by page ──> watch from there ──> cut, or its time is over: watch from the last version seen
       ^                                │
       └──────── Gone: too long away ───┘   what went meanwhile is found by the list

Why not the watch of the package `kubernetes`: its models take 460 us of CPU a pod event and 129 KiB a pod;
ours 50 us, socket and HTTP included, and 0.4 KiB (bench/bench_watch.py).
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
"""Objects a page of a list: one of pods is 0.7 MiB of JSON, and takes a few more while it is read. Pages of
250 cost 26 MiB that stay, in pieces. client-go asks for 500 (tools/pager/pager.go)."""

_STEADY = 1.0
"""Seconds; a watch that lasted as long worked, even if nothing happened: the next one may follow at once."""

_OUTAGE = 3
"""Failures in a row that are worth a line in the log; a cut stream alone is not."""


class Informer(Generic[T]):
    """Follows the objects of one kind until cancelled.

    Parameters
    ----------
    client : KubeClient
    resource : Resource
    trim : callable
        Makes of a raw object what is kept of it, or None if it is none of ours. An object that it cannot take
        (it raises) is logged, and the last one of that name stays.
    namespace : str, optional
        Without, all namespaces.
    label_selector : str
        Such as `app=web,tier`.
    on_change : callable
        Called with each new value after it is in the cache, with None once it is gone; not if trimming leaves
        the same as before. Must not block.

    Attributes
    ----------
    cache : Mapping
        What exists, by namespace and name; a view.
    synced : Event
        Set once the cache has held all that exists.
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
        self._version = ""  # of the last that was seen; empty while a list is due
        self._at = 0  # that version, or that of the list under way, as a number
        self._learned: dict[Key, int] = {}  # versions that the watch has yet to come to
        self._limit = _PAGE
        self._failures = 0  # in a row
        self._away = False  # the last failure was that nobody answered
        self._outage = OutageLogger(
            _log, f"watch {resource}", "failing, keeping the last known state", "works again"
        )

    async def run(self) -> None:
        """Follow until cancelled; an outage is logged once."""
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
        """Take an object that a write was answered with, before the watch tells of it.

        What a watch or a list still has to say of earlier versions is passed over; a version that it has come
        to is known already. Before the first list nothing is learned.
        """
        key, version = key_of(raw), _version_of(raw)
        if self.synced.is_set() and version > max(self._at, self._learned.get(key, 0)):
            self._learned[key] = version
            self._take(raw)

    # What an API server says.

    async def _list(self) -> None:
        """Take all that exists; what was not among it is gone."""
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
        """Take what happens after the last version; always ends by raising."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        events = self._client.watch(self._resource, self._namespace, self._version, self._label_selector)
        try:
            async with aclosing(events):
                async for kind, raw in events:
                    if kind != "BOOKMARK" and not self._is_old(raw):
                        self._happen(kind, raw)
                    self._version = raw["metadata"]["resourceVersion"]
                    self._at = _number(self._version)
                    self._succeed()
            raise StreamCut(f"watch {self._resource}: the server ended the stream")
        except StreamCut:
            if loop.time() - began >= _STEADY:
                self._succeed()
            raise

    # What it means.

    def _is_old(self, raw: dict[str, Any]) -> bool:
        """Tell whether we have learned of a later version of an object."""
        learned = self._learned.get(key_of(raw)) if self._learned else None
        if learned is None:
            return False
        if _version_of(raw) < learned:
            return True
        del self._learned[key_of(raw)]
        return False

    def _happen(self, kind: str, raw: dict[str, Any]) -> None:
        if kind == "DELETED":
            self._put(key_of(raw), None)
        else:
            self._take(raw)

    def _take(self, raw: dict[str, Any]) -> Key:
        """Keep an object, trimmed."""
        key = key_of(raw)
        try:
            value = self._trim(raw)
        except Exception as error:  # one bad object must not hide the others
            _log.error("%s %s cannot be read, the last one stays: %r", self._resource, key, error)
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
            _log.exception("%s %s: a change was not taken up", self._resource, key)

    # What the log says.

    def _count(self, error: KubeError) -> None:
        """Count failures in a row; a server that answers again, whatever it says, is asked again soon."""
        away = isinstance(error, Unreachable)
        self._failures = 1 if self._away and not away else self._failures + 1
        self._away = away

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
