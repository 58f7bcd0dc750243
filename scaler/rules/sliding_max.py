"""The maximum of the last so many steps, for many revisions at once.

A ring of values with the step each was written in, and the maximum that holds now. Only when that one leaves
the window is the ring searched, and only for the columns concerned. A step in which every column reaches its
maximum, as when nothing changes, needs no place in the ring: a maximum outlives all that came before it.

Source: `knative/serving pkg/autoscaler/aggregation/max/window.go`, whose answers are reproduced.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.windows.ring import Columns

_NEVER = 0
"""A step before all others; rings begin with it and cost no memory until they are written."""

_LOWEST, _HIGHEST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


class SlidingMax:
    """Maxima over windows of different length in steps.

    Parameters
    ----------
    columns : int
    slots : int
        Steps of the longest window.

    Notes
    -----
    Memory: 12 bytes a slot and column.
    """

    def __init__(self, columns: int, slots: int) -> None:
        self._values = np.zeros((slots, columns), np.int32)
        self._steps = np.zeros((slots, columns), np.int64)
        self._newest = _NEVER
        self._held = np.full(columns, float(_LOWEST))
        self._held_step = np.full(columns, _NEVER, np.int64)

    def clear(self, column: int) -> None:
        """Forget a column."""
        self._steps[:, column] = _NEVER
        self._held[column] = _LOWEST
        self._held_step[column] = _NEVER

    def search_again(self, column: int) -> None:
        """Find the maximum of a column in the ring at its next record, since its window has changed."""
        self._keep_held(np.array([column]))
        self._held[column] = _HIGHEST
        self._held_step[column] = _NEVER

    def held_since(self, column: int) -> int | None:
        """Return the newest step in which a column had its present maximum; None before the first record."""
        step = int(self._held_step[column])
        return None if step == _NEVER else step

    def extract(self, column: int) -> list[tuple[int, int]]:
        """Return the steps and values a column holds."""
        self._keep_held(np.array([column]))
        rows = np.flatnonzero(self._steps[:, column] != _NEVER)
        return [(int(self._steps[row, column]), int(self._values[row, column])) for row in rows]

    def peaks(
        self, columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Return what can still become the maximum of some columns, newest first.

        An entry that a newer one reaches cannot.

        Returns
        -------
        ndarrays, shapes (n_columns,), (n_entries,), (n_entries,)
            Entries of each column; their steps and values, column by column.
        """
        self._keep_held(columns)
        sought = self._newest - np.arange(len(self._steps))
        rows = (sought % len(self._steps))[:, None]
        live = ((self._steps[rows, columns] == sought[:, None]) & (sought > _NEVER)[:, None]).T
        values = np.where(live, self._values[rows, columns].T, _LOWEST)
        newer = np.full_like(values, _LOWEST)
        np.maximum.accumulate(values[:, :-1], axis=1, out=newer[:, 1:])
        kept = live & (values > newer)
        return kept.sum(axis=1), np.broadcast_to(sought, kept.shape)[kept], values[kept]

    def restore(self, column: int, entries: list[tuple[int, int]]) -> None:
        """Replace what a column holds; of steps that share a row the newer one stays."""
        self.clear(column)
        for step, value in sorted(entries):
            row = step % len(self._steps)
            self._steps[row, column], self._values[row, column] = step, value
            self._newest = max(self._newest, step)
        self.search_again(column)

    def record(
        self, columns: Columns, step: int, values: NDArray[np.float64], window: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Add a value and return the maximum over the last `window` steps, this one included.

        Parameters
        ----------
        columns : Columns
        step : int
            Number of the present step, at least 1; within one step the larger value counts.
        values : ndarray, shape (n_columns,), float64
            Whole numbers within int32.
        window : ndarray, shape (n_columns,), int64
            Steps, 1 to the number of slots; call `search_again` for a column whose window changes.

        Returns
        -------
        ndarray, shape (n_columns,), float64
        """
        row = step % len(self._values)
        newer = step > self._newest
        if not newer:
            values = self._with_present(columns, row, step, values)
        self._newest = max(step, self._newest)
        held = self._held[columns]
        higher = values >= held
        if newer and higher.all():
            self._held[columns] = values
            self._held_step[columns] = step
            return values
        self._values[row, columns] = values
        self._steps[row, columns] = step
        held_step = self._held_step[columns]
        gone = (step - held_step >= window) > higher
        result: NDArray[np.float64] = np.maximum(values, held)
        self._held_step[columns] = np.where(higher, step, held_step)
        if gone.any():
            where = np.flatnonzero(gone)
            index = np.arange(self._values.shape[1])[columns][where]
            result[where] = self._search(index, step, window[where])
        self._held[columns] = result
        return result

    def _with_present(
        self, columns: Columns, row: int, step: int, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Join values with those of the same step, and forget maxima of steps yet to come.

        Such steps were written before the clock was set back.
        """
        future = self._held_step[columns] > step
        self._held_step[columns] = np.where(future, _NEVER, self._held_step[columns])
        self._held[columns] = np.where(future, _HIGHEST, self._held[columns])
        present = self._steps[row, columns] == step
        joined: NDArray[np.float64] = np.where(
            present, np.maximum(values, self._values[row, columns]), values
        )
        held_now = self._held_step[columns] == step
        return np.where(held_now, np.maximum(joined, self._held[columns]), joined)

    def _keep_held(self, index: NDArray[np.intp]) -> None:
        """Give maxima a place in the ring, unless it is taken by a later step."""
        step = self._held_step[index]
        rows = step % len(self._values)
        missing = self._steps[rows, index] < step
        rows, index = rows[missing], index[missing]
        self._steps[rows, index] = step[missing]
        self._values[rows, index] = self._held[index]

    def _search(self, index: NDArray[np.intp], step: int, window: NDArray[np.int64]) -> NDArray[np.float64]:
        """Find the maximum and its newest step in the ring."""
        self._keep_held(index)
        steps = self._steps[:, index]
        live = (steps > step - window) & (steps <= step)
        values = np.where(live, self._values[:, index], _LOWEST)
        best = values.max(axis=0)
        self._held_step[index] = np.where(live & (values == best), steps, _NEVER).max(axis=0)
        found: NDArray[np.float64] = best.astype(np.float64)
        return found
