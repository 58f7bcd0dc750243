"""One kept-alive HTTP connection to a pod's queue-proxy: one protocol object, no task, one answer at a time.

Source: `knative/serving pkg/autoscaler/metrics/http_scrape_client.go`. Of an answer only status 2xx with the
exact type `application/protobuf` and at most 336 bytes of body is taken. Whatever breaks a rule ends the
connection at once, so that neither a huge nor an endless body costs more than one read.
"""

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from metrics.failure import Failure
from metrics.plausible import is_plausible
from metrics.stat import Stat

_CONTENT_TYPE = b"application/protobuf"

_LONGEST_BODY = 336
"""Bytes; `pkg/autoscaler/metrics/http_scrape_client.go`, from the longest stat plus room for later fields."""

_LONGEST_RESPONSE = 8192
"""Bytes of status line, headers and body together; queue-proxies send about 200."""

_MESH = (502, 503)
"""Statuses by which a mesh refuses what does not come through it (`knative/networking pkg/http/error.go`)."""


def request_bytes(host: str, port: int, *, through: str = "", keep: bool = True) -> bytes:
    """Write the request for a pod's stat; IPv6 addresses get brackets and lose their zone, as in any URL.

    Parameters
    ----------
    host, port : str, int
        Of whom to ask.
    through : str
        A service (`name.namespace`) whose mesh is to let the request pass to the very pod that is addressed;
        empty without such a mesh (ConfigMap key `enable-mesh-pod-addressability`).
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


class Client(Protocol):
    """Whom a connection tells; after `failed` and `lost` the connection is of no more use."""

    def connected(self, connection: "Connection") -> None:
        """The connection can be asked."""

    def answered(self, stat: Stat) -> None:
        """A stat came."""

    def failed(self, failure: Failure) -> None:
        """What came is not acceptable; the connection is closed."""

    def lost(self, connection: "Connection", unheard: bool) -> None:
        """The other side closed; `unheard` if a request got no byte of an answer after earlier ones had."""


class Connection(asyncio.Protocol):
    """A connection that asks for stats.

    Parameters
    ----------
    client : Client
        Told of answers and of the end.
    request : bytes
        What to send for a stat.
    """

    __slots__ = (
        "_body", "_busy", "_client", "_complete", "_content_type", "_failure", "_keep", "_parser",
        "_received", "_request", "_served", "_transport",
    )  # fmt: skip

    def __init__(self, client: Client, request: bytes) -> None:
        self._client: Client | None = client
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._busy = False
        self._served = False
        self._keep = True
        self._received = 0
        self._body = b""
        self._content_type: bytes | None = None
        self._failure: Failure | None = None
        self._complete = False

    def ask(self) -> None:
        """Send the request; the one before must have been answered."""
        assert self._transport is not None
        self._busy = True
        self._complete = False
        self._received = 0
        self._body = b""
        self._content_type = None
        self._transport.write(self._request)

    def close(self) -> None:
        """End the connection without a word to the client."""
        self._client = None
        self._parser = None  # the parser holds our methods: without it no cycle is left to the collector
        self._busy = False
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def drop(self) -> None:
        """End the connection and tell the client that it is lost."""
        client = self._client
        unheard = self._busy and self._served and not self._received
        self.close()
        if client is not None:
            client.lost(self, unheard)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        if self._client is None:
            self.close()
        else:
            self._client.connected(self)

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        if self._parser is None:
            return
        if not self._busy:
            self.drop()
            return
        self._received += len(data)
        if self._received > _LONGEST_RESPONSE:
            self._fail(Failure.TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._failure = self._failure or Failure.NOT_HTTP
        if self._failure is not None:
            self._fail(self._failure)
        elif self._complete:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the client, unless we ended it ourselves."""
        self.drop()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name == b"content-type":
            self._content_type = value
        elif name == b"content-length" and value.isdigit() and int(value[:20]) > _LONGEST_BODY:
            self._failure = Failure.TOO_LARGE

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if not 200 <= status < 300:
            self._failure = Failure.UNAVAILABLE if status in _MESH else Failure.STATUS
        elif self._content_type != _CONTENT_TYPE:
            self._failure = Failure.CONTENT_TYPE

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body
        if len(self._body) > _LONGEST_BODY:
            self._failure = Failure.TOO_LARGE

    def on_message_complete(self) -> None:
        """Called by the parser."""
        assert self._parser is not None
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    def _finish(self) -> None:
        client = self._client
        assert client is not None
        try:
            stat = Stat.decode(self._body)
        except ValueError:
            self._fail(Failure.UNDECODABLE)
            return
        if not is_plausible(stat):
            self._fail(Failure.IMPLAUSIBLE)
            return
        self._busy = False
        self._served = True
        client.answered(stat)
        if not self._keep:
            self.drop()

    def _fail(self, failure: Failure) -> None:
        client = self._client
        self.close()
        if client is not None:
            client.failed(failure)
