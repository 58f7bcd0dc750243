"""Address of the API server and our credentials, reloaded when they change.

The package `kubernetes` finds both: in a KUBECONFIG with contexts, tokens, client certificates and plugins,
or in the files of a pod's ServiceAccount. Tokens and certificates are rotated on disk while we run; they are
read again once a minute, and whenever the server refuses them.
"""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from kpa.runtime.outage_logger import OutageLogger

_log = logging.getLogger(__name__)

REFRESH_PERIOD = 60.0
"""Seconds; client-go rereads the token file of a pod at this interval (k8s.io/client-go rest/config.go)."""

_RELOAD_PAUSE = 5.0
"""Seconds; refused credentials are not reloaded more often, since that may run a plugin."""


class CredentialsError(Exception):
    """No API server is configured, or the configuration cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """What a request needs in addition to its path.

    Attributes
    ----------
    address : str
        Such as `https://10.0.0.1:443`, without a slash at the end.
    authorization : str or None
        Value of the header.
    tls : SSLContext or None
        None for plain HTTP.
    server_name : str or None
        Name in the server's certificate, if it differs from the address.
    proxy : str or None
        Address of a proxy, if one is used.
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
        Reads what may have been rotated in a configuration; without, it is loaded from scratch.
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
        renew: Callable[[Configuration], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._renew = renew
        self._clock = clock
        self._lock = asyncio.Lock()
        self._outage = OutageLogger(
            _log, "credentials", "cannot be reloaded, keeping the last ones", "reloaded"
        )
        self._material: tuple[Any, ...] | None = None
        self._tls: ssl.SSLContext | None = None
        self._take(load())

    @classmethod
    def from_environment(cls) -> "Credentials":
        """Find the API server: KUBECONFIG if set, else that of the pod we run in, else `~/.kube/config`.

        The order is the peer's (knative/pkg injection/config.go).
        """
        if not os.environ.get("KUBECONFIG") and "KUBERNETES_SERVICE_HOST" in os.environ:
            return cls(_load_in_cluster)
        return cls(_load_file, _renew_file)

    def _take(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.access = self._access(configuration)
        self._taken_at = self._clock()

    def _access(self, configuration: Configuration) -> ServerAccess:
        address = configuration.host.rstrip("/")
        token = configuration.api_key.get("BearerToken")
        bypass = should_bypass_proxies(address, configuration.no_proxy or "")
        return ServerAccess(
            address,
            " ".join(token.split()) if token else None,
            self._context(configuration) if address.startswith("https:") else None,
            configuration.tls_server_name,
            None if bypass else configuration.proxy,
        )

    def _context(self, configuration: Configuration) -> ssl.SSLContext:
        """Return the last context while the files are unchanged: connections are pooled by context."""
        files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        try:
            material = (
                configuration.verify_ssl,
                *(Path(path).read_bytes() if path else b"" for path in files),
            )
            if self._tls is None or material != self._material:
                self._tls, self._material = _make_context(configuration), material
        except OSError as error:  # an SSLError is one
            raise CredentialsError(f"certificates of {configuration.host} cannot be used: {error}") from error
        return self._tls

    async def current(self) -> ServerAccess:
        """Return access that is at most a minute old, or the last one if it cannot be renewed."""
        if self._clock() - self._taken_at >= REFRESH_PERIOD:
            await self._refresh(REFRESH_PERIOD, self._renewed)
        return self.access

    async def reload(self, refused: ServerAccess) -> bool:
        """Reload everything because a server refused access; return whether a retry makes sense."""
        await self._refresh(_RELOAD_PAUSE, self._load)
        return self.access is not refused

    def _renewed(self) -> Configuration:
        if self._renew is None:
            return self._load()
        self._renew(self._configuration)
        return self._configuration

    async def _refresh(self, pause: float, read: Callable[[], Configuration]) -> None:
        """Replace access, once for all concurrent callers; reading may take seconds."""
        async with self._lock:
            if self._clock() - self._taken_at < pause:
                return
            try:
                self._take(await asyncio.to_thread(read))
            except Exception as error:  # plugins and files raise all sorts of errors
                self._taken_at = self._clock()
                self._outage.failed(error)
            else:
                self._outage.succeeded()


def _make_context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # many clusters' authorities lack a key identifier
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _load_in_cluster() -> Configuration:
    configuration = Configuration()
    try:
        load_incluster_config(configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise CredentialsError(f"the ServiceAccount of this pod cannot be used: {error}") from error
    return configuration


def _load_file() -> Configuration:
    configuration = Configuration()
    path = os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    except Exception as error:  # malformed files raise all sorts
        raise CredentialsError(f"{path}: {error}") from error
    return configuration


def _renew_file(configuration: Configuration) -> None:
    """Run the plugin that renews the token if the last one expires."""
    if configuration.refresh_api_key_hook is not None:
        configuration.refresh_api_key_hook(configuration)
