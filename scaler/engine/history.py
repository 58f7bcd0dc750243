"""The last hour of a block of revisions, for charts: a row every few seconds, the oldest overwritten."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

INTERVAL = 20.0
"""Seconds between two samples."""

SLOTS = 180
"""Samples that are kept: an hour."""

_TOGETHER = 64
"""Columns whose samples lie together: so few revisions touch 60 pages of memory in an hour, not 1,600."""

_LOADS = ("stable", "panic")
_PODS = ("recommended", "requested", "ready", "lower", "upper", "held")
_MOST = np.iinfo(np.uint16).max


class Samples(NamedTuple):
    """What was so at some times, oldest first; shape (n,) each.

    Attributes
    ----------
    at : ndarray, float64
        Unix seconds.
    stable, panic : ndarray, float32
        Window values; NaN without data.
    recommended, requested, ready, lower, upper, held : ndarray, uint16
        Pods: before bounds, after them, ready ones, the least and the most that the rates allowed, and before
        the scale-down delay; 65535 for that many or more.
    panicking : ndarray, bool
    """

    at: NDArray[np.float64]
    stable: NDArray[np.float32]
    panic: NDArray[np.float32]
    recommended: NDArray[np.uint16]
    requested: NDArray[np.uint16]
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
        groups = -(-columns // _TOGETHER)
        self._loads = np.zeros((groups, SLOTS, len(_LOADS), _TOGETHER), np.float32)
        self._pods = np.zeros((groups, SLOTS, len(_PODS), _TOGETHER), np.uint16)
        self._panicking = np.zeros((groups, SLOTS, _TOGETHER), np.bool_)

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
        row, groups = self._times.row, -(-used // _TOGETHER)
        for number, name in enumerate(_LOADS):
            self._loads[:groups, row, number] = _grouped(values[name])
        for number, name in enumerate(_PODS):
            self._pods[:groups, row, number] = _grouped(np.clip(values[name], 0, _MOST))
        self._panicking[:groups, row] = _grouped(panicking)

    def of(self, column: int) -> Samples:
        """Return the samples of a column."""
        at = self._times.at
        order = (np.arange(SLOTS) + self._times.row + 1) % SLOTS
        rows = order[(at[order] > 0) & (at[order] >= self._since[column])]
        group, place = divmod(column, _TOGETHER)
        loads = {name: self._loads[group, rows, number, place] for number, name in enumerate(_LOADS)}
        counts = {name: self._pods[group, rows, number, place] for number, name in enumerate(_PODS)}
        return Samples(at=at[rows], **loads, **counts, panicking=self._panicking[group, rows, place])

    def copy(self, column: int, target: "History", target_column: int) -> None:
        """Copy the samples of a column to another history of the same fleet."""
        target._since[target_column] = self._since[column]
        group, place = divmod(column, _TOGETHER)
        to_group, to_place = divmod(target_column, _TOGETHER)
        for source, copy in (
            (self._loads, target._loads),
            (self._pods, target._pods),
            (self._panicking, target._panicking),
        ):
            copy[to_group, ..., to_place] = source[group, ..., place]


def _grouped(values: NDArray[Any]) -> NDArray[Any]:
    """Return values of columns as rows of `_TOGETHER`, with zeros at the end."""
    padded = np.zeros(-(-len(values) // _TOGETHER) * _TOGETHER, values.dtype)
    padded[: len(values)] = values
    return padded.reshape(-1, _TOGETHER)
