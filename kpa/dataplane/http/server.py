"""Listening for clients, and ending without losing what is in flight."""

import asyncio
from collections.abc import Callable

from kpa.dataplane.http.connection import Clients, Handler, ServerConnection


class ProxyServer:
    """Listens, and hands each request to a handler.

    Parameters
    ----------
    handler : Handler
        An exception in it is logged and answered with 500.
    """

    def __init__(self, handler: Handler) -> None:
        self._clients = Clients(handler)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port, which matters when 0 asks for any free one.

        Raises
        ------
        OSError
            The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ServerConnection(self._clients), host, port, backlog=1024
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_keeping_alive(self) -> None:
        """Close each connection after its current request: clients go elsewhere. New ones are still taken."""
        self._clients.draining = True

    async def close(self, grace: float | None = 0.0, tunnel_grace: float = 0.0) -> None:
        """Take no more connections, let requests finish, then break what is left.

        Parameters
        ----------
        grace : float or None
            Seconds for requests in flight; None is without limit.
        tunnel_grace : float
            Seconds for upgraded connections after that.
        """
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.stop_keeping_alive()
        for connection in tuple(self._clients.connections):
            connection.close_if_idle()
        await self._end(lambda connection: not connection.tunnelled, grace)
        await self._end(lambda connection: True, tunnel_grace)

    async def _end(self, which: Callable[[ServerConnection], bool], seconds: float | None) -> None:
        """Wait for some connections to end, then break those that have not."""
        clients = self._clients
        try:
            async with asyncio.timeout(seconds):
                while any(which(connection) for connection in clients.connections):
                    clients.changed.clear()
                    await clients.changed.wait()
        except TimeoutError:
            late = [connection for connection in clients.connections if which(connection)]
            tasks = [connection.task for connection in late if connection.task is not None]
            for connection in late:
                connection.abort()
            if tasks:
                await asyncio.wait(tasks)
