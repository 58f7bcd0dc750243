"""The routing table: which revision answers a host, and which backends take its requests right now.

The service writes it, activators read it; one JSON document a table:

    {"routes": [{"namespace": "default", "name": "hello-00001", "hosts": ["hello.localhost"],
                 "containerConcurrency": 10, "timeoutSeconds": 300.0,
                 "backends": [{"name": "hello-00001-abc", "address": "127.0.0.1:31001"}]}]}
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from metrics.key import Key

_T = TypeVar("_T")

DEFAULT_TIMEOUT = 300.0
"""Seconds; the peer's `revision-timeout-seconds` (knative/serving `pkg/apis/config/defaults.go`)."""


class RoutesError(ValueError):
    """A routing table breaks a rule; the message names the field, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One place that takes requests of a revision: the serving port of a ready pod's queue-proxy.

    Attributes
    ----------
    name : str
        The pod's name.
    address : str
        `host:port`; an IPv6 host stands in brackets.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Route:
    """One revision, the hosts that lead to it and its ready backends.

    Attributes
    ----------
    namespace, name : str
        The revision.
    hosts : tuple of str
        Host names without port, in any case; none for a revision that only its headers reach.
    container_concurrency : int
        Most requests in flight per backend; 0 is unlimited.
    timeout_seconds : float
        Longest that a request may wait for a backend.
    backends : tuple of Backend
        Empty while the revision is at zero or starting.
    """

    namespace: str
    name: str
    hosts: tuple[str, ...] = ()
    container_concurrency: int = 0
    timeout_seconds: float = DEFAULT_TIMEOUT
    backends: tuple[Backend, ...] = ()

    @property
    def key(self) -> Key:
        """The revision's key."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Routes of all revisions, found by host or by revision.

    Parameters
    ----------
    routes : tuple of Route
        One for each revision.

    Raises
    ------
    RoutesError
        Two routes are of one revision or claim one host.

    Example
    -------
    >>> table = RoutingTable((Route("default", "hello-00001", hosts=("hello.localhost",)),))
    >>> table.find("Hello.localhost:8080").name
    'hello-00001'
    >>> table.find("hello-00001.default.svc.cluster.local").name
    'hello-00001'
    """

    routes: tuple[Route, ...] = ()
    by_key: dict[Key, Route] = field(init=False, repr=False, compare=False)
    by_host: dict[str, Route] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key: dict[Key, Route] = {}
        by_host: dict[str, Route] = {}
        for route in self.routes:
            if by_key.setdefault(route.key, route) is not route:
                raise RoutesError(f"two routes are of revision {route.key}: a revision has one")
            for host in map(str.lower, route.hosts):
                other = by_host.setdefault(host, route)
                if other is not route:
                    raise RoutesError(f"host {host!r} leads to {other.key} and {route.key}: one is allowed")
        object.__setattr__(self, "by_key", by_key)
        object.__setattr__(self, "by_host", by_host)

    def find(self, host: str, revision: str = "", namespace: str = "") -> Route | None:
        """Route of a request.

        Revision and namespace decide when both are there; else a host of the table; else a host of the form
        `<revision>.<namespace>.svc.<domain>`.

        Parameters
        ----------
        host : str
            The `Host` header; its port and its case do not matter.
        revision, namespace : str
            Headers `Knative-Serving-Revision` and `Knative-Serving-Namespace`, empty if absent.

        Notes
        -----
        Source: `knative/serving pkg/activator/handler/context_handler.go`. Different from it, any cluster
        domain is taken: the table names its hosts itself, so this process need not know the domain.
        """
        if revision and namespace:
            return self.by_key.get(Key(namespace, revision))
        name = host_name(host)
        route = self.by_host.get(name)
        if route is None:
            parts = name.split(".", 3)
            if len(parts) == 4 and parts[2] == "svc":
                route = self.by_key.get(Key(parts[1], parts[0]))
        return route

    def to_json(self) -> str:
        """The table as one line of JSON."""
        return json.dumps({"routes": [_route_to_json(route) for route in self.routes]}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "RoutingTable":
        """Table read from JSON; unknown fields are ignored, so that newer writers stay readable.

        Raises
        ------
        RoutesError
            It is no JSON object of this form; the message names the field.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise RoutesError(f"the routing table is not JSON: {error}") from error
        routes = _field(document, "", "routes", _a_list)
        return cls(tuple(_route(route, f"routes[{i}]") for i, route in enumerate(routes)))


def host_name(host: str) -> str:
    """Name in a `Host` header: lower case, without port, IPv6 brackets kept.

    Parameters
    ----------
    host : str
        The header's value.

    Example
    -------
    >>> host_name("Hello.localhost:8080"), host_name("[::1]:80")
    ('hello.localhost', '[::1]')
    """
    name, colon, port = host.rpartition(":")
    return (name if colon and "]" not in port else host).lower()


def _route_to_json(route: Route) -> dict[str, object]:
    return {
        "namespace": route.namespace,
        "name": route.name,
        "hosts": route.hosts,
        "containerConcurrency": route.container_concurrency,
        "timeoutSeconds": route.timeout_seconds,
        "backends": [{"name": backend.name, "address": backend.address} for backend in route.backends],
    }


def _route(value: Any, where: str) -> Route:
    hosts = _field(value, where, "hosts", _a_list)
    backends = _field(value, where, "backends", _a_list)
    return Route(
        namespace=_field(value, where, "namespace", _text),
        name=_field(value, where, "name", _text),
        hosts=tuple(_checked(host, f"{where}.hosts[{i}]", _text) for i, host in enumerate(hosts)),
        container_concurrency=_field(value, where, "containerConcurrency", _count),
        timeout_seconds=_field(value, where, "timeoutSeconds", _positive),
        backends=tuple(_backend(backend, f"{where}.backends[{i}]") for i, backend in enumerate(backends)),
    )


def _backend(value: Any, where: str) -> Backend:
    return Backend(_field(value, where, "name", _text), _field(value, where, "address", _address))


def _field(value: Any, where: str, name: str, check: Callable[[Any], _T]) -> _T:
    if not isinstance(value, dict):
        raise RoutesError(f"{where or 'the routing table'} is {value!r:.80}: it must be an object")
    path = f"{where}.{name}" if where else name
    if name not in value:
        raise RoutesError(f"{path} is missing")
    return _checked(value[name], path, check)


def _checked(value: Any, path: str, check: Callable[[Any], _T]) -> _T:
    try:
        return check(value)
    except ValueError as error:
        raise RoutesError(f"{path} is {value!r:.80}: it must be {error}") from None


def _a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a whole number of at least 0")
    return value


def _positive(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError("a number above 0")
    return float(value)


def _address(value: Any) -> str:
    host, _, port = _text(value).rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError("host:port with a port of 1..65535")
    return str(value)
