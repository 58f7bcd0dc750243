"""A client of the API server that cannot write, whoever asks it to.

Every request of the process goes through the transport: there, not at each verb, writes are refused. Nobody
should try; who does is found out by the log, and by the API server too if its role only lets it read.
"""

from typing import Any

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import Forbidden
from kpa.kube.api.transport import Call, Transport


class ReadOnlyTransport(Transport):
    """Sends what reads, and nothing else."""

    async def request(self, call: Call, deadline: float) -> Any:
        """Send a request that reads; raises Forbidden for one that writes."""
        if call.method != "GET":
            raise Forbidden(f"{call.what}: kpa only looks on, a write is forbidden", 403)
        return await super().request(call, deadline)


class ReadOnlyClient(KubeClient):
    """A `KubeClient` whose writing verbs are forbidden."""

    transport = ReadOnlyTransport
