"""The last hour of revisions as JSON: what their charts and sparklines are drawn from."""

import asyncio
import time
from collections.abc import Callable, Mapping

import numpy as np
import orjson
from aiohttp import web
from numpy.typing import NDArray

from kpa.runtime.time_budget import LENGTH, TimeBudget
from metrics.key import Key
from scaler.engine.history import Samples

Past = Callable[[Key], Samples | None]

MINUTES = 60
"""Points of a sparkline, one a minute."""

MOST = 200
"""Sparklines in one answer; no page shows more rows at a time."""


class Charts:
    """Answers requests for the past of revisions.

    Parameters
    ----------
    past : callable (key)
        Gives the last hour of a revision; None if there is no such revision.
    """

    def __init__(self, past: Past) -> None:
        self._past = past

    async def history(self, request: web.Request) -> web.Response:
        """Answer `GET /api/revisions/NAMESPACE/NAME/history`: a list for each field of `Samples`."""
        key = Key(request.match_info["namespace"], request.match_info["name"])
        samples = self._past(key)
        if samples is None:
            return web.json_response({"error": f"no revision {key}"}, status=404)
        return _json({name: np.ascontiguousarray(column) for name, column in samples._asdict().items()})

    async def sparklines(self, request: web.Request) -> web.Response:
        """Answer `GET /api/sparklines?of=NAMESPACE/NAME&of=...`: the largest load of each of 60 minutes.

        The present minute is the last one; null is one without data. Revisions that are gone are left out.
        """
        names = request.query.getall("of", [])
        if len(names) > MOST:
            error = f"{len(names)} revisions are asked for, at most {MOST} are answered at once"
            return web.json_response({"error": error}, status=400)
        lines, now, budget = {}, time.time(), TimeBudget(LENGTH)
        for name in names:
            namespace, _, last = name.partition("/")
            samples = self._past(Key(namespace, last))
            if samples is not None:
                lines[name] = sparkline(samples, now)
            if budget.over:
                await asyncio.sleep(0)
                budget = TimeBudget(LENGTH)
        return _json(lines)


def sparkline(samples: Samples, now: float) -> NDArray[np.float32]:
    """Return the largest load of each of the last minutes.

    Parameters
    ----------
    samples : Samples
    now : float
        Unix seconds; its minute is the last one.

    Returns
    -------
    ndarray, shape (MINUTES,), float32
        Requests in flight, or requests a second; NaN for a minute without data.
    """
    line = np.full(MINUTES, np.nan, np.float32)
    places = MINUTES - 1 - (now // 60 - samples.at // 60).astype(np.intp)
    shown = (places >= 0) & (places < MINUTES)
    np.fmax.at(line, places[shown], np.fmax(samples.stable, samples.panic)[shown])
    return line


def _json(document: Mapping[str, object]) -> web.Response:
    body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return web.Response(body=body, content_type="application/json")
