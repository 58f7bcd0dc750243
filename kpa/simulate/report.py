"""The numbers of a simulation as a table for people and as JSON for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from kpa.simulate.results import Percentiles, Results, Summary


def table(summaries: Mapping[str, Summary], price: float | None) -> Table:
    """Lay out a column a simulation.

    Parameters
    ----------
    summaries : Mapping
        By heading.
    price : float or None
        Of a replica-minute.
    """
    grid = Table(box=None, pad_edge=False, show_header=len(summaries) > 1)
    grid.add_column("")
    for heading in summaries:
        grid.add_column(heading, justify="right")
    for name, texts in rows(list(summaries.values()), price):
        grid.add_row(name, *texts)
    return grid


def rows(summaries: Sequence[Summary], price: float | None) -> list[tuple[str, list[str]]]:
    """Return what a table says: a name, and a text a simulation."""
    lines: list[tuple[str, list[str]]] = [
        ("simulated", [_span(one.length) for one in summaries]),
        ("requests", [f"{one.requests}" for one in summaries]),
        ("answered", [f"{one.answered}" for one in summaries]),
        ("rejected (503)", [f"{one.rejected}" for one in summaries]),
        ("timed out (504)", [f"{one.timed_out}" for one in summaries]),
        ("in flight at the end", [f"{one.in_flight}" for one in summaries]),
        ("cold starts", [f"{one.cold_starts}" for one in summaries]),
        ("queue time p50 / p95 / p99", [_three(one.queue) for one in summaries]),
        ("latency p50 / p95 / p99", [_three(one.latency) for one in summaries]),
        ("replicas ready, mean / most", [f"{one.mean_ready:.2f} / {one.most_ready}" for one in summaries]),
        ("replica-minutes", [f"{one.replica_minutes:.1f}" for one in summaries]),
        ("time in panic", [_span(one.panic_seconds) for one in summaries]),
        ("scale actions", [f"{one.scalings}" for one in summaries]),
    ]
    if price is not None:
        lines.insert(11, ("price", [f"{one.replica_minutes * price:.2f}" for one in summaries]))
    return lines


def document(results: Results, price: float | None, assumptions: Mapping[str, str]) -> str:
    """Write everything as JSON: numbers, states over time, and what was assumed; nan becomes null."""
    numbers = results.summary()
    texts: dict[str, Any] = {"assumptions": dict(assumptions), "summary": _plain(numbers)}
    if price is not None:
        texts["summary"]["price"] = numbers.replica_minutes * price
    texts["states"] = [_plain(state) for state in results.states]
    return json.dumps(texts, indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return (
        {name: _plain(part) for name, part in value._asdict().items()} if hasattr(value, "_asdict") else value
    )


def _three(values: Percentiles) -> str:
    return " / ".join("-" if math.isnan(value) else f"{value:.3g}" for value in values) + " s"


def _span(seconds: float) -> str:
    """Write seconds for people: 58m22s.

    Examples
    --------
    >>> _span(3502.4), _span(42)
    ('58m22s', '42s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
