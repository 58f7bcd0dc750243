"""Which buckets are ours: an elector for each lease, and who holds the others."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kpa.kube.buckets import BucketSet, bucket_names
from kpa.kube.client import KubeClient
from kpa.kube.informer import Informer
from kpa.kube.leases import Elector, Timing
from kpa.kube.resources import LEASES
from kpa.revisions import Key

_log = logging.getLogger(__name__)


class _Leases:
    """Leases of one namespace, as electors use them."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    async def get(self, name: str) -> dict[str, Any]:
        return await self._client.get(LEASES, self._namespace, name)

    async def create(self, lease: dict[str, Any]) -> dict[str, Any]:
        return await self._client.create(LEASES, self._namespace, lease)

    async def replace(self, name: str, lease: dict[str, Any]) -> dict[str, Any]:
        return await self._client.replace(LEASES, self._namespace, name, lease)


class Leadership:
    """Our part in looking after all revisions.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        Of the leases.
    identity : str
        `<POD_NAME>_<POD_IP>`.
    buckets : int
        How many share the revisions.
    timing : Timing
    on_change : callable (bucket, leading)
        Told when a bucket has become ours, or no longer is.
    on_holder : callable (bucket, identity)
        Told who holds a bucket; empty if nobody does.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        buckets: int,
        timing: Timing,
        on_change: Callable[[str, bool], None],
        on_holder: Callable[[str, str], None],
    ) -> None:
        self.buckets = BucketSet(bucket_names(buckets))
        self._on_change = on_change
        self._on_holder = on_holder
        store = _Leases(client, namespace)
        self._electors = {name: self._elector(store, name, identity, timing) for name in self.buckets.names}
        self._informer = Informer(
            client, LEASES, self._ours, namespace=namespace, on_change=self._lease_changed
        )

    def owns(self, key: Key) -> bool:
        """Tell whether a revision is ours to look after."""
        return self._electors[self.buckets.owner(key)].leading

    def leads(self, bucket: str) -> bool:
        """Tell whether a bucket is ours; buckets that do not exist are not."""
        return bucket in self._electors and self._electors[bucket].leading

    def predecessor(self, bucket: str) -> str:
        """Return who held a bucket of ours before us; empty if nobody did."""
        return self._electors[bucket].predecessor

    async def run(self) -> None:
        """Take part until cancelled; then all that is ours is released at once."""
        async with asyncio.TaskGroup() as group:  # a second cancellation would end the release
            for elector in self._electors.values():
                group.create_task(elector.run())
            group.create_task(self._informer.run())

    def _elector(self, store: _Leases, name: str, identity: str, timing: Timing) -> Elector:
        def changed(leading: bool) -> None:
            self._on_change(name, leading)

        return Elector(store, name, identity, timing, changed)

    def _ours(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Keep the leases of our buckets only."""
        return dict(body) if body["metadata"]["name"] in self.buckets.names else None

    def _lease_changed(self, key: Key, lease: dict[str, Any] | None) -> None:
        elector = self._electors.get(key.name)
        if elector is not None:
            elector.observe(lease)
            spec = (lease or {}).get("spec") or {}
            self._on_holder(key.name, str(spec.get("holderIdentity") or ""))
