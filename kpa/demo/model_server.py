"""A sample model: slow to load, busy for a while with each request; `python -m kpa.demo.model_server`.

It stands in for an inference server in the demonstration and in tests of replicas. It imports only the
standard library and an HTTP parser, so a process of it costs 20 MB and starts in a tenth of a second.

Environment: `PORT` (8080), `LOAD_SECONDS` (0; nothing listens until the model is loaded), `SERVICE_SECONDS`
(0; of a request without `sleep`), `BATCH_SIZE` (0, unlimited; requests served at once, the others wait).

Query of any path, as of Knative's autoscale-go sample: `sleep` (ms), `prime` (the largest prime below),
`bloat` (MB of memory held meanwhile); and `tokens` with `rate` (a second): after the service time that many
server-sent events. `/healthz` answers at once. A bad value is answered 400 with the reason.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

import httptools

from kpa.demo.work import Work, WorkSettings, largest_prime_below, read_settings, read_work

LOADED_AT = "Model-Loaded-At"
"""Header of every answer: the unix time at which this replica was ready to work."""

DRAIN_SECONDS = 30.0
"""Seconds given to requests in flight after SIGTERM; Kubernetes kills after 30."""


class ModelRequest(NamedTuple):
    """A request whose body has been read and dropped."""

    method: str
    target: bytes
    keep_alive: bool
    version: str


class _Requests:
    """The requests of one connection, in order; httptools calls the `on_` methods."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = httptools.HttpRequestParser(self)
        self._complete: deque[ModelRequest] = deque()
        self._target = b""

    def on_message_begin(self) -> None:
        self._target = b""

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect" and value.lower() == b"100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_message_complete(self) -> None:
        parser = self._parser
        method = parser.get_method().decode()
        self._complete.append(
            ModelRequest(method, self._target, parser.should_keep_alive(), parser.get_http_version())
        )

    async def next(self) -> ModelRequest | None:
        """Return the next request, None when the client has closed; `HttpParserError` when it is no HTTP."""
        while not self._complete:
            data = await self._reader.read(65536)
            if not data:
                return None
            self._parser.feed_data(data)
        return self._complete.popleft()


class ModelServer:
    """The model once it is loaded."""

    def __init__(self, settings: WorkSettings) -> None:
        self._settings = settings
        self._batch = asyncio.Semaphore(settings.batch or sys.maxsize)
        self._loaded_at = f"{LOADED_AT}: {time.time():.3f}\r\n"
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until one side closes."""
        requests = _Requests(reader, writer)
        try:
            while (request := await requests.next()) is not None:
                await self._answer(request, writer)
                if writer.is_closing() or not request.keep_alive:
                    break
        except httptools.HttpParserError as error:
            writer.write(self._reply("400 Bad ModelRequest", f"not HTTP: {error}"))
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def drain(self) -> None:
        """Return once no request is in flight, after `DRAIN_SECONDS` in any case."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            print(f"model server: {self._in_flight} requests cut off", file=sys.stderr)

    async def _answer(self, request: ModelRequest, writer: asyncio.StreamWriter) -> None:
        self._in_flight += 1
        self._idle.clear()
        try:
            await self._respond(request, writer)
            await writer.drain()
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _respond(self, request: ModelRequest, writer: asyncio.StreamWriter) -> None:
        path, _, query = request.target.decode("latin-1").partition("?")
        if request.method not in ("GET", "POST"):
            text = "" if request.method == "HEAD" else f"{request.method} is not served; GET and POST are"
            writer.write(self._reply("405 Method Not Allowed", text))
        elif path == "/healthz":
            writer.write(self._reply("200 OK", "ok"))
        else:
            try:
                work = read_work(query, self._settings.service)
            except ValueError as error:
                writer.write(self._reply("400 Bad ModelRequest", str(error)))
            else:
                await self._work(work, request, writer)

    async def _work(self, work: Work, request: ModelRequest, writer: asyncio.StreamWriter) -> None:
        async with self._batch:
            memory = bytearray(b"x") * (work.bloat << 20)  # written to, so that it is resident
            found, _ = await asyncio.gather(_prime(work.prime), asyncio.sleep(work.sleep))
            if work.tokens:
                await self._stream(work, request, writer)
                return
        report = [f"held {work.bloat} MB of memory"] if memory else []
        report += [f"the largest prime below {work.prime} is {found}"] if work.prime else []
        report += [f"worked for {work.sleep * 1000:g} ms"] if work.sleep else []
        writer.write(self._reply("200 OK", "\n".join(report) or "done"))

    async def _stream(self, work: Work, request: ModelRequest, writer: asyncio.StreamWriter) -> None:
        chunked = request.version == "1.1"
        coding = "Transfer-Encoding: chunked" if chunked else "Connection: close"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{coding}\r\n{self._loaded_at}\r\n"
        writer.write(head.encode())
        async for number in _paced(work.tokens, work.rate):
            event = f"data: token {number}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        else:
            writer.close()

    def _reply(self, status: str, text: str) -> bytes:
        body = f"{text}\n".encode() if text else b""
        kind = "Content-Type: text/plain; charset=utf-8"
        head = f"HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {len(body)}\r\n{self._loaded_at}\r\n"
        return head.encode() + body


async def _prime(limit: int) -> int:
    return await asyncio.to_thread(largest_prime_below, limit) if limit else 0


async def _paced(count: int, rate: float) -> AsyncIterator[int]:
    """Count from 1 at a rate a second; a late number does not delay the ones after it."""
    clock = asyncio.get_running_loop().time
    started = clock()
    for number in range(1, count + 1):
        yield number
        await asyncio.sleep(max(0.0, started + number / rate - clock()))


async def serve(settings: WorkSettings) -> None:
    """Load, listen on 127.0.0.1, work until SIGTERM or SIGINT, finish what is in flight."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with asyncio.timeout(settings.load):
            await stop.wait()
        return
    except TimeoutError:
        pass
    model = ModelServer(settings)
    server = await asyncio.start_server(model.connected, "127.0.0.1", settings.port, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"model server: loaded in {settings.load:g} s, listening on 127.0.0.1:{port}", flush=True)
    await stop.wait()
    server.close()
    await model.drain()


def main() -> int:
    """Run the server with the settings of the environment; 2 when they are wrong."""
    try:
        settings = read_settings(os.environ)
        asyncio.run(serve(settings))
    except (ValueError, OSError) as error:
        print(f"model server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
