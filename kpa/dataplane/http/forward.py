"""One request to one upstream, and its response back."""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress

from kpa.dataplane.http.exchange import Response, UpstreamConnection, UpstreamFailed
from kpa.dataplane.http.messages import Body, Pair, chunk, head
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.upstream import Upstream

CONTINUE_SECONDS = 1.0
"""Seconds to wait for an upstream's 100 Continue before the body is sent without it (as Go's proxy does)."""

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods that may be sent twice when the first time's fate is unknown.

Source: RFC 9110, 9.2.2.
"""


async def forward(
    request: Request,
    upstream: Upstream,
    *,
    add: Iterable[Pair] = (),
    drop: Collection[bytes] = (),
    respond_by: float | None = None,
    idle: float | None = None,
) -> None:
    """Pass a request on and its response back, both as they come.

    Host, target, fields and bytes stay as they are, except that hop-by-hop fields are left out, the client's
    address is appended to X-Forwarded-For, and X-Forwarded-Host and -Proto are set where they are missing.
    Redirects are passed back. After a response 101 bytes go both ways until one side ends.

    A response that breaks off breaks the client's connection: it never looks complete. An upstream that
    fails before its response is answered with 502. When that happens on a kept-alive connection, which it may
    have been about to close, a method that may be repeated is sent once more on a new one.

    A limit on the whole is the caller's (`asyncio.timeout`); cancelling leaves nothing behind.

    Parameters
    ----------
    request : Request
        Nothing of its body is taken before there is a connection.
    upstream : Upstream
        Where to.
    add : iterable of (name, value)
        Fields to add, instead of those of the same name.
    drop : collection of lower-case names
        Fields to leave out.
    respond_by : float, optional
        Time of the event loop by which the response must have begun.
    idle : float, optional
        Seconds that may pass without anything of the response.

    Raises
    ------
    UpstreamUnreachable
        No connection could be made; the request is untouched and may go elsewhere.
    TimeoutError
        `respond_by` or `idle` has passed.
    """
    start = _request_head(request, add, drop)
    connection = await upstream.acquire()
    try:
        try:
            await _exchange(request, connection, start, respond_by, idle)
        except UpstreamFailed as error:
            if not (connection.reused and _may_repeat(request)):
                request.fail(502, f"upstream {upstream.host}:{upstream.port}: {error}")
                return
            upstream.release(connection)
            connection = await upstream.acquire(fresh=True)
            try:
                await _exchange(request, connection, start, respond_by, idle)
            except UpstreamFailed as again:
                request.fail(502, f"upstream {upstream.host}:{upstream.port}: {again}")
    finally:
        upstream.release(connection)


def _may_repeat(request: Request) -> bool:
    """Whether nothing of the response was passed back, and all of the request is still there."""
    return not request.started and request.method in REPEATABLE and request.body.untouched


def _request_head(request: Request, add: Iterable[Pair], drop: Collection[bytes]) -> bytes:
    headers, body = request.headers, request.body
    extra = [*add]
    own = {name.lower() for name, _ in extra} | {b"content-length", b"x-forwarded-for", *drop}
    pairs = headers.end_to_end(own)
    earlier = headers.get(b"x-forwarded-for")
    peer = request.peer.encode("latin-1")
    pairs.append((b"X-Forwarded-For", earlier + b", " + peer if earlier else peer))
    if b"x-forwarded-host" not in headers:
        pairs.append((b"X-Forwarded-Host", headers.get(b"host")))
    if b"x-forwarded-proto" not in headers:
        pairs.append((b"X-Forwarded-Proto", b"http"))
    if body.length is None:
        pairs.append((b"Transfer-Encoding", b"chunked"))
    elif b"content-length" in headers:
        pairs.append((b"Content-Length", b"%d" % body.length))
    if request.upgrade:
        pairs += [(b"Connection", b"Upgrade"), (b"Upgrade", headers.get(b"upgrade"))]
    return head(b"%b %b HTTP/1.1" % (request.method.encode("latin-1"), request.target), [*pairs, *extra])


async def _exchange(
    request: Request,
    connection: UpstreamConnection,
    start: bytes,
    respond_by: float | None,
    idle: float | None,
) -> None:
    body = request.body
    sender: asyncio.Task[None] | None = None
    if body.ended and body.untouched:
        data = body.peek()
        connection.begin(request.method, start + (chunk(data, last=True) if body.length is None else data))
    else:
        connection.begin(request.method, start)
        sender = asyncio.get_running_loop().create_task(_send_body(request, connection))
    try:
        async with asyncio.timeout_at(respond_by), asyncio.timeout(idle):
            response = await connection.response()
        if response.status == 101 and not request.upgrade:
            raise UpstreamFailed("switched protocols without being asked")
        if response.status == 101:
            await _tunnel(request, connection, response)
        else:
            await _relay(request, response, idle)
    finally:
        if sender is not None and not sender.done():
            connection.transport.abort()  # the rest of the request would be taken for another one
            sender.cancel()
            await asyncio.wait((sender,))


async def _send_body(request: Request, connection: UpstreamConnection) -> None:
    """Pass the request's body on as it comes; an upstream that fails shows in its response."""
    body = request.body
    if request.expects_continue:
        if not await connection.leave_to_send(CONTINUE_SECONDS):
            return
        request.send_continue()
    with suppress(OSError):
        while not body.at_end:
            data = await body.read()
            connection.write(chunk(data, last=body.at_end) if body.length is None else data)
            await connection.drain()


async def _relay(request: Request, response: Response, idle: float | None) -> None:
    body, headers = response.body, response.headers
    pairs = headers.end_to_end((b"content-length",) if not response.bodiless else ())
    request.start(response.status, response.reason, pairs, length=body.length, bodiless=response.bodiless)
    try:
        while not body.at_end:
            if not body.ready:
                request.flush()
            async with asyncio.timeout(idle):
                data = await body.read()
            request.write(data, last=body.at_end)
            await request.drain()
    except UpstreamFailed:
        request.abort()
        return
    request.end()


async def _tunnel(request: Request, connection: UpstreamConnection, response: Response) -> None:
    """Pass bytes both ways until one side ends."""
    fields = [*response.headers.end_to_end(), (b"Connection", b"Upgrade")]
    fields.append((b"Upgrade", response.headers.get(b"upgrade")))
    from_client = request.switch(response.status, response.reason, fields)
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(_pass(from_client, connection)),
        loop.create_task(_pass(response.body, request)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        connection.transport.close()


async def _pass(source: Body, target: Request | UpstreamConnection) -> None:
    with suppress(OSError, UpstreamFailed):
        while data := await source.read():
            target.write(data)
            await target.drain()
