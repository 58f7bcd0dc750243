"""The last hour of revisions as JSON: what their charts and sparklines are drawn from."""

from collections.abc import Callable, Mapping

import numpy as np
import orjson
from aiohttp import web

from kpa.revisions import Key
from scaler.history import Samples

Past = Callable[[Key], Samples | None]

_POINTS = 60
"""Of a sparkline."""

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
        """Answer `GET /api/sparklines?of=NAMESPACE/NAME&of=...`: the loads of some revisions, oldest first.

        Revisions that are gone are left out.
        """
        names = request.query.getall("of", [])
        if len(names) > MOST:
            error = f"{len(names)} revisions are asked for, at most {MOST} are answered at once"
            return web.json_response({"error": error}, status=400)
        lines = {}
        for name in names:
            namespace, _, last = name.partition("/")
            samples = self._past(Key(namespace, last))
            if samples is not None:
                lines[name] = _thinned(samples)
        return _json(lines)


def _thinned(samples: Samples) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Return the largest load of each few samples."""
    step = max(1, -(-len(samples.stable) // _POINTS))
    starts = np.arange(0, len(samples.stable), step)
    loads = np.fmax(samples.stable, samples.panic)
    return np.fmax.reduceat(loads, starts) if len(starts) else loads


def _json(document: Mapping[str, object]) -> web.Response:
    body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return web.Response(body=body, content_type="application/json")
