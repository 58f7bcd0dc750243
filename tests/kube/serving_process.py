"""`kpa serve` in a cluster whose names all lead to one activator: ADDRESS PORT, then kpa's own arguments.

The names of services are those of a cluster's DNS, which a test does not have. Addresses of replicas, which
no machine has, lead to where the file that `KPA_TEST_HOSTS` names says.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from kpa.commands.main import main
from kpa.runtime import interpreter

CLUSTER_DOMAIN = "kpa.test"

HOSTS = "KPA_TEST_HOSTS"

_getaddrinfo = socket.getaddrinfo
_resolve_host = aiohttp.TCPConnector._resolve_host


def lead_to(address: str, port: int) -> None:
    """Resolve all names of services to one address and port."""

    def getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(host).rstrip(".").endswith(f".svc.{CLUSTER_DOMAIN}"):
            return _getaddrinfo(address, port, type=socket.SOCK_STREAM)
        return _getaddrinfo(host, *arguments, **keywords)

    socket.getaddrinfo = getaddrinfo
    interpreter.new_event_loop = _loop_that_asks(interpreter.new_event_loop)


def _loop_that_asks(make: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[], asyncio.AbstractEventLoop]:
    """Make loops ask Python for addresses: uvloop has a way of its own to the system."""
    with closing(make()) as loop:
        kind = type(loop)

    class Loop(kind):  # type: ignore[misc, valid-type]
        async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
            return await self.run_in_executor(None, partial(socket.getaddrinfo, host, port, **hints))

    return Loop


def hosts() -> dict[str, str]:
    """Return where replicas listen, by their addresses."""
    return dict(json.loads(Path(os.environ[HOSTS]).read_text())) if HOSTS in os.environ else {}


def lead_replicas() -> None:
    """Connect to a replica's address where that replica listens."""

    async def resolve(connector: Any, host: str, *arguments: Any, **keywords: Any) -> Any:
        return await _resolve_host(connector, hosts().get(host, host), *arguments, **keywords)

    aiohttp.TCPConnector._resolve_host = resolve  # type: ignore[method-assign]


if __name__ == "__main__":
    lead_to(sys.argv[1], int(sys.argv[2]))
    lead_replicas()
    sys.argv[1:3] = []
    main()
