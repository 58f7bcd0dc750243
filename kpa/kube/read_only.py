"""A client of the API server that cannot write, whoever asks it to.

Every request of the process goes through the transport: there, not at each verb, writes are left out.
"""

import logging
from typing import Any

from kpa.kube.client import KubeClient
from kpa.kube.transport import Call, Transport

_log = logging.getLogger(__name__)


class ReadOnlyTransport(Transport):
    """Sends what reads, and nothing else."""

    async def request(self, call: Call, deadline: float) -> Any:
        """Send a request that reads; of one that writes, return the object as if it had been taken."""
        if call.method == "GET":
            return await super().request(call, deadline)
        _log.debug("%s: left out", call.what)
        return call.body if isinstance(call.body, dict) else {}


class ReadOnlyClient(KubeClient):
    """A `KubeClient` whose writing verbs do nothing."""

    transport = ReadOnlyTransport
