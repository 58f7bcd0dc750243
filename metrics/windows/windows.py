"""The stable and the panic window of a fleet: reports go in, averages for decisions come out.

Stats of one second are gathered as they come and written for the whole fleet in one pass before the next
reading, so a stat costs a few scalar writes and a second of a fleet a few vector ones.

Source: `knative/serving pkg/autoscaler/metrics/collector.go`.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from metrics.windows.history import WindowHistories, WindowHistory
from metrics.windows.ring import Buckets, Columns

CONCURRENCY, REQUESTS = 0, 1
"""Series of the windows: requests in flight, and arrivals per second."""

KNOWN_AT = 0.92
"""Part of a second (unix) at which its load is known: the collector has recorded it (by 0.9), the activators
have reported it (at 0.75), and nothing of the next second has come."""

_SERIES = 2

_Report: TypeAlias = tuple[int, float, float]
"""Column, concurrency, requests."""


class _Cells(NamedTuple):
    """Single cells of what is pending; half the cost of the arrays' own."""

    is_pending: memoryview
    second: memoryview
    concurrency: "memoryview[float]"
    requests: "memoryview[float]"


@dataclass(frozen=True, slots=True)
class Observation:
    """Averages of a fleet at one time.

    Attributes
    ----------
    stable, panic : ndarray, shape (n_columns,), float64
        Average over the window, in the unit of each revision's metric.
    valid : ndarray, shape (n_columns,), bool
        False where nothing was reported for a stable window: no data, which is not the same as no load.
    """

    stable: NDArray[np.float64]
    panic: NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnHistory:
    """The data of one column's windows."""

    stable: WindowHistory
    panic: WindowHistory


class Windows:
    """The windows of up to `columns` revisions.

    Parameters
    ----------
    stable_slots, panic_slots : int
        Seconds of the longest stable and panic window.
    columns : int

    Attributes
    ----------
    used : int
        Columns up to the last one ever configured.

    Notes
    -----
    16 bytes a second of window and revision: 3.2 KiB at 180 s and 23 s.
    """

    def __init__(self, stable_slots: int, panic_slots: int, columns: int) -> None:
        self.stable = Buckets(stable_slots, _SERIES, columns)
        self.panic = Buckets(panic_slots, _SERIES, columns)
        self._series = np.zeros(columns, np.int8)
        self._any_requests = False
        self._empty_is_zero = np.zeros(columns, np.bool_)
        self._pending = np.zeros((_SERIES, columns))
        self._pending_second = np.zeros(columns, np.int64)
        self._is_pending = np.zeros(columns, np.bool_)
        self._cells = _Cells(
            self._is_pending.data,
            self._pending_second.data,
            cast("memoryview[float]", self._pending[CONCURRENCY].data),
            cast("memoryview[float]", self._pending[REQUESTS].data),
        )
        self._repeated: list[_Report] = []
        self.used = 0

    def fits(self, stable_window: float, panic_window: float) -> bool:
        """Say whether windows of these lengths (seconds) fit."""
        return stable_window <= self.stable.slots and panic_window <= self.panic.slots

    def configure(self, column: int, stable_window: float, panic_window: float, weighted: bool) -> None:
        """Start a column with empty windows of these lengths in seconds."""
        self.flush()
        self.stable.configure(column, stable_window, weighted)
        self.panic.configure(column, panic_window, weighted)
        self.used = max(self.used, column + 1)

    def choose(self, column: int, series: int, empty_is_zero: bool) -> None:
        """Set the series of a column, and whether no data reads as no load (nothing is scraped)."""
        self._series[column] = series
        self._any_requests = bool(self._series.any())
        self._empty_is_zero[column] = empty_is_zero

    def release(self, column: int) -> None:
        """Forget a column."""
        self.flush()
        self._series[column] = CONCURRENCY
        self.stable.release(column)
        self.panic.release(column)

    def clear(self, column: int) -> None:
        """Empty a column's windows: it has no data until something is reported."""
        self.flush()
        self.stable.clear(column)
        self.panic.clear(column)

    def history_for_resize(self, column: int, now: float) -> ColumnHistory:
        """Return what survives if the windows of a column change their length now."""
        self.flush()
        return ColumnHistory(
            self.stable.history_for_resize(column, now), self.panic.history_for_resize(column, now)
        )

    def history(self, column: int) -> ColumnHistory:
        """Return all data of a column."""
        self.flush()
        return ColumnHistory(self.stable.extract(column), self.panic.extract(column))

    def histories(self, columns: NDArray[np.intp]) -> tuple[WindowHistories, WindowHistories]:
        """Return all data of some columns, of their stable and of their panic windows."""
        self.flush()
        return self.stable.histories(columns), self.panic.histories(columns)

    def restore(self, column: int, history: ColumnHistory) -> None:
        """Replace the data of a configured column."""
        self.stable.restore(column, history.stable)
        self.panic.restore(column, history.panic)

    def add(self, column: int, second: int, concurrency: float, requests: float) -> None:
        """Add one report to a second (unix) of a column; reports of the same second add up."""
        is_pending, seconds, pending_concurrency, pending_requests = self._cells
        if is_pending[column]:
            if seconds[column] == second:
                self._repeated.append((column, concurrency, requests))
                return
            self.flush()
        is_pending[column] = True
        seconds[column] = second
        pending_concurrency[column] = concurrency
        pending_requests[column] = requests

    def record(self, columns: Columns, second: int, values: NDArray[np.float64]) -> None:
        """Add a second of many columns at once.

        Parameters
        ----------
        columns : Columns
        second : int
        values : ndarray, shape (2, n_columns), float64
            Requests in flight, arrivals per second.
        """
        self.stable.record(columns, second, values)
        self.panic.record(columns, second, values)
        self.stable.correct_totals(second, self.used)
        self.panic.correct_totals(second, self.used)

    def flush(self) -> None:
        """Write what was added."""
        waiting = np.flatnonzero(self._is_pending[: self.used])
        if not len(waiting):
            return
        self._is_pending[waiting] = False
        self._record_by_second(waiting, self._pending[:, waiting])
        repeated, self._repeated = self._repeated, []
        while repeated:
            now, repeated = _first_of_each_column(repeated)
            columns, concurrency, requests = zip(*now, strict=True)
            self._record_by_second(np.array(columns, np.intp), np.array((concurrency, requests)))

    def _record_by_second(self, columns: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        """Record one value of each column at its pending second."""
        seconds = self._pending_second[columns]
        if (seconds == seconds[0]).all():
            every = len(columns) == self.used
            self.record(slice(0, self.used) if every else columns, int(seconds[0]), values)
            return
        for second in np.unique(seconds):
            some = seconds == second
            self.record(columns[some], int(second), values[:, some])

    def observe(self, columns: Columns, now: float) -> Observation:
        """Read the windows of some columns as of a time (unix seconds)."""
        self.flush()
        series: NDArray[np.int8] | int = self._series[columns] if self._any_requests else CONCURRENCY
        valid = ~self.stable.empty(columns, now) | self._empty_is_zero[columns]
        return Observation(
            self.stable.average(columns, now, series), self.panic.average(columns, now, series), valid
        )

    def check_valid(self) -> None:
        """Assert the invariants of both windows."""
        self.stable.check_valid()
        self.panic.check_valid()


def _first_of_each_column(repeated: list[_Report]) -> tuple[list[_Report], list[_Report]]:
    """Split reports into the first one of each column, by column, and the rest."""
    first: dict[int, _Report] = {}
    rest = []
    for report in repeated:
        if first.setdefault(report[0], report) is not report:
            rest.append(report)
    return [first[column] for column in sorted(first)], rest
