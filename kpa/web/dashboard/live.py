"""The fleet as pages see it: all rows once, then those that changed, as server-sent events.

One look at the fleet serves all pages, and is taken only while there are some. A page that reads too slowly
misses looks, and gets all rows again; one that does not read at all is given up.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from kpa.controller.status import RevisionStatus
from kpa.web.api.streams import Streams
from metrics.key import Key

INTERVAL = 2.0
"""Seconds between two looks."""

PATIENCE = 30.0
"""Seconds in which a page must take in an event: minutes of silence from a closed laptop cost us looks."""

COLUMNS = (
    "namespace", "name", "service", "mode", "activity", "rule", "metric", "requested", "replicas", "ready",
    "stable", "target", "next", "next_at",
)  # fmt: skip

Row = tuple[Any, ...]

_log = logging.getLogger(__name__)


def row_of(status: RevisionStatus) -> Row:
    """Return the values of `COLUMNS`; loads have four digits, so that noise is no change."""
    event = status.next_event
    return (
        status.key.namespace, status.key.name, status.service, status.mode, status.activity, str(status.rule),
        status.metric, status.requested, status.replicas, status.ready, _short(status.stable),
        _short(status.target), event.what if event else None, round(event.at, 1) if event else None,
    )  # fmt: skip


class Live:
    """Serves the stream.

    Parameters
    ----------
    read : coroutine function
        Gives the status of all revisions.
    in_thread : coroutine function
        Runs what takes long beside the event loop.
    profile : callable
        Names the profile of the configuration in force.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Sequence[RevisionStatus]]],
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        profile: Callable[[], str],
    ) -> None:
        self._read = read
        self._in_thread = in_thread
        self._profile = profile
        self._streams = Streams()
        self.end = self._streams.end
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._rows: dict[Key, Row] = {}
        self._number = 0  # of the looks
        self._change = b""
        self._whole = (0, b"")  # all rows as an event, and the number of their look
        self._whole_lock = asyncio.Lock()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/stream` until the page goes."""
        try:
            return await self._streams.serve(request, "text/event-stream", partial(self._send, request))
        finally:
            if not self._streams:
                self._stop_looking()

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again_and_again())
        sent = None
        while True:
            looked, number = self._looked, self._number
            if sent == number or not number:
                await looked.wait()
                continue
            if sent == number - 1:
                text = self._change
            else:
                number, text = await self._everything()
            sent = number
            if not await _taken_in(request, response, text):
                return

    async def _look_again_and_again(self) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._look()
            except Exception:  # one look that fails must not end them all
                _log.exception("the dashboard could not look at the fleet")
            await asyncio.sleep(max(0.1, started + INTERVAL - time.monotonic()))

    async def _look(self) -> None:
        statuses = await self._read()
        work = partial(_changes, statuses, self._rows, time.time(), self._profile())
        self._rows, self._change = await self._in_thread(work)
        self._number += 1
        self._looked.set()
        self._looked = asyncio.Event()

    async def _everything(self) -> tuple[int, bytes]:
        """Return all rows as an event, written once for all who need it, and the number of their look."""
        async with self._whole_lock:
            number = self._number
            if self._whole[0] != number:
                rows, now, profile = list(self._rows.values()), time.time(), self._profile()
                document = {"time": now, "profile": profile, "columns": COLUMNS, "rows": rows}
                self._whole = (number, await self._in_thread(partial(_event, "fleet", document)))
            return self._whole

    def _stop_looking(self) -> None:
        """Keep no rows while nobody looks on: the next page must not see old ones."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._rows, self._number, self._change, self._whole = {}, 0, b"", (0, b"")


async def _taken_in(request: web.Request, response: web.StreamResponse, text: bytes) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await response.write(text)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        return False
    return True


def _changes(
    statuses: Sequence[RevisionStatus], before: dict[Key, Row], now: float, profile: str
) -> tuple[dict[Key, Row], bytes]:
    rows = {status.key: row_of(status) for status in statuses}
    changed = [row for key, row in rows.items() if before.get(key) != row]
    gone = [tuple(key) for key in before if key not in rows]
    return rows, _event("change", {"time": now, "profile": profile, "rows": changed, "gone": gone})


def _event(name: str, document: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"


def _short(load: float | None) -> float | None:
    return None if load is None else float(f"{load:.4g}")
