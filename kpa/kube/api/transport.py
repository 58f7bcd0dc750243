"""Requests to one API server: connections, credentials, retries, deadlines.

A write is retried after a cut connection, although the server may have carried out the first attempt. A
replacement then fails with Conflict, a creation with AlreadyExists; repeating a patch of replicas is
harmless.
"""

import asyncio
import itertools
import logging
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from kpa.kube.api.credentials import Credentials, ServerAccess
from kpa.kube.api.errors import Invalid, KubeError, StreamCut, Unreachable, error_from_answer
from kpa.kube.api.json_stream import parse
from kpa.kube.api.request_delay import request_delay
from kpa.runtime.outage_logger import OutageLogger
from kpa.runtime.version import version

_CONNECT_TIMEOUT = 5.0  # seconds

_HEAD_TIMEOUT = 30.0
"""Seconds until the head of a streamed response."""

_ATTEMPT_PART = 0.5
"""Fraction of the deadline for one attempt: a dead connection costs one attempt, not the whole deadline."""

_DEAD_PEER = 30_000
"""Milliseconds that sent bytes may stay unacknowledged; keep-alive probes cover idle connections."""

_HEADERS = {
    "User-Agent": f"kpa/{version()}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # within a cluster bytes cost less than their compression
}

_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._:~-]+)+")
"""Valid paths of objects. Rejects scale target names that escape the API path: users write these names into
PodAutoscalers."""

_log = logging.getLogger(__name__)

_CUTS = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes
    ----------
    what : str
        Verb, resource and name; error messages start with it.
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
        self._answered = False  # the server responded at least once
        self._start = OutageLogger(_log, "API server", works_again="reachable")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0, socket_factory=_make_socket),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        await self._session.close()

    async def request(self, call: Call, deadline: float) -> Any:
        """Send a request, retry it while it fails transiently, and return the object of the response.

        Parameters
        ----------
        call : Call
        deadline : float
            Seconds for all attempts, including the wait for a free slot.

        Raises
        ------
        KubeError
            The error response, or the last failure before the deadline.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline
        for attempt in itertools.count(1):
            try:
                return await self._attempt(call, ends_at, deadline * _ATTEMPT_PART)
            except KubeError as error:
                pause = request_delay(attempt, error)
                if not self._answered:  # later on, the callers log what fails
                    self._start.failed(error, pause)
                if not error.transient or loop.time() + pause >= ends_at:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError

    async def _attempt(self, call: Call, ends_at: float, limit: float) -> Any:
        try:
            async with (
                asyncio.timeout_at(ends_at),
                self._slots,
                asyncio.timeout(limit),
                await self._send(call) as response,
            ):
                body = await response.read()
        except _CUTS as error:
            raise Unreachable(_explain(call, error)) from error
        return parse(call.what, body)

    @asynccontextmanager
    async def stream(self, call: Call, silence: float) -> AsyncIterator[aiohttp.StreamReader]:
        """Send a request whose response is read as it arrives; it is not retried.

        Parameters
        ----------
        call : Call
        silence : float
            Seconds without a byte after which the stream counts as cut.

        Raises
        ------
        KubeError
            The response is an error, is missing, or was cut.
        """
        times = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=silence)
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT):
                response = await self._send(call, times)
        except _CUTS as error:
            raise Unreachable(_explain(call, error)) from error
        try:
            async with response:
                yield response.content
        except _CUTS as error:
            raise StreamCut(_explain(call, error)) from error

    async def _send(self, call: Call, times: aiohttp.ClientTimeout | None = None) -> aiohttp.ClientResponse:
        """Return the head of a successful response; reload credentials once if they are refused."""
        access = await self._credentials.current()
        response = await self._send_as(access, call, times)
        self._start.succeeded()
        self._answered = True
        if response.status == 401 and await self._credentials.reload(access):
            response.release()
            response = await self._send_as(self._credentials.access, call, times)
        if response.status >= 300:
            async with response:
                body, retry_after = await response.read(), response.headers.get("Retry-After")
            raise error_from_answer(call.what, response.status, body, retry_after)
        return response

    async def _send_as(
        self, access: ServerAccess, call: Call, times: aiohttp.ClientTimeout | None
    ) -> aiohttp.ClientResponse:
        if not _PATH.fullmatch(call.path):
            raise Invalid(f"{call.what}: {call.path!r} is not the path of an object")
        headers = {"Authorization": access.authorization} if access.authorization else {}
        data = None
        if call.body is not None:
            data = orjson.dumps(call.body)
            headers["Content-Type"] = call.content_type
        try:
            return await self._session.request(
                call.method,
                access.address + call.path,
                params=call.params,
                data=data,
                headers=headers,
                ssl=access.tls or True,
                server_hostname=access.server_name,
                proxy=access.proxy,
                allow_redirects=False,
                timeout=times or self._session.timeout,
            )
        except aiohttp.ClientSSLError:
            await self._credentials.reload(access)  # the cluster's CA may have been replaced
            raise


def _explain(call: Call, error: Exception) -> str:
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return f"{call.what}: {reason}"


def _make_socket(address: Any) -> socket.socket:
    """Open a socket that detects a dead peer within half a minute, so that watches do not hang."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 15),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _DEAD_PEER),
    ):
        if hasattr(socket, name):  # absent outside Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
