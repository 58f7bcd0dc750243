"""The fleet as pages see it: all rows once, then those that changed, as server-sent events.

One look at the fleet serves all pages, and is taken only while there are some. A page that reads too slowly
misses looks, and gets all rows again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from kpa.revisions import Key
from kpa.status import RevisionStatus

INTERVAL = 2.0
"""Seconds between two looks."""

COLUMNS = (
    "namespace", "name", "service", "mode", "activity", "rule", "metric", "wanted", "replicas", "ready",
    "not_ready", "stable", "panic", "target", "desired", "min_scale", "max_scale", "next", "next_at",
)  # fmt: skip

Row = tuple[Any, ...]

_log = logging.getLogger(__name__)


def row_of(status: RevisionStatus) -> Row:
    """Return the values of `COLUMNS`; loads have four digits, so that noise is no change."""
    event = status.next_event
    return (
        status.key.namespace, status.key.name, status.service, status.mode, status.activity, str(status.rule),
        status.metric, status.wanted, status.replicas, status.ready, status.not_ready, _short(status.stable),
        _short(status.panic), _short(status.target), status.desired, status.min_scale, status.max_scale,
        event.what if event else None, round(event.at, 1) if event else None,
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
        self._rows: dict[Key, Row] = {}
        self._number = 0
        self._change = b""
        self._looked = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._pages: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/stream` until the page goes."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        page = asyncio.create_task(self._send(response))
        self._pages.add(page)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            await asyncio.wait([page])
        finally:
            page.cancel()
            self._pages.discard(page)
            if not self._pages and self._looking is not None:
                self._looking.cancel()
                self._looking = None
        return response

    def end(self) -> None:
        """End all streams."""
        for page in self._pages:
            page.cancel()

    async def _send(self, response: web.StreamResponse) -> None:
        sent = None
        with contextlib.suppress(ConnectionError):
            while True:
                looked, number = self._looked, self._number
                if number and sent != number:
                    text = self._change if sent == number - 1 else await self._everything()
                    sent = number
                    await response.write(text)
                else:
                    await looked.wait()

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

    async def _everything(self) -> bytes:
        rows, now, profile = list(self._rows.values()), time.time(), self._profile()
        document = {"time": now, "profile": profile, "columns": COLUMNS, "rows": rows}
        text: bytes = await self._in_thread(partial(_event, "fleet", document))
        return text


def _changes(
    statuses: Sequence[RevisionStatus], before: dict[Key, Row], now: float, profile: str
) -> tuple[dict[Key, Row], bytes]:
    rows = {status.key: row_of(status) for status in statuses}
    changed = [row for key, row in rows.items() if before.get(key) != row]
    gone = [key for key in before if key not in rows]
    return rows, _event("change", {"time": now, "profile": profile, "rows": changed, "gone": gone})


def _event(name: str, document: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"


def _short(load: float | None) -> float | None:
    return None if load is None else float(f"{load:.4g}")
