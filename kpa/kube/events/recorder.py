"""Writes Events: the first time as a new one, then by counting, and never many about one object.

Source: `k8s.io/client-go tools/record/events_cache.go`, whose numbers are kept. Left out is that ten texts
of one reason within ten minutes become "combined from similar events": the limit of an object bounds them.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import KubeError, NotFound
from kpa.kube.events.events import Involved, event, repeated
from kpa.kube.objects.kinds import EVENTS

_BURST, _REFILL = 25.0, 300.0
"""Events about one object at once, and seconds until one more may follow."""

_REMEMBERED = 4096
"""Events, and objects, that are remembered: those of the last ones."""

_log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class EventRecorder:
    """Says by Events what went wrong about objects.

    Parameters
    ----------
    client : KubeClient
    instance : str
        Our pod's name.
    clock : callable
        Unix time in seconds.
    """

    def __init__(self, client: KubeClient, instance: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._sent: _Recent[tuple[Involved, str, str], dict[str, Any]] = _Recent()
        self._budgets: _Recent[Involved, tuple[float, float]] = _Recent()  # Events left, and as of when

    async def warn(self, involved: Involved, reason: str, message: str, component: str) -> None:
        """Write a Warning, or count one more of those that were written; what cannot be written is logged.

        Parameters
        ----------
        involved : Involved
        reason : str
            In CamelCase.
        message : str
        component : str
            The controller that says so.
        """
        now, key = self._clock(), (involved, reason, message)
        if not self._allowed(involved, now):
            return
        try:
            body = await self._count(key, now)
            if body is None:
                body = event(involved, "Warning", reason, message, component, self._instance, now)
                await self._client.create(EVENTS, body["metadata"]["namespace"], body)
        except KubeError as error:
            _log.info("Event %s for %s not written: %s", reason, involved.name, error)
            return
        self._sent.put(key, {"metadata": body["metadata"], "count": body["count"]})

    async def _count(self, key: tuple[Involved, str, str], now: float) -> dict[str, Any] | None:
        """Count one more of an Event; None if none was written, or it is gone: they live for an hour."""
        sent = self._sent.get(key)
        if sent is None:
            return None
        metadata, change = sent["metadata"], repeated(sent, now)
        try:
            await self._client.patch(EVENTS, metadata["namespace"], metadata["name"], change)
        except NotFound:
            return None
        return {**sent, **change}

    def _allowed(self, involved: Involved, now: float) -> bool:
        """Take one of an object's Events, if there is one left."""
        left, at = self._budgets.get(involved) or (_BURST, now)
        left = min(_BURST, left + max(0.0, now - at) / _REFILL)
        allowed = left >= 1.0
        self._budgets.put(involved, (left - allowed, now))
        return allowed


class _Recent(Generic[K, V]):
    """The entries that were written last."""

    def __init__(self) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > _REMEMBERED:
            self._entries.popitem(last=False)
