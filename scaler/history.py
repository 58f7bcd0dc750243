"""The last hour of a block of revisions, for charts: a row every few seconds, the oldest overwritten."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INTERVAL = 20.0
"""Seconds between two samples."""

SLOTS = 180
"""Samples that are kept: an hour."""

_LOADS = ("stable", "panic")
_PODS = ("desired", "wanted", "ready", "lower", "upper", "held")
_MOST = np.iinfo(np.uint16).max


class Samples(NamedTuple):
    """What was so at some times, oldest first; shape (n,) each.

    Attributes
    ----------
    at : ndarray, float64
        Unix seconds.
    stable, panic : ndarray, float32
        Window values; NaN without data.
    desired, wanted, ready, lower, upper, held : ndarray, uint16
        Pods: before bounds, after them, ready ones, the least and the most that the rates allowed, and before
        the scale-down delay; 65535 for that many or more.
    panicking : ndarray, bool
    """

    at: NDArray[np.float64]
    stable: NDArray[np.float32]
    panic: NDArray[np.float32]
    desired: NDArray[np.uint16]
    wanted: NDArray[np.uint16]
    ready: NDArray[np.uint16]
    lower: NDArray[np.uint16]
    upper: NDArray[np.uint16]
    held: NDArray[np.uint16]
    panicking: NDArray[np.bool_]


class Times:
    """When the rows of all histories of a fleet were written."""

    def __init__(self) -> None:
        self.at = np.zeros(SLOTS)
        self.row = SLOTS - 1

    def begin_row(self, now: float) -> None:
        """Let samples of a unix time take the place of the oldest."""
        self.row = (self.row + 1) % SLOTS
        self.at[self.row] = now


class History:
    """Samples of up to `columns` revisions.

    Parameters
    ----------
    columns : int
    times : Times
        Shared by all histories of a fleet.

    Notes
    -----
    21 bytes a sample and revision: 3.7 KiB for an hour, committed as it fills.
    """

    def __init__(self, columns: int, times: Times) -> None:
        self._times = times
        self._since = np.zeros(columns)  # unix seconds from which a column is its revision's
        self._loads = np.zeros((SLOTS, len(_LOADS), columns), np.float32)
        self._pods = np.zeros((SLOTS, len(_PODS), columns), np.uint16)
        self._panicking = np.zeros((SLOTS, columns), np.bool_)

    def begin(self, column: int, now: float) -> None:
        """Give a column to another revision."""
        self._since[column] = now

    def sample(self, used: int, values: dict[str, NDArray[np.float64]], panicking: NDArray[np.bool_]) -> None:
        """Write the present row.

        Parameters
        ----------
        used : int
            Columns that count; the values have that many.
        values : dict of ndarray, shape (used,), float64
            The fields of `Samples` by name; counts below 0 are not known and kept as 0.
        panicking : ndarray, shape (used,), bool
        """
        row = self._times.row
        for number, name in enumerate(_LOADS):
            self._loads[row, number, :used] = values[name]
        for number, name in enumerate(_PODS):
            self._pods[row, number, :used] = np.clip(values[name], 0, _MOST)
        self._panicking[row, :used] = panicking

    def of(self, column: int) -> Samples:
        """Return the samples of a column."""
        at = self._times.at
        order = (np.arange(SLOTS) + self._times.row + 1) % SLOTS
        rows = order[(at[order] > 0) & (at[order] >= self._since[column])]
        columns = {name: self._loads[rows, number, column] for number, name in enumerate(_LOADS)}
        counts = {name: self._pods[rows, number, column] for number, name in enumerate(_PODS)}
        return Samples(at=at[rows], **columns, **counts, panicking=self._panicking[rows, column])

    def copy(self, column: int, target: "History", target_column: int) -> None:
        """Copy the samples of a column to another history of the same fleet."""
        target._since[target_column] = self._since[column]
        target._loads[:, :, target_column] = self._loads[:, :, column]
        target._pods[:, :, target_column] = self._pods[:, :, column]
        target._panicking[:, target_column] = self._panicking[:, column]
