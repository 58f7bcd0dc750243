"""The store of leases: what an elector needs, and the API server as one."""

from typing import Protocol

from kpa.kube.api.client import KubeClient
from kpa.kube.election.lease import Json
from kpa.kube.objects.kinds import LEASES


class LeaseStore(Protocol):
    """The three verbs that an elector needs, on Leases of one namespace."""

    async def get(self, name: str) -> Json:
        """Read a lease; raises NotFound."""

    async def create(self, lease: Json) -> Json:
        """Create a lease; raises Conflict if it exists."""

    async def replace(self, name: str, lease: Json) -> Json:
        """Replace a lease that was read; raises Conflict if it has changed meanwhile."""


class StoredLeases:
    """Leases of an API server.

    Parameters
    ----------
    client : KubeClient
    namespace : str
    """

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    async def get(self, name: str) -> Json:
        """Read a lease."""
        return await self._client.get(LEASES, self._namespace, name)

    async def create(self, lease: Json) -> Json:
        """Create a lease."""
        return await self._client.create(LEASES, self._namespace, lease)

    async def replace(self, name: str, lease: Json) -> Json:
        """Replace a lease that was read."""
        return await self._client.replace(LEASES, self._namespace, name, lease)
