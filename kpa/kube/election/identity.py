"""Who a replica is: `<POD_NAME>_<POD_IP>`, as Leases name their holders.

Source: `knative/serving cmd/autoscaler/main.go`, whose replicas read each other's addresses from it.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

PORT = 8080
"""Of every autoscaler's stat server, as Knative has it."""

Address = IPv4Address | IPv6Address


def address_in(identity: str) -> Address:
    """Return the address in an identity.

    Raises
    ------
    ValueError
        There is none.

    Examples
    --------
    >>> address_in("autoscaler-7c9d-abcde_10.0.1.1")
    IPv4Address('10.0.1.1')
    """
    return ip_address(identity.partition("_")[2])


def url_host(address: Address) -> str:
    """Return an address as a URL has it.

    Examples
    --------
    >>> url_host(address_in("a_fd00::1")), url_host(address_in("a_10.0.0.1"))
    ('[fd00::1]', '10.0.0.1')
    """
    return f"[{address}]" if address.version == 6 else str(address)
