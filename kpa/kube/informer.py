"""A cache that follows the objects of one kind, trimmed to what we use.

list, page by page ──> watch from there ──> cut, or its time is over: watch from the last version seen
       ^                                │
       └──────── Gone: too long away ───┘   what went meanwhile is found by the list
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from kpa.kube.client import KubeClient
from kpa.kube.errors import Gone, KubeError
from kpa.kube.resource import Resource
from kpa.kube.retry import delay
from kpa.revisions import Key

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PAGE = 500
"""Objects a page of a list, as many as client-go asks for (tools/pager/pager.go)."""


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
        Called with each new value after it is in the cache, with None once it is gone; not if trimming leaves the
        same as before. Must not block.

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

    async def run(self) -> None:
        """Follow until cancelled."""
        raise NotImplementedError
