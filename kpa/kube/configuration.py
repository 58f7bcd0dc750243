"""Which API server there is, and who we are to it, as a pod's files or a KUBECONFIG say.

Why not the package `kubernetes`, which reads both: its imports take 14 MiB, a sixth of what `kpa serve` has
with a small fleet, and 126 MiB of the image.
"""

import os
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has the files of its ServiceAccount."""


class CredentialsError(Exception):
    """No API server is configured, or the configuration cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """An API server and our identity.

    Attributes
    ----------
    server : str
        Its address.
    authorization : str or None
        Value of the header.
    authority : bytes or None
        Certificates in PEM that the server's must be signed by; None for those that the system trusts.
    certificate, key : bytes or None
        Ours, in PEM.
    verify : bool
        The server's certificate is looked at.
    server_name : str or None
        Name in the server's certificate, if it is not that of the address.
    proxy : str or None
        Address of a proxy on the way.
    """

    server: str
    authorization: str | None = None
    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None


def in_cluster() -> Configuration:
    """Read what a pod is told by its environment and its ServiceAccount's files.

    Source: k8s.io/client-go rest/config.go, `InClusterConfig`.

    Raises
    ------
    CredentialsError
        Something of it is missing.
    """
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        token = (ACCOUNT_FOLDER / "token").read_text()
        authority = (ACCOUNT_FOLDER / "ca.crt").read_bytes()
    except KeyError as missing:
        raise CredentialsError(f"the ServiceAccount of this pod cannot be used: no {missing}") from missing
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"the ServiceAccount of this pod cannot be used: {error}") from error
    if not token.strip() or not authority.strip():
        raise CredentialsError("the ServiceAccount of this pod cannot be used: its token or ca.crt is empty")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Configuration(server, bearer(token), authority, proxy=proxy_from_environment(server))


def bearer(token: str) -> str:
    """Return the header's value for a token, which may stand on a line of its own."""
    return " ".join(["Bearer", *token.split()])


def proxy_from_environment(address: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name, unless NO_PROXY excepts the address.

    NO_PROXY lists names (and all below them), addresses and networks, as Go's programs read it
    (golang.org/x/net/http/httpproxy).

    Parameters
    ----------
    address : str
        With its scheme.
    """
    proxies, url = getproxies(), urlsplit(address)
    proxy = proxies.get(url.scheme) or proxies.get("all")
    excepted = (entry.strip().lower() for entry in proxies.get("no", "").split(","))
    if not proxy or any(_covers(entry, url.hostname or "", url.netloc.lower()) for entry in excepted):
        return None
    return proxy


def _covers(entry: str, host: str, host_and_port: str) -> bool:
    if not entry or entry == "*":
        return bool(entry)
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        name = entry.lstrip(".")
        return any(each == name or each.endswith(f".{name}") for each in (host, host_and_port))
