"""Where the API server is and who we are to it, kept fresh.

A KUBECONFIG has both, or the files that a pod has of its ServiceAccount. Tokens and certificates are rotated
on disk while we run; they are looked at once a minute, and whenever the server refuses them.
"""

import asyncio
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kpa.kube.configuration import Configuration, CredentialsError, in_cluster
from kpa.kube.kubeconfig import Kubeconfig

__all__ = ["Access", "Configuration", "Credentials", "CredentialsError"]

_log = logging.getLogger(__name__)

REFRESH_PERIOD = 60.0
"""Seconds; client-go reads the token file of a pod again as often (k8s.io/client-go rest/config.go)."""

_RELOAD_PAUSE = 5.0
"""Seconds; refused credentials are not read anew more often, since that may run a plugin."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs beside its path.

    Attributes
    ----------
    address : str
        Such as `https://10.0.0.1:443`, without a slash at the end.
    authorization : str or None
        Value of the header.
    tls : SSLContext or None
        None for plain HTTP.
    server_name : str or None
        Name in the server's certificate, if it is not that of the address.
    proxy : str or None
        Address of a proxy on the way.
    """

    address: str
    authorization: str | None = None
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None


class Credentials:
    """Access to one API server, renewed in time.

    Parameters
    ----------
    load : callable
        Reads the configuration from scratch.
    renew : callable, optional
        Reads what may have been rotated; without, all is read from scratch.
    clock : callable
        Monotonic seconds.

    Raises
    ------
    CredentialsError
        The configuration cannot be used now.
    """

    def __init__(
        self,
        load: Callable[[], Configuration],
        renew: Callable[[], Configuration] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._renew = renew or load
        self._clock = clock
        self._lock = asyncio.Lock()
        self._failed = False
        self._material: tuple[Any, ...] | None = None
        self._tls: ssl.SSLContext | None = None
        self._take(load())

    @classmethod
    def from_environment(cls) -> "Credentials":
        """Find the API server: KUBECONFIG if set, else that of the pod we run in, else `~/.kube/config`.

        The order is the peer's (knative/pkg injection/config.go).
        """
        if not os.environ.get("KUBECONFIG") and "KUBERNETES_SERVICE_HOST" in os.environ:
            return cls(in_cluster)
        kubeconfig = Kubeconfig()
        return cls(kubeconfig.load, kubeconfig.renew)

    def _take(self, configuration: Configuration) -> None:
        address = configuration.server.rstrip("/")
        self.access = Access(
            address,
            configuration.authorization,
            self._context(configuration) if address.startswith("https:") else None,
            configuration.server_name,
            configuration.proxy,
        )
        self._taken_at = self._clock()

    def _context(self, configuration: Configuration) -> ssl.SSLContext:
        """Give the last context as long as the files say the same: connections are kept by context."""
        material = (
            configuration.verify,
            configuration.authority,
            configuration.certificate,
            configuration.key,
        )
        if self._tls is None or material != self._material:
            try:
                self._tls, self._material = _make_context(configuration), material
            except (OSError, ValueError) as error:  # an SSLError is an OSError
                raise CredentialsError(
                    f"certificates of {configuration.server} cannot be used: {error}"
                ) from error
        return self._tls

    async def current(self) -> Access:
        """Give access that is at most a minute old; if it cannot be renewed, the last one stays."""
        if self._clock() - self._taken_at >= REFRESH_PERIOD:
            await self._refresh(REFRESH_PERIOD, self._renew)
        return self.access

    async def reload(self, refused: Access) -> bool:
        """Read everything anew because a server refused access; tells whether it is worth another try."""
        await self._refresh(_RELOAD_PAUSE, self._load)
        return self.access is not refused

    async def _refresh(self, pause: float, read: Callable[[], Configuration]) -> None:
        """Replace access, once for all who ask at the same time; reading may take seconds."""
        async with self._lock:
            if self._clock() - self._taken_at < pause:
                return
            try:
                self._take(await asyncio.to_thread(read))
            except Exception as error:  # whatever plugins and files come up with
                self._taken_at = self._clock()
                if not self._failed:
                    _log.warning("credentials could not be read again, the last ones stay: %s", error)
                self._failed = True
            else:
                self._failed = False


def _make_context(configuration: Configuration) -> ssl.SSLContext:
    authority = configuration.authority
    context = ssl.create_default_context(cadata=authority.decode("ascii", "ignore") if authority else None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # many clusters' authorities lack a key identifier
    if not configuration.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.certificate:
        with tempfile.NamedTemporaryFile() as file:  # nobody else can read it
            file.write(configuration.certificate + b"\n" + (configuration.key or b""))
            file.flush()
            context.load_cert_chain(file.name)
    return context
