"""`kpa serve` in a cluster whose names all lead to one activator: ADDRESS PORT, then kpa's own arguments.

The names of services are those of a cluster's DNS, which a test does not have.
"""

import socket
import sys
from typing import Any

from kpa.__main__ import main

CLUSTER_DOMAIN = "kpa.test"

_getaddrinfo = socket.getaddrinfo


def lead_to(address: str, port: int) -> None:
    """Resolve all names of services to one address and port."""

    def getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(host).rstrip(".").endswith(f".svc.{CLUSTER_DOMAIN}"):
            return _getaddrinfo(address, port, type=socket.SOCK_STREAM)
        return _getaddrinfo(host, *arguments, **keywords)

    socket.getaddrinfo = getaddrinfo


if __name__ == "__main__":
    lead_to(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:3] = []
    main()
