"""One kept-alive HTTP connection to a pod's queue-proxy: no task, no callback, one response at a time.

Source: `knative/serving pkg/autoscaler/metrics/http_scrape_client.go`. A connection
ends as soon as a rule of `ScrapeResponse` is broken, so a huge or endless body costs only a few reads.
"""

import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from metrics.sampling.failures import Failure
from metrics.scraping.poller import Poller
from metrics.scraping.response import ScrapeResponse, read_whole
from metrics.stat import Stat

_READ = 478
"""Bytes; a response has about 200, and at most 8 KiB are read. The object fits in the 512 bytes of
Python's small allocations."""


def request_bytes(host: str, port: int, *, through: str = "", keep: bool = True) -> bytes:
    """Write the request for a pod's stat; IPv6 addresses get brackets and lose their zone, as in any URL.

    Parameters
    ----------
    host, port : str, int
        The address of the queue-proxy or service.
    through : str
        A service (`name.namespace`) whose mesh lets the request pass to the addressed pod; empty without such
        a mesh (ConfigMap key `enable-mesh-pod-addressability`).
    keep : bool
        Another request may follow on the same connection.
    """
    name = f"[{host.partition('%')[0]}]" if ":" in host else host
    headers = [f"Host: {through or f'{name}:{port}'}", "User-Agent: kpa", "Accept: application/protobuf"]
    if through:
        headers.append("Knative-Direct-Lb: true")
    if not keep:
        headers.append("Connection: close")
    return "\r\n".join(["GET /metrics HTTP/1.1", *headers, "", ""]).encode("ascii")


def send_all(sockets: Iterable[socket.socket], requests: Iterable[bytes]) -> None:
    """Send each socket its request; a socket that does not accept it is then read as closed."""
    for sock, request in zip(sockets, requests, strict=True):
        try:
            sent = sock.send(request)
        except OSError:
            sent = 0
        if sent != len(request):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def read_all(sockets: Iterable[socket.socket]) -> list[bytes | None]:
    """Return the bytes from each socket: empty if it was closed, None if nothing has come yet."""
    came: list[bytes | None] = []
    for sock in sockets:
        try:
            came.append(sock.recv(_READ))
        except BlockingIOError:
            came.append(None)
        except OSError:
            came.append(b"")
    return came


class Client(Protocol):
    """The owner of a connection; after `failed` and `lost` the connection is closed."""

    def connected(self, connection: "ScrapeConnection") -> None:
        """The connection can be asked."""

    def answered(self, stat: Stat) -> None:
        """A stat came."""

    def failed(self, failure: Failure) -> None:
        """The response is not acceptable; the connection is closed."""

    def lost(self, connection: "ScrapeConnection", retry: bool) -> None:
        """The other side closed; `retry` if a request got no byte on a connection that worked before."""


class ScrapeConnection:
    """A connection that asks for stats.

    Parameters
    ----------
    client : Client
        Receives stats and the end, always in the poller's turn.
    request : bytes
        What to send for a stat.
    sock : socket
        Connected and non-blocking; the connection closes it.
    poller : Poller
        Calls `ready` and `check_idle`.

    Attributes
    ----------
    sock : socket
    request : bytes
    """

    __slots__ = ("_busy", "_client", "_poller", "_response", "_served", "request", "sock")

    def __init__(self, client: Client, request: bytes, sock: socket.socket, poller: Poller) -> None:
        self._client: Client | None = client
        self.request = request
        self.sock = sock
        self._poller = poller
        self._response: ScrapeResponse | None = None  # the parts received so far
        self._busy = False
        self._served = False
        poller.add(sock.fileno(), self)

    def ask(self) -> None:
        """Send the request; the one before must have been answered."""
        self._busy = True
        send_all((self.sock,), (self.request,))
        self._poller.asked.append(self)

    def was_asked(self) -> None:
        """Mark the request as sent by a batch, which also reads the response."""
        self._busy = True

    def ready(self) -> None:
        """Read what came; called by the poller after a request."""
        if self._client is not None:
            self.take(self._read())

    def take(self, data: bytes | None) -> None:
        """Take what was read after a request; None if nothing came yet."""
        client = self._client
        if client is None:
            return
        if data is None:
            self._poller.wait(self.sock.fileno(), self, select.POLLIN)
        elif self._response is None and (stat := read_whole(data)) is not None:
            self._busy = False
            self._served = True
            client.answered(stat)
        elif data:
            self._take_parts(data)
        else:
            self.drop()

    def check_idle(self) -> None:
        """Drop a connection that was closed, or that sent bytes without a request."""
        if not self._busy and self._client is not None:
            self.drop()

    def close(self) -> None:
        """Close the connection without a call to the client."""
        if self._client is not None:
            self._client = self._response = None
            self._busy = False
            self._poller.remove(self.sock.fileno())
            self.sock.close()

    def drop(self) -> None:
        """Close the connection and report it as lost."""
        client = self._client
        retry = self._busy and self._served and self._response is None
        self.close()
        if client is not None:
            client.lost(self, retry)

    def _read(self) -> bytes | None:
        return read_all((self.sock,))[0]

    def _take_parts(self, data: bytes) -> None:
        """Read on until the verdict, or until nothing is there."""
        response = self._response = self._response or ScrapeResponse()
        part: bytes | None = data
        while part:
            verdict = response.feed(part)
            if isinstance(verdict, Failure):
                self._fail(verdict)
                return
            if verdict is not None:
                self._response = None
                self._finish(verdict, response.keep)
                return
            part = self._read()
        if part is None:
            self._poller.wait(self.sock.fileno(), self, select.POLLIN)
        else:
            self.drop()

    def _finish(self, stat: Stat, keep: bool) -> None:
        client = self._client
        assert client is not None
        self._busy = False
        self._served = True
        client.answered(stat)
        if not keep:
            self.drop()

    def _fail(self, failure: Failure) -> None:
        client = self._client
        assert client is not None
        self.close()
        client.failed(failure)
