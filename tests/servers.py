"""Ports that nobody else is given, and servers whose connections follow a script.

No connection, not even one being accepted, outlives its server.
"""

import asyncio
import contextlib
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What to do with a connection, which is closed afterwards. It may be cancelled at any time."""

_ACCEPTING = 5
"""Turns of the event loop from a connection's arrival until its script runs, and one more."""


class Port:
    """A port of this machine at which nobody listens, and which nobody else is given as long as this exists.

    Whoever sets SO_REUSEADDR may listen there, as servers of asyncio, aiohttp and Go do.

    Attributes
    ----------
    number : int
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        weakref.finalize(self, held.close)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        self.number: int = held.getsockname()[1]


class ScriptedServer:
    """A server on this machine.

    Parameters
    ----------
    script : callable (StreamReader, StreamWriter)
    host, port : str, int
        A port of 0 becomes a free one at the first start, and stays its own.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._held: Port | None = None
        self._script = script
        self._server: asyncio.Server | None = None
        self._scripts: set[asyncio.Task[None]] = set()
        self._connections: dict[asyncio.StreamWriter, asyncio.StreamReader] = {}

    @property
    def open(self) -> list[asyncio.StreamWriter]:
        """Connections that neither side has closed."""
        return [
            writer
            for writer, reader in self._connections.items()
            if not writer.is_closing() and not reader.at_eof()
        ]

    async def start(self) -> None:
        """Accept connections."""
        if not self.port:
            self._held = Port(self.host)
            self.port = self._held.number
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=2**20)

    async def stop(self) -> None:
        """Refuse connections from now on, and end all there are."""
        if self._server is not None:
            self._server.close()
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)
        for writer in self._connections:
            writer.transport.abort()
        scripts = list(self._scripts)
        for script in scripts:
            script.cancel()
        await asyncio.gather(*scripts, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = asyncio.current_task()
        assert script is not None
        self._scripts.add(script)
        self._connections[writer] = reader
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._script(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            del self._connections[writer]
            self._scripts.discard(script)


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """Give the port of a server that follows a script."""
    async with ScriptedServer(script) as server:
        yield server.port
