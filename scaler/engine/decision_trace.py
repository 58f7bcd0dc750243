"""How the last decisions of a block came about: the arrays they were made of are kept instead of dropped."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.windows.ring import Columns
from scaler.rules.trace import DecisionTrace, DecisionTraces


class _Pass(NamedTuple):
    """Decisions made together: their columns, the unix time in seconds, and how they came about."""

    columns: Columns
    at: float
    traces: DecisionTraces


class LastTraces:
    """The last pass over all columns, and what was decided for single ones since.

    Notes
    -----
    Costs a tick nothing but the memory of its arrays, 80 bytes a revision.
    """

    def __init__(self) -> None:
        self._whole: _Pass | None = None
        self._since: dict[int, tuple[_Pass, int] | None] = {}

    def keep(self, columns: Columns, at: float, traces: DecisionTraces, everywhere: bool) -> None:
        """Keep decisions made at a unix time; `everywhere` says that all columns with data were decided."""
        made = _Pass(columns, at, traces)
        if everywhere:
            self._whole = made
            self._since.clear()
        elif not isinstance(columns, slice):
            for place, column in enumerate(columns.tolist()):
                self._since[column] = made, place

    def forget(self, column: int) -> None:
        """Say that another revision has a column now."""
        self._since[column] = None

    def of(self, column: int) -> tuple[float, DecisionTrace] | None:
        """Return when the last decision was made, and how; None if there was no data for one."""
        found = self._since[column] if column in self._since else self._in_whole(column)
        if found is None:
            return None
        made, place = found
        return made.at, made.traces.of(place)

    def whole(self, name: str, columns: int) -> NDArray[np.float64]:
        """Return one array of the last pass over all columns; -1 where it made no decision."""
        values = np.full(columns, -1.0)
        if self._whole is not None:
            values[self._whole.columns] = getattr(self._whole.traces, name)
        return values

    def _in_whole(self, column: int) -> tuple[_Pass, int] | None:
        whole = self._whole
        if whole is None:
            return None
        if isinstance(whole.columns, slice):
            return (whole, column) if column < len(whole.traces.recommended) else None
        place = int(np.searchsorted(whole.columns, column))
        there = place < len(whole.columns) and whole.columns[place] == column
        return (whole, place) if there else None
