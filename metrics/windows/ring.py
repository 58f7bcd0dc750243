"""Sums per second over a sliding window: a numpy ring, a column a revision.

All columns share the ring's rows: row `second % slots` holds that second, whatever the length of a column's
own window. So a second of the whole fleet is one row, written and read in one pass. A running total per
column makes a linear average O(1). It is brought up to date by the same additions in the same order as the
peer's, so that even averages that lie on a rounding edge agree with the peer's; and it is compared with the
ring once a lap, so that rounding errors of large loads do not outlive them.

Source: `knative/serving pkg/autoscaler/aggregation/bucketing.go` (granularity 1 s), whose averages are
reproduced.
"""

from collections import Counter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from metrics.windows.averages import round6, smoothing
from metrics.windows.history import NEVER, WindowHistories, WindowHistory

Columns: TypeAlias = slice | NDArray[np.intp]
"""Which revisions: a slice without a step, or distinct indices."""

_DRIFT = 1e-7
"""Error of an average at which its total is corrected: a tenth of the last decimal that is kept."""

_LAP, _PAUSE = 1024, 16
"""Seconds within which every total is compared with the ring, and between two such looks at some of them."""


class Buckets:
    """Windows of equal kind and different length over many revisions.

    Parameters
    ----------
    slots : int
        Rows of the ring; the longest window in seconds.
    series : int
        Values kept per second and revision (concurrency, requests).
    columns : int
        Revisions there is room for.

    Notes
    -----
    Memory: 8 x slots x series bytes a revision. Rows of columns that were never configured stay untouched.
    """

    def __init__(self, slots: int, series: int, columns: int) -> None:
        self.slots = slots
        self._sums = np.zeros((series, slots, columns))
        self._totals = np.zeros((series, columns))
        self._first = np.full(columns, NEVER, np.int64)
        self._last = np.full(columns, NEVER, np.int64)
        self._window = np.ones(columns)
        self._size = np.zeros(columns, np.int64)
        self._decay = np.zeros(columns)
        self._any_weighted = False
        self._sizes: Counter[int] = Counter()
        self._common_size: int | None = None

    # Shape: adding, resizing and moving columns.

    def configure(self, column: int, window: float, weighted: bool) -> None:
        """Start a column with an empty window of `window` seconds (at most `slots`)."""
        size = int(np.ceil(window))
        if not 1 <= size <= self.slots:
            raise ValueError(f"window must be within 1 s and {self.slots} s, not {window} s")
        self._window[column] = window
        self._decay[column] = smoothing(size) if weighted else 0.0
        self._any_weighted = bool(self._decay.any())
        self._set_size(column, size)
        self.clear(column)

    def release(self, column: int) -> None:
        """Forget a column and its window; it may be configured again."""
        self._decay[column] = 0.0
        self._set_size(column, 0)
        self.clear(column)

    def _set_size(self, column: int, size: int) -> None:
        self._sizes[int(self._size[column])] -= 1
        self._sizes[size] += 1
        self._size[column] = size
        sizes = [size for size, columns in self._sizes.items() if size and columns > 0]
        self._common_size = sizes[0] if len(sizes) == 1 else None

    def clear(self, column: int) -> None:
        """Forget all that was written to a column."""
        self._sums[:, :, column] = 0.0
        self._totals[:, column] = 0.0
        self._first[column] = self._last[column] = NEVER

    def extract(self, column: int) -> WindowHistory:
        """Return the data of a column, newest first, over its own window."""
        size, last = int(self._size[column]), int(self._last[column])
        rows = (last - np.arange(size)) % self.slots
        return WindowHistory(int(self._first[column]), last, self._sums[:, rows, column])

    def restore(self, column: int, history: WindowHistory) -> None:
        """Replace the data of a column; seconds beyond its window are left out."""
        self.clear(column)
        kept = min(int(self._size[column]), history.values.shape[1])
        rows = (history.last - np.arange(kept)) % self.slots
        self._sums[:, rows, column] = history.values[:, :kept]
        if history.totals is not None and kept == history.values.shape[1]:
            self._totals[:, column] = history.totals
        else:
            self._totals[:, column] = np.add.accumulate(history.values[:, :kept], axis=1)[:, -1]
        self._first[column], self._last[column] = history.first, history.last

    def histories(self, columns: NDArray[np.intp]) -> WindowHistories:
        """Return the data of some columns, each over its own window."""
        size, last = self._size[columns], self._last[columns]
        ages = np.arange(int(size.max(initial=0)))[:, None]
        values = self._sums[:, (last - ages) % self.slots, columns]
        values *= ages < size
        return WindowHistories(
            self._window[columns], self._first[columns], last, self._totals[:, columns], values
        )

    def history_for_resize(self, column: int, now: float) -> WindowHistory:
        """Return what survives if the window of a column changes its length now."""
        return self.extract(column).resized(float(self._window[column]), now)

    # Writing.

    def record(self, columns: Columns, second: int, values: NDArray[np.float64]) -> None:
        """Add values to a second of some columns.

        A second newer than the last write moves the window on, and skipped seconds become zero; an older one
        is added in its place, unless it is a whole window older, then it is dropped.

        Parameters
        ----------
        columns : Columns
        second : int
            Unix time.
        values : ndarray, shape (n_series, n_columns), float64
        """
        lag = second - self._last[columns]
        if (lag == 1).all():
            self._advance(columns, second, values)
            return
        index = np.arange(len(self._last))[columns]
        size = self._size[index]
        for some, write in (
            (lag >= size, self._restart),
            ((lag >= 1) & (lag < size), self._advance_far),
            ((lag <= 0) & (lag > -size), self._add),
        ):
            if some.any():
                write(index[some], second, values[:, some])

    def _advance(self, columns: Columns, second: int, values: NDArray[np.float64]) -> None:
        """Write the second that follows each column's last one."""
        self._totals[:, columns] -= self._leaving(columns, second)
        self._totals[:, columns] += values
        self._sums[:, second % self.slots, columns] = values
        self._last[columns] = second

    def _advance_far(self, columns: NDArray[np.intp], second: int, values: NDArray[np.float64]) -> None:
        """Write a second up to a window after the last one; those between are zero."""
        oldest = int(self._last[columns].min())
        for between in range(oldest + 1, second):
            due = columns[self._last[columns] == between - 1]
            self._advance(due, between, np.zeros((len(self._totals), len(due))))
        self._advance(columns, second, values)

    def _restart(self, columns: NDArray[np.intp], second: int, values: NDArray[np.float64]) -> None:
        """Write the first second, or one a window or more after the last."""
        self._sums[:, :, columns] = 0.0
        self._sums[:, second % self.slots, columns] = values
        self._totals[:, columns] = values
        self._first[columns] = self._last[columns] = second

    def _add(self, columns: NDArray[np.intp], second: int, values: NDArray[np.float64]) -> None:
        """Add to a second that lies within the window already."""
        self._sums[:, second % self.slots, columns] += values
        self._totals[:, columns] += values
        self._first[columns] = np.minimum(self._first[columns], second)

    def _leaving(self, columns: Columns, second: int) -> NDArray[np.float64]:
        """Return the values that leave each window when it moves on to `second`."""
        if self._common_size is not None:
            left: NDArray[np.float64] = self._sums[:, (second - self._common_size) % self.slots, columns]
            return left
        index = np.arange(len(self._last))[columns]
        gathered: NDArray[np.float64] = self._sums[:, (second - self._size[index]) % self.slots, index]
        return gathered

    def correct_totals(self, second: int, used: int) -> None:
        """Compare some totals with the ring, so that each is looked at once in `_LAP` seconds."""
        turn, rest = divmod(second % _LAP, _PAUSE)
        if rest:
            return
        index = np.arange(turn, used, _LAP // _PAUSE)
        for series, totals in enumerate(self._totals):
            exact = self._sum(index, self._last[index], series, None)
            off = np.abs(totals[index] - exact) > _DRIFT * self._size[index]
            totals[index[off]] = exact[off]

    # Reading.

    def empty(self, columns: Columns, now: float) -> NDArray[np.bool_]:
        """Say which columns had no write for more than their window."""
        stale: NDArray[np.bool_] = int(now // 1) - self._last[columns] > self._window[columns]
        return stale

    def average(self, columns: Columns, now: float, series: NDArray[np.int8] | int) -> NDArray[np.float64]:
        """Return the average per second over each window, as of a time.

        Linear: the mean over the seconds since the first write, rounded to 6 decimals. Weighted:
        exponentially decaying weights, not normalised, not rounded. Nothing within the window gives 0.

        Parameters
        ----------
        columns : Columns
        now : float
            Unix time in seconds.
        series : int or ndarray, shape (n_columns,)
            Which value of each column.
        """
        second = int(now // 1)
        last, size = self._last[columns], self._size[columns]
        lag = np.maximum(second - last, 0)
        totals = self._chosen(self._totals[:, columns], series)
        seconds = last - self._first[columns]
        seconds += 1
        if not lag.any():
            mean = round6(totals / np.minimum(seconds, size))
        else:
            totals = totals.copy()
            self._drop_expired(totals, columns, second, lag, series)
            mean = round6(totals / np.maximum(np.minimum(seconds, size - lag), 1))
            mean[lag >= size] = 0.0
        if self._any_weighted:
            self._put_weighted(mean, columns, second, lag, series)
        return mean

    def _chosen(self, values: NDArray[np.float64], series: NDArray[np.int8] | int) -> NDArray[np.float64]:
        if isinstance(series, int):
            row: NDArray[np.float64] = values[series]
            return row
        chosen: NDArray[np.float64] = np.choose(series, list(values))
        return chosen

    def _drop_expired(
        self,
        totals: NDArray[np.float64],
        columns: Columns,
        second: int,
        lag: NDArray[np.int64],
        series: NDArray[np.int8] | int,
    ) -> None:
        """Take out of the totals what left the windows since the last write, the oldest second first."""
        if lag.min() == lag.max() == 1:
            totals -= self._chosen(self._leaving(columns, second), series)
            return
        index = np.arange(len(self._last))[columns]
        lag = np.where(lag < self._size[index], lag, 0)
        which = np.broadcast_to(series, lag.shape)
        leaving = self._last[index] - self._size[index]
        for step in range(1, int(lag.max()) + 1):
            due = np.flatnonzero(lag >= step)
            totals[due] -= self._sums[which[due], (leaving[due] + step) % self.slots, index[due]]

    def _put_weighted(
        self,
        mean: NDArray[np.float64],
        columns: Columns,
        second: int,
        lag: NDArray[np.int64],
        series: NDArray[np.int8] | int,
    ) -> None:
        index = np.arange(len(self._last))[columns]
        where = np.flatnonzero(self._decay[index])
        if not len(where):
            return
        chosen = index[where]
        which = np.broadcast_to(series, lag.shape)[where]
        until = np.maximum(second, self._last[chosen])
        mean[where] = self._sum(chosen, until, which, self._decay[chosen])

    def _sum(
        self,
        index: NDArray[np.intp],
        until: NDArray[np.int64],
        series: NDArray[np.int8] | int,
        decay: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """Add up the ring over each window that ends with second `until`, weighted if a decay is given."""
        longest = int(self._size[index].max(initial=1))
        ages = np.arange(longest)[:, None]
        seconds = until - ages
        live = (seconds <= self._last[index]) & (ages < self._size[index])
        values = np.where(live, self._sums[series, seconds % self.slots, index], 0.0)
        if decay is not None:
            values *= decay * (1.0 - decay) ** ages
        total: NDArray[np.float64] = np.add.accumulate(values, axis=0)[-1]  # one order for any fleet
        return total

    def check_valid(self) -> None:
        """Assert that the totals equal the sums over the live slices."""
        index = np.flatnonzero(self._last != NEVER)
        tolerance = 1e-9 * max(1.0, float(np.abs(self._sums).max(initial=0.0)))
        for series, totals in enumerate(self._totals):
            exact = self._sum(index, self._last[index], series, None)
            assert np.allclose(totals[index], exact, rtol=1e-9, atol=tolerance)
