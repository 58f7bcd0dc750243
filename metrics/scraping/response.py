"""Parses the response of a pod: the bytes that give a stat, and why all others are refused.

Source: `knative/serving pkg/autoscaler/metrics/http_scrape_client.go`. Accepted are status 2xx,
the exact type `application/protobuf` and at most 336 bytes of body.

Nearly all responses arrive whole, with the same head as that of another pod in the same second. `read_whole`
reads them: the parser reads each distinct head once, and its result holds for every response with that head.
All others go through `ScrapeResponse`; the tests compare its verdict with that of `read_whole`.
"""

from collections.abc import Sequence
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from metrics.sampling.failures import Failure
from metrics.stat import Loads, Stat, read_loads
from metrics.validation import are_plausible, is_plausible

_CONTENT_TYPE = b"application/protobuf"

_LONGEST_BODY = 336
"""Bytes; `pkg/autoscaler/metrics/http_scrape_client.go`, from the longest stat plus room for later fields."""

_LONGEST_ANSWER = 8192
"""Bytes of status line, headers and body together; queue-proxies send about 200."""

_MESH = (502, 503)
"""Statuses by which a mesh refuses what does not come through it (`knative/networking pkg/http/error.go`)."""

_NO_HEAD = b"\r\n\r\n"
"""A head that no accepted response has."""

_HEADS = 1024
"""Heads to remember: dates and lengths make a few dozen a second; none is longer than one read."""


def read_whole(data: bytes) -> Stat | None:
    """Return the stat of a whole response on a kept-alive connection; None leaves it to `ScrapeResponse`.

    Parameters
    ----------
    data : bytes
        All bytes since the request.
    """
    start = data.find(b"\r\n\r\n") + 4
    if _body_length(data[:start]) != len(data) - start:
        return None
    try:
        stat = Stat.decode(data[start:])
    except ValueError:
        return None
    return stat if is_plausible(stat) else None


def add_up(answers: Sequence[bytes | None], names: Sequence[bytes]) -> Loads | None:
    """Return the sums of the loads of some pods, if all responses are whole and usual.

    Parameters
    ----------
    answers : sequence of bytes
        All bytes of each since its request; None without any.
    names : sequence of bytes
        The encoded `Stat` of which only the pod's name is set; a stat may also have no name.

    Returns
    -------
    tuple of float, or None
        None leaves all of them to `read_whole` and `ScrapeResponse`.
    """
    concurrency = proxied = requests = proxied_requests = 0.0
    head, start, whole = _NO_HEAD, 0, 0
    for data, name in zip(answers, names, strict=True):
        if data is None:
            return None
        if not data.startswith(head):
            start = data.find(b"\r\n\r\n") + 4
            head = data[:start]
            body = _body_length(head)
            whole = start + body if body >= 0 else 0
        if len(data) != whole:
            return None
        end = start + len(name)
        loads = read_loads(data, end if data[start:end] == name else start)
        if loads is None or not are_plausible(*loads):
            return None
        concurrency += loads[0]
        proxied += loads[1]
        requests += loads[2]
        proxied_requests += loads[3]
    return concurrency, proxied, requests, proxied_requests


@lru_cache(maxsize=_HEADS)
def _body_length(head: bytes) -> int:
    """Return how many bytes of body make the response complete; -1 if that, or its verdict, needs the parser.

    The result of the parser depends only on the bytes of the response. After a head with a length, it passes
    on that many bytes whatever they are, and the response ends there.
    """
    response = ScrapeResponse()
    response.feed(head)
    plain = response.status == 200 and response.keep and not response.body
    return response.length if plain and response.failure is None else -1


class ScrapeResponse:
    """A response that comes in parts, or in any other unusual form.

    Attributes
    ----------
    status : int
        Of HTTP; 0 until the head has come.
    keep : bool
        The connection stays open after this response.
    length : int
        Bytes of body by the head; -1 if it does not say.
    body : bytes
    failure : Failure or None
        Why the response is refused.
    complete : bool
        The response has ended.
    """

    __slots__ = (
        "_content_type", "_parser", "_received", "body", "complete", "failure", "keep", "length", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.keep = False
        self.length = -1
        self.body = b""
        self.failure: Failure | None = None
        self.complete = False
        self._received = 0
        self._content_type: bytes | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> Stat | Failure | None:
        """Take the next bytes; None if more must come."""
        self._received += len(data)
        if self._received > _LONGEST_ANSWER:
            self._fail(Failure.TOO_LARGE)
        else:
            self._parse(data)
        if self.failure is None and not self.complete:
            return None
        self._parser = None  # it refers to our methods; this breaks the cycle
        return self.failure or self._verdict()

    def _parse(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(Failure.NOT_HTTP)

    def _verdict(self) -> Stat | Failure:
        try:
            stat = Stat.decode(self.body)
        except ValueError:
            return Failure.UNDECODABLE
        return stat if is_plausible(stat) else Failure.IMPLAUSIBLE

    def _fail(self, failure: Failure) -> None:
        self.failure = self.failure or failure

    def on_message_begin(self) -> None:
        """Called by the parser; a second response to one request is an error."""
        if self.complete:
            self._fail(Failure.NOT_HTTP)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name == b"content-type":
            self._content_type = value
        elif name == b"content-length" and value.isdigit():
            self.length = int(value[:20])

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self.keep = self._parser.should_keep_alive()
        if not 200 <= self.status < 300:
            self._fail(Failure.UNAVAILABLE if self.status in _MESH else Failure.STATUS)
        elif self._content_type != _CONTENT_TYPE:
            self._fail(Failure.CONTENT_TYPE)
        elif self.length > _LONGEST_BODY:
            self._fail(Failure.TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self.body += body
        if len(self.body) > _LONGEST_BODY:
            self._fail(Failure.TOO_LARGE)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.complete = True
