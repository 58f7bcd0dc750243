"""The connection to one other replica.

A frame holds all that waits for the peer. Knative sends one stat a frame, but its server has always read the
list that `WireStatMessages` is, since its activators report all revisions in one frame. A stat in a large
frame costs sender and receiver together 8 us, in a frame of its own 15.

Source: `knative/serving pkg/autoscaler/statforwarder/processor.go`, `pkg/autoscaler/statserver/server.go`.
"""

import asyncio
import logging
import random
import socket
from collections import Counter

import aiohttp

from kpa.kube.forwarding.outbox import Frame, Outbox
from kpa.runtime.backoff import backoff
from kpa.runtime.outage_logger import OutageLogger

CONNECT_TIMEOUT = 0.5
"""Seconds for each address of a peer."""

_MOST_OF_A_BUCKET = 2**16
"""Bytes of one bucket in a frame: with 10 buckets less than 1 MiB, of the 16 MiB that our server takes."""

_PACE = 0.01
"""Seconds between two frames. The first goes at once, as a revision at zero may wait for it. The pause
gathers the reports of many activators, and slows what two replicas send back and forth while each takes the
other for the holder.
"""

_SILENCE = 10.0
"""Seconds after which a peer that answers no ping is given up (`knative/pkg websocket/connection.go`)."""

_FAREWELL = aiohttp.ClientWSTimeout(ws_close=0.5)
"""Seconds for the peer to answer the close frame."""

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 2.0
"""Seconds before the next attempt: stats are worth something for some seconds only."""

_DELAY_FACTOR, _DELAY_JITTER = 2.0, 0.5
"""All replicas lose a peer at one moment and should not return at one moment."""

_log = logging.getLogger(__name__)


class Peer:
    """Another replica, and the stats queued for it.

    Parameters
    ----------
    identity : str
        `<POD_NAME>_<POD_IP>`.
    url : str
        By the address of the pod.
    outcomes : Counter of str
        Counts stats that were "sent", or "lost" with the connection.

    Attributes
    ----------
    outboxes : dict
        Those of the buckets that it holds, by the URLs of the buckets' Services: the way through a mesh that
        keeps pods from being reached by their addresses.
    wake : Event
        Set it when there is something to send.
    """

    def __init__(self, identity: str, url: str, outcomes: Counter[str]) -> None:
        self.identity = identity
        self.outboxes: dict[str, Outbox] = {}
        self.wake = asyncio.Event()
        self._url = url
        self._outcomes = outcomes
        self._outage = OutageLogger(_log, f"replica {identity}")

    async def run(self) -> None:
        """Keep the connection up and send, until cancelled."""
        loop = asyncio.get_running_loop()
        attempt = 0
        async with aiohttp.ClientSession() as session:
            while True:
                began = loop.time()
                websocket = await self._connect(session)
                if websocket is not None:
                    await self._serve(websocket)
                lasted = websocket is not None and loop.time() - began > _LONGEST_DELAY
                attempt = 0 if lasted else attempt + 1
                await asyncio.sleep(_delay(attempt))

    async def _connect(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse | None:
        """Try the pod's address, then the Service of a bucket that it holds: any will do."""
        reasons = []
        for url in (self._url, random.choice(list(self.outboxes))):
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await session.ws_connect(url, heartbeat=_SILENCE * 2 / 3, timeout=_FAREWELL)
            except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
                reasons.append(f"{url}: {error or 'request timed out'}")
        self._outage.failed("; ".join(reasons))
        return None

    async def _serve(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        """Send until the connection ends; a write alone may never end."""
        _log.info("replica %s: connected; forwarding stats", self.identity)
        _give_up_unread(websocket)
        self._outage.succeeded()
        tasks = [asyncio.create_task(self._send(websocket)), asyncio.create_task(_until_closed(websocket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await websocket.close()

    async def _send(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self.wake.wait()
            frame = self._gather()
            if not frame.stats:
                self.wake.clear()
                continue
            try:
                await websocket.send_bytes(frame.data)
            except BaseException:
                self._outcomes["lost"] += frame.stats
                raise
            self._outcomes["sent"] += frame.stats
            await asyncio.sleep(_PACE)

    def _gather(self) -> Frame:
        """Take a frame from all outboxes."""
        frames = [outbox.take(_MOST_OF_A_BUCKET) for outbox in self.outboxes.values()]
        return Frame(sum(frame.stats for frame in frames), b"".join(frame.data for frame in frames))


async def _until_closed(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the peer closes the connection; it sends nothing else."""
    async for _ in websocket:
        pass


def _give_up_unread(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """Let the system drop what the peer does not read, also after we closed the connection."""
    connection = websocket.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # absent outside Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_SILENCE * 1000))


def _delay(attempt: int) -> float:
    return backoff(
        attempt, first=_FIRST_DELAY, factor=_DELAY_FACTOR, longest=_LONGEST_DELAY, jitter=_DELAY_JITTER
    )
