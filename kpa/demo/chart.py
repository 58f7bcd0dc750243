"""Small charts of characters, a column a second, for the live view."""

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from kpa.demo.history import Sample

EIGHTHS = " ▁▂▃▄▅▆▇█"
READY, ASKED, ZERO, PANIC = "█", "░", "▁", "■"


def replica_rows(samples: Sequence[Sample | None], height: int) -> list[Text]:
    """Draw replicas as columns, top row first: ready ones solid, requested ones that are not ready hatched.

    A second at zero replicas shows a low line, a second without a sample nothing.
    """
    return [_replica_row(samples, level) for level in range(height, 0, -1)]


def _replica_row(samples: Sequence[Sample | None], level: int) -> Text:
    row = Text()
    for (symbol, style), run in groupby(_replica_cell(sample, level) for sample in samples):
        row.append(symbol * len(list(run)), style)
    return row


def _replica_cell(sample: Sample | None, level: int) -> tuple[str, str]:
    if sample is None:
        return " ", ""
    if sample.ready >= level:
        return READY, "green"
    if sample.requested >= level:
        return ASKED, "yellow"
    return (ZERO, "dim") if level == 1 else (" ", "")


def panic_row(samples: Sequence[Sample | None]) -> Text:
    """Mark the seconds in panic mode."""
    return Text("".join(PANIC if sample and sample.mode == "panic" else " " for sample in samples), "red")


def spark(values: Sequence[float], style: str, height: int = 1) -> list[Text]:
    """Draw values as columns in eighths of a character, top row first; the largest one fills the height.

    Any value above zero shows, were it a hundredth of the largest.

    Examples
    --------
    >>> str(spark([0, 1, 2, 4], "cyan")[0])
    ' ▂▄█'
    """
    top = max([*values, 1e-9])
    steps = [max(value > 0, round(value / top * 8 * height)) for value in values]
    return [
        Text("".join(EIGHTHS[min(8, max(0, step - 8 * row))] for step in steps), style)
        for row in range(height - 1, -1, -1)
    ]


def arrivals(samples: Sequence[Sample | None]) -> list[int]:
    """Count the arrivals of each second from the running totals of its samples."""
    counts, before = [], None
    for sample in samples:
        counts.append(sample.sent - before if sample and before is not None else 0)
        before = sample.sent if sample else before
    return counts
