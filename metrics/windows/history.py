"""The data of a window outside any ring, to be restored into another one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEVER = -(2**40)
"""A second (unix) before all others: nothing has been written."""


@dataclass(frozen=True, slots=True)
class WindowHistory:
    """The data of one column, to be restored into another one.

    Attributes
    ----------
    first, last : int
        Unix seconds of the first and the last write; NEVER without.
    values : ndarray, shape (n_series, n_seconds), float64
        Sums per second, newest first, the first of them for `last`.
    totals : ndarray, shape (n_series,), float64, optional
        Running totals over all these seconds, to the last bit; recomputed if absent.
    """

    first: int
    last: int
    values: NDArray[np.float64]
    totals: NDArray[np.float64] | None = None

    def resized(self, window: float, now: float) -> "WindowHistory":
        """Return what survives if a window of this many seconds changes its length now.

        Data within the old window is kept as if the old window had been full, so an average that was partial
        gets smaller; staler data is dropped.

        Source: `bucketing.go`, `ResizeWindow`; there the time of the last write outlives dropped data, so a
        grown window may read 0 where nothing is known. Here it has no data.
        """
        if int(now // 1) - self.last > window:
            return self.emptied()
        return WindowHistory(self.last - self.values.shape[1] + 1, self.last, self.values)

    def emptied(self) -> "WindowHistory":
        """Return a history of the same length without data."""
        return WindowHistory(NEVER, NEVER, np.zeros_like(self.values))


@dataclass(frozen=True, slots=True)
class WindowHistories:
    """The data of several columns, as arrays.

    Attributes
    ----------
    window : ndarray, shape (n,), float64
        Seconds of each window.
    first, last : ndarray, shape (n,), int64
        As of a `WindowHistory`.
    totals : ndarray, shape (n_series, n), float64
    values : ndarray, shape (n_series, n_seconds, n), float64
        Newest first; zero beyond each window.
    """

    window: NDArray[np.float64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    totals: NDArray[np.float64]
    values: NDArray[np.float64]
