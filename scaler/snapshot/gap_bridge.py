"""From what is saved to what is reported again: the seconds between.

A process that takes a revision over knows its load up to some second, and hears of it again a few seconds
later. Read as no load, the seconds between would be a falling load:

    saved until 09, taken over in 14; panic window 6 s; F is fresh, h is held, + is the larger of both
    second   05 06 07 08 09 | 10 11 12 13  14 15 16 | 17 18
    counts   F  F  F  F  F  | h  h  h  h   +  +  +  | F  F

Held is the mean of the last six known seconds, or of a shorter panic window, as one alone may be noise. It
is a lower bound for the second of the takeover, of which others may have heard a part, and for two more, in
which activators connect again: who reports more in them is believed. What reports say of earlier seconds is
known already.

A longer gap than the panic window is left out, as if time had stood still, for nobody knows what was in it;
then no scale-down is to happen for a stable window. Of a gap beyond the stable window nothing but the memory
of the scale-down delay is worth anything.

This is for restarts what `missing-stats: hold` is for scrapes (`metrics.sampling.gap_filling`). Knative
begins with empty windows.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from metrics.windows.history import NEVER, WindowHistory
from metrics.windows.windows import KNOWN_AT, ColumnHistory
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.rules.bounds import UNKNOWN
from scaler.rules.panic import NOT_PANICKING

_SETTLING = 2
"""Seconds after a takeover within which activators have connected again: Knative's first tries are 0.1 s
apart."""

_RECENT = 6
"""Seconds whose mean is held, Knative's default panic window."""

_REMEMBERED = 5
"""Seconds back from the end of a bridge whose values are kept, to compare late reports with."""


@dataclass(slots=True)
class GapBridge:
    """The seconds of one revision around a takeover, in which reports count only as far as they say more.

    Attributes
    ----------
    until : int
        The last of these seconds (unix).
    """

    until: int
    _known: dict[int, tuple[float, float]]
    _fresh: dict[int, tuple[float, float]] = field(default_factory=dict)

    def beyond(self, second: int, concurrency: float, requests: float) -> tuple[float, float]:
        """Return what a report adds to what is known of its second.

        Examples
        --------
        >>> bridge = GapBridge(1000, {1000: (6.0, 2.0)})
        >>> bridge.beyond(1000, 5.0, 1.0), bridge.beyond(1000, 3.0, 1.0), bridge.beyond(1001, 5.0, 1.0)
        ((0.0, 0.0), (2.0, 0.0), (5.0, 1.0))
        """
        if second > self.until:
            return concurrency, requests
        known = self._known.get(second)
        if known is None:
            return 0.0, 0.0
        before = self._fresh.get(second, (0.0, 0.0))
        after = self._fresh[second] = before[0] + concurrency, before[1] + requests
        return _excess(after[0], before[0], known[0]), _excess(after[1], before[1], known[1])


@dataclass(frozen=True, slots=True)
class Resumed:
    """How to go on with a revision.

    Attributes
    ----------
    saved : SnapshotRecord
        To be restored.
    hold : bool
        Too little is known to take pods away within a stable window.
    bridge : GapBridge or None
        What reports go through for a while; None if there was no load to be held.
    """

    saved: SnapshotRecord
    hold: bool
    bridge: GapBridge | None = None


def resume(saved: SnapshotRecord, scraped: bool, now: float) -> Resumed:
    """Bring what is saved of a revision up to now.

    Parameters
    ----------
    saved : SnapshotRecord
    scraped : bool
        Its pods are asked for their load: seconds without reports are unknown, else they had no load.
    now : float
        Unix seconds.
    """
    complete, present = int((saved.time - KNOWN_AT) // 1), int(now // 1)
    if present - complete > saved.stable_window:
        return Resumed(_memory_of_answers(saved), hold=True)
    stable, panic = saved.windows.stable, saved.windows.panic
    known_until = min(complete, stable.last) if scraped else complete
    held = _mean(panic, known_until)
    if not held.any() or complete - known_until > saved.panic_window:
        return Resumed(saved, hold=present - complete > saved.panic_window)
    gap = present - known_until
    moved, until = _shift(gap, saved.panic_window), present + _SETTLING
    windows = ColumnHistory(
        *(_bridged(one, moved, known_until + moved, until, held) for one in (stable, panic))
    )
    values = windows.stable.values[:, :_REMEMBERED].T.tolist()
    known = {until - age: (one[0], one[1]) for age, one in enumerate(values)}
    return Resumed(replace(saved, windows=windows), gap > saved.panic_window, GapBridge(until, known))


def _shift(gap: int, panic_window: float) -> int:
    """Return by how many seconds time stood still; negative where the other clock was ahead of ours."""
    if gap < 0:
        return gap
    return gap - 1 if gap > panic_window else 0


def _mean(panic: WindowHistory, complete: int) -> NDArray[np.float64]:
    """Return the mean over the last complete seconds; zeros without any."""
    newest = max(panic.last - complete, 0)
    seconds = min(panic.last, complete) - panic.first + 1
    values = panic.values[:, newest : newest + min(max(seconds, 0), _RECENT)]
    if not values.size:
        return np.zeros(len(values))
    mean: NDArray[np.float64] = values.mean(axis=1)
    return mean


def _bridged(
    history: WindowHistory, moved: int, complete: int, until: int, held: NDArray[np.float64]
) -> WindowHistory:
    """Move a history in time, and hold its load from its last complete second on."""
    if history.last == NEVER:
        return history
    size = history.values.shape[1]
    seconds = until - np.arange(size)
    ages = history.last + moved - seconds
    within = (ages >= 0) & (ages < size)
    values = np.where(within, history.values[:, np.clip(ages, 0, size - 1)], 0.0)
    values = np.where(seconds > complete, np.maximum(values, held[:, None]), values)
    return WindowHistory(history.first + moved, until, values)


def _memory_of_answers(saved: SnapshotRecord) -> SnapshotRecord:
    """Forget all but the answers of the scale-down delay, which has its own end."""
    nothing = ColumnHistory(saved.windows.stable.emptied(), saved.windows.panic.emptied())
    return replace(
        saved,
        windows=nothing,
        panic_since=NOT_PANICKING,
        panic_pods=0.0,
        most_ready=[],
        fewest_ready=[],
        recommended=float(UNKNOWN),
    )


def _excess(after: float, before: float, known: float) -> float:
    return max(after, known) - max(before, known)
