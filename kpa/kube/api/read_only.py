"""A client of the API server that cannot write.

The transport refuses writes, not each verb, so a new verb is covered too. A refused write is a fault of kpa
and shows in the log.
"""

from typing import Any

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import Forbidden
from kpa.kube.api.transport import Call, Transport


class ReadOnlyTransport(Transport):
    """Sends reading requests only."""

    async def request(self, call: Call, deadline: float) -> Any:
        """Send a reading request; raise Forbidden for a writing one."""
        if call.method != "GET":
            raise Forbidden(f"{call.what}: refused, this client only reads", 403)
        return await super().request(call, deadline)


class ReadOnlyClient(KubeClient):
    """A `KubeClient` whose writing verbs are forbidden."""

    transport = ReadOnlyTransport
