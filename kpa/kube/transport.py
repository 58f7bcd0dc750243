"""Requests to one API server: connections, credentials, retries, deadlines.

A write is tried again after a cut connection although the first attempt may have been carried out: a
replacement then answers Conflict, a creation AlreadyExists, and a patch of replicas says the same twice.
"""

import asyncio
import itertools
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from kpa.kube.connections import CONNECT_TIMEOUT, Answer, Connections, make_socket
from kpa.kube.credentials import Access, Credentials
from kpa.kube.documents import parse
from kpa.kube.errors import Cut, KubeError, Unauthorized, Unreachable, error_from_answer
from kpa.kube.retry import delay
from kpa.telemetry import version

_HEAD_TIMEOUT = 30.0
"""Seconds until a stream begins to answer."""

_ATTEMPT_PART = 0.5
"""Part of the deadline for one attempt: a connection to a server that is gone costs one attempt, not all."""

_PLAIN = "/:@!$&'()*+,;=~"
"""What may stand in a path as it is (RFC 3986), beside letters, digits and `-._`."""

_HEADERS = {
    "User-Agent": f"kpa/{version()}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # within a cluster bytes cost less than their compression
}

_log = logging.getLogger(__name__)

T = TypeVar("T")

_CUTS = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes
    ----------
    what : str
        Verb, resource and name; begins the messages of errors.
    method, path : str
        Of HTTP; the path is below the server's address.
    params : Mapping
        Of the query.
    body : Any
        An object, or None.
    content_type : str
        Of the body.
    """

    what: str
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"


class Transport:
    """Sends requests over one pool of kept-alive connections, as large as needed.

    Parameters
    ----------
    credentials : Credentials
    concurrency : int
        Requests in flight at most, streams excepted.
    """

    def __init__(self, credentials: Credentials, *, concurrency: int) -> None:
        self._credentials = credentials
        self._slots = asyncio.Semaphore(concurrency)
        self._heard = False  # anything from the server
        self._told = False  # that nothing is to be heard
        self._connections = Connections()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0, socket_factory=make_socket),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        await self._connections.close()
        await self._session.close()

    async def request(self, call: Call, deadline: float) -> Any:
        """Send a request until it is answered for good, and return the object of the answer.

        Parameters
        ----------
        call : Call
        deadline : float
            Seconds for everything, waiting for a free slot included.

        Raises
        ------
        KubeError
            The answer, or the last failure before the deadline.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline
        for attempt in itertools.count(1):
            try:
                return await self._attempt(call, ends_at, deadline * _ATTEMPT_PART)
            except KubeError as error:
                self._tell(error)
                pause = delay(attempt, error)
                if not error.transient or loop.time() + pause >= ends_at:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError

    def _tell(self, error: KubeError) -> None:
        """Say once that the server cannot be reached at our start; later those say so whom it concerns."""
        if not self._heard and not self._told:
            _log.warning("the API server does not answer yet, asking on: %s", error)
            self._told = True

    async def _attempt(self, call: Call, ends_at: float, limit: float) -> Any:
        try:
            async with asyncio.timeout_at(ends_at), self._slots, asyncio.timeout(limit):
                answer = await self._send(call, self._ask)
        except _CUTS as error:
            raise Unreachable(_explain(call, error)) from error
        return parse(call.what, answer.body)

    @asynccontextmanager
    async def stream(self, call: Call, silence: float) -> AsyncIterator[aiohttp.StreamReader]:
        """Send a request whose answer is read as it comes; it is not tried again.

        Parameters
        ----------
        call : Call
        silence : float
            Seconds without a byte after which the stream counts as cut.

        Raises
        ------
        KubeError
            The answer is an error, or there is none, or it was cut.
        """
        times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=silence)
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT):
                response = await self._send(call, partial(self._open, times))
        except _CUTS as error:
            raise Unreachable(_explain(call, error)) from error
        try:
            async with response:
                yield response.content
        except _CUTS as error:
            raise Cut(_explain(call, error)) from error

    async def _send(self, call: Call, send: Callable[[Call, Access], Awaitable[T]]) -> T:
        """Get a good answer; credentials that are refused are read anew, once."""
        access = await self._credentials.current()
        try:
            return await send(call, access)
        except Unauthorized:
            if not await self._credentials.reload(access):
                raise
        except (ssl.SSLError, aiohttp.ClientSSLError):
            await self._credentials.reload(access)  # the cluster's authority may have been replaced
            raise
        return await send(call, self._credentials.access)

    async def _ask(self, call: Call, access: Access) -> Answer:
        """Get a whole answer."""
        if access.proxy is None:
            answer = await self._connections.ask(
                access, call.method, _target(call), _HEADERS | _headers(call, access), _body(call) or b""
            )
            self._hear()
            return _good(call, answer)
        async with await self._open(self._session.timeout, call, access) as response:
            return Answer(response.status, None, await response.read())

    async def _open(self, times: aiohttp.ClientTimeout, call: Call, access: Access) -> aiohttp.ClientResponse:
        """Get the head of a good answer."""
        response = await self._session.request(
            call.method,
            access.address + call.path,
            params=call.params,
            data=_body(call),
            headers=_headers(call, access),
            ssl=access.tls or True,
            server_hostname=access.server_name,
            proxy=access.proxy,
            allow_redirects=False,
            timeout=times,
        )
        self._hear()
        if response.status >= 300:
            async with response:
                retry_after = response.headers.get("Retry-After")
                _good(call, Answer(response.status, retry_after, await response.read()))
        return response

    def _hear(self) -> None:
        """The server answers, whatever it says."""
        if self._told and not self._heard:
            _log.info("the API server answers")
        self._heard = True


def _headers(call: Call, access: Access) -> dict[str, str]:
    headers = {"Authorization": access.authorization} if access.authorization else {}
    return headers if call.body is None else {**headers, "Content-Type": call.content_type}


def _target(call: Call) -> str:
    """Return path and query; names that others chose end neither."""
    path = quote(call.path, safe=_PLAIN)
    return f"{path}?{urlencode(call.params)}" if call.params else path


def _body(call: Call) -> bytes | None:
    return None if call.body is None else orjson.dumps(call.body)


def _good(call: Call, answer: Answer) -> Answer:
    if answer.status >= 300:
        raise error_from_answer(call.what, answer.status, answer.body, answer.retry_after)
    return answer


def _explain(call: Call, error: Exception) -> str:
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return f"{call.what}: {reason}"
