"""The way of an activator's load to the autoscaler: one websocket, one binary frame a second."""

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp

from kpa.dataplane.activator.load import RequestLoad
from kpa.dataplane.activator.reconnect import reconnect_delay
from kpa.runtime.outage_logger import OutageLogger
from metrics.key import Key
from metrics.stat import StatMessage, encode_messages

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between reports (knative/serving pkg/activator/handler/concurrency_reporter.go)
PHASE = 0.75
"""Part of each wall-clock second at which a report is cut.

The receiver adds up what arrives within one of its seconds. At a phase of its own a report that is a little
late would leave one second empty and fill the next twice; and the later in a second, the more of the
announcements are taken out of the very second that they were counted in. The peer's phase is where its
process happened to start.
"""
HANDSHAKE_TIMEOUT = 3.0  # seconds (knative/pkg websocket/connection.go)
SILENCE = 10.0
"""Seconds after which a peer that answers no ping is given up (knative/pkg `websocket/connection.go`)."""

Outbox = asyncio.Queue[tuple[float, list[StatMessage]]]


class Reporter:
    """Counts the requests of all revisions and reports them to the autoscaler while it is connected.

    A stat is worth something only in its own second: the receiver stamps it on arrival, so one that comes
    late would count as load of a time that had none. Hence nothing is kept for an autoscaler that is away.
    Once it is back, the requests in flight at that moment are announced at once, and the log says for how
    long nothing was reported.

    Parameters
    ----------
    url : str
        The autoscaler's stat server, `ws://host:port`.
    load : RequestLoad
        What is reported.
    on_change : Callable[[bool], None]
        Called when the connection is up (True) or lost (False).

    Notes
    -----
    Source: `knative/serving pkg/activator/stat_reporter.go`. Different from it, frames leave in order, and a
    report carries the second in which it is due: one that is late by a busy machine does not add to the load
    of the next second, where twice the load would ask for twice the pods. Announcements carry none.
    """

    def __init__(self, url: str, load: RequestLoad, on_change: Callable[[bool], None]) -> None:
        self._url = url
        self._load = load
        self._on_change = on_change
        self._outbox: Outbox | None = None
        self._lost_at = 0.0
        self._outage = OutageLogger(log, "autoscaler", "unreachable, load is not reported")

    @property
    def connected(self) -> bool:
        """The autoscaler listens."""
        return self._outbox is not None

    def arrived(self, key: Key) -> None:
        """A request of this revision has come; the first one to an idle revision is reported at once."""
        now = asyncio.get_running_loop().time()
        message = self._load.arrived(key, now)
        if message is not None and self._outbox is not None:
            self._outbox.put_nowait((now, [message]))

    def left(self, key: Key) -> None:
        """A request of this revision is done."""
        self._load.left(key, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        attempt = 0
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    await self._connection(session)
                    attempt, reason = 0, "it closed the connection"
                except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
                    attempt, reason = attempt + 1, str(error) or type(error).__name__
                pause = reconnect_delay(attempt)
                self._lost(reason, pause)
                await asyncio.sleep(pause)

    async def _connection(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            websocket = await session.ws_connect(self._url, heartbeat=SILENCE * 2 / 3, autoclose=True)
        async with websocket:
            outbox = self._outbox = Outbox()
            self._back(outbox)
            tasks = [asyncio.create_task(self._cut(outbox)), asyncio.create_task(_send(outbox, websocket))]
            try:
                async for _ in websocket:  # the autoscaler says nothing; this ends when it goes
                    pass
            finally:
                self._outbox = None
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._on_change(False)

    async def _cut(self, outbox: Outbox) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wall = time.time()
            due = wall + _until_report(wall)
            await asyncio.sleep(due - wall)
            messages = [_stamped(message, int(due)) for message in self._load.report(loop.time())]
            if messages:
                outbox.put_nowait((loop.time(), messages))

    def _back(self, outbox: Outbox) -> None:
        now = asyncio.get_running_loop().time()
        self._outage.succeeded({"unreported_seconds": now - self._lost_at})
        messages = self._load.resume(now)
        if messages:
            outbox.put_nowait((now, messages))
        self._on_change(True)

    def _lost(self, reason: str, retry_in: float) -> None:
        if not self._outage.lasts:
            self._lost_at = asyncio.get_running_loop().time()
        self._outage.failed(reason, retry_in, {"url": self._url})


def _until_report(wall: float) -> float:
    """Seconds until the next report; one that is due within 0.1 s has been cut just now, a little early."""
    wait = (PHASE - wall) % INTERVAL
    return wait if wait > 0.1 * INTERVAL else wait + INTERVAL


def _stamped(message: StatMessage, second: int) -> StatMessage:
    return message._replace(stat=message.stat._replace(timestamp=second))


async def _send(outbox: Outbox, websocket: aiohttp.ClientWebSocketResponse) -> None:
    """Send what is fresh; a peer that reads too slowly gets the newest load instead of all of it, late."""
    loop = asyncio.get_running_loop()
    while True:
        since, messages = await outbox.get()
        if loop.time() - since > INTERVAL:
            log.warning(
                "autoscaler reads too slowly, stats dropped", extra={"fields": {"stats": len(messages)}}
            )
            continue
        try:
            await websocket.send_bytes(encode_messages(messages))
        except (aiohttp.ClientError, OSError):
            await websocket.close()  # ends the connection's loop, which connects again
            return
