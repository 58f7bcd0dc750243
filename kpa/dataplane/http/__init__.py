"""HTTP/1.1 passed through: the part that queue-proxy and activator share.

Here: clients' side (`server`, `connection`, `reader`, `request`), servers' side (`upstream`, `exchange`),
`forward` (one request on, its response back), `breaker` (bounded concurrency behind a bounded queue).

Never: routes, revisions, what is counted; those belong to the process that forwards.

The parser is httptools and nothing else is imported but asyncio: a queue-proxy starts while its first request
waits, and to import aiohttp alone takes twice as long as all of that. Bodies are streamed both ways with
bounded memory, every piece is passed on as it arrives, an upgraded connection (websockets) becomes a tunnel.

Example:
-------
A server of one route::

    from kpa.dataplane.http.breaker import Breaker, QueueFull
    from kpa.dataplane.http.forward import forward
    from kpa.dataplane.http.request import Request
    from kpa.dataplane.http.server import Server
    from kpa.dataplane.http.upstream import Upstream, UpstreamUnreachable, fetch

    pool = Upstream("127.0.0.1", 31001)

    async def handle(request: Request) -> None:      # one call, in its own task, per request
        if request.header("user-agent").startswith("kube-probe/"):   # "" when absent, names in lower case
            return request.respond(200, b"queue")
        try:
            async with asyncio.timeout(300), breaker:                # QueueFull when the queue is full
                await forward(request, pool, add=[(b"K-Proxy-Request", b"activator")])
        except UpstreamUnreachable as error:         # nothing was sent, nothing of the body is consumed:
            request.fail(502, str(error))            #   another upstream may be tried with the same request
        except TimeoutError:
            request.fail(504, "request timeout")     # aborts the connection if the response has begun

    server = Server(handle)
    port = await server.start("127.0.0.1", 8080)     # 0 = any free port
    ...
    await server.close(grace=60.0)                   # no new connections, in-flight requests finish

A client that goes away cancels its handler's task. `forward` answers 502 itself when the upstream fails after
the connection was made. `await fetch(host, port, path, headers, seconds=0.3)` is a small GET for probes.
"""
