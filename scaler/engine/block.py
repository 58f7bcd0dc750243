"""A fixed number of revisions, kept as arrays: windows, settings, memory and last answers, a column each.

Blocks never grow and never move, so adding a revision touches nothing of the others, and one pass over a
block stays within the processor's cache.
"""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from config.resolve import RevisionSettings
from metrics.windows.ring import Columns
from metrics.windows.windows import CONCURRENCY, REQUESTS, Observation, Windows
from scaler.engine.decision import Decision
from scaler.engine.decision_trace import LastTraces
from scaler.engine.history import History, Times
from scaler.engine.rings import Rings
from scaler.rules.bounds import UNKNOWN
from scaler.rules.burst import initial_excess
from scaler.rules.decider import DeciderStates, decide
from scaler.rules.panic import NOT_PANICKING
from scaler.rules.specs import DeciderSpecs


class Block:
    """Up to `columns` revisions whose windows fit its rings.

    Attributes
    ----------
    column_bytes : int
        Memory of one revision.
    ready : ndarray, shape (columns,), float64
        Ready pods, set from outside.
    recommended, excess : ndarray, shape (columns,), float64
        Last answers; recommended is -1 before the first.
    observed : Observation
        What the last answers were read from; not valid where there was no data.
    last : LastTraces
        How the last answers came about.
    requested : ndarray, shape (columns,), float64
        Pods after bounds, set from outside.
    history : History or None
        The last hour, if the fleet keeps one.
    """

    def __init__(self, rings: Rings, columns: int, times: Times | None = None) -> None:
        self.column_bytes = rings.column_bytes
        self.windows = Windows(rings.stable, rings.panic, columns)
        self.specs = DeciderSpecs.room_for(columns)
        self.states = DeciderStates.room_for(columns, rings.delay, rings.rate)
        self.ready = np.zeros(columns)
        self.recommended = np.full(columns, float(UNKNOWN))
        self._recommended_cells = self.recommended.data
        self.excess = np.zeros(columns)
        self.observed = Observation(np.zeros(columns), np.zeros(columns), np.zeros(columns, np.bool_))
        self.last = LastTraces()
        self.requested = np.zeros(columns)
        self.history = None if times is None else History(columns, times)
        self.keys: list[Hashable | None] = [None] * columns
        self._taken = np.zeros(columns, np.bool_)
        self._free = list(range(columns - 1, -1, -1))
        self._used = 0

    @property
    def full(self) -> bool:
        """No column is free."""
        return not self._free

    def take(self, key: Hashable, settings: RevisionSettings, scraped: bool) -> int:
        """Give a revision a column with empty windows and no memory."""
        column = self._free.pop()
        self._used = max(self._used, column + 1)
        self._taken[column] = True
        self.keys[column] = key
        weighted = settings.aggregation == "weighted-exponential"
        self.windows.configure(column, settings.stable_window, settings.panic_window, weighted)
        self.configure(column, settings, scraped)
        return column

    def configure(self, column: int, settings: RevisionSettings, scraped: bool) -> None:
        """Set what may change without touching the windows; memory and answers stay."""
        self.specs.put(column, settings)
        series = REQUESTS if settings.metric == "rps" else CONCURRENCY
        self.windows.choose(column, series, empty_is_zero=not scraped)

    def start(self, column: int, settings: RevisionSettings, ready_pods: int, now: float, hold: bool) -> None:
        """Begin as a new decider does; with `hold` no ready pod is taken away for a stable window."""
        self.states.start(column, ready_pods, now, hold)
        self.ready[column] = ready_pods
        self.recommended[column] = UNKNOWN
        self.excess[column] = initial_excess(
            settings.initial_scale, settings.total_value, settings.target_burst_capacity
        )
        self.observed.valid[column] = False
        self.last.forget(column)
        self.requested[column] = ready_pods
        if self.history is not None:
            self.history.begin(column, now)

    def move(self, column: int, target: "Block", target_column: int) -> None:
        """Copy memory and answers of a column into another block; its windows are the caller's business."""
        self.states.copy(column, target.states, target_column)
        target.last.forget(target_column)
        if self.history is not None and target.history is not None:
            self.history.copy(column, target.history, target_column)
        for name in ("ready", "recommended", "excess", "requested"):
            getattr(target, name)[target_column] = getattr(self, name)[column]
        for name in ("stable", "panic", "valid"):
            getattr(target.observed, name)[target_column] = getattr(self.observed, name)[column]

    def give_back(self, column: int) -> None:
        """Free a column."""
        self.windows.release(column)
        self.keys[column] = None
        self._taken[column] = False
        self._free.append(column)

    def record(self, column: int, second: int, concurrency: float, requests: float) -> bool:
        """Add a report to a second; return whether it is load where no pod is recommended."""
        self.windows.add(column, second, concurrency, requests)
        return concurrency != 0.0 and self._recommended_cells[column] <= 0.0

    def decision(self, column: int) -> Decision:
        """Return the last answer for a revision."""
        since = float(self.states.panic_since[column])
        at, trace = self.last.of(column) or (None, None)
        return Decision(
            valid=bool(self.observed.valid[column]),
            stable=float(self.observed.stable[column]),
            panic=float(self.observed.panic[column]),
            recommended=int(self.recommended[column]),
            excess=int(self.excess[column]),
            panic_since=None if since == NOT_PANICKING else since,
            ready=int(self.ready[column]),
            at=at,
            trace=trace,
        )

    def tick(self, now: float, columns: Columns | None = None) -> NDArray[np.intp]:
        """Decide for some columns, or for all, and return those whose answer concerns somebody.

        That is a new recommended scale, or an excess burst capacity of another sign. A column without data
        keeps its answer and its memory.
        """
        some: Columns = slice(0, self._used) if columns is None else columns
        seen = self.windows.observe(some, now)
        valid = seen.valid & self._taken[some]
        self.observed.stable[some] = seen.stable
        self.observed.panic[some] = seen.panic
        self.observed.valid[some] = valid
        if not valid.all():
            some = np.arange(len(self._taken))[some][valid]
            seen = Observation(seen.stable[valid], seen.panic[valid], seen.valid[valid])
        return self._decide(some, seen, now, everywhere=columns is None)

    def _decide(self, columns: Columns, seen: Observation, now: float, everywhere: bool) -> NDArray[np.intp]:
        if not len(seen.stable):
            if everywhere:
                self.last = LastTraces()
            return np.zeros(0, np.intp)
        made = decide(self.specs.at(columns), self.states, columns, seen, self.ready[columns], now)
        self.last.keep(columns, now, made.traces, everywhere=everywhere)
        changed = made.recommended != self.recommended[columns]
        changed |= (made.excess < 0) != (self.excess[columns] < 0)
        self.recommended[columns] = made.recommended
        self.excess[columns] = made.excess
        where = np.flatnonzero(changed)
        return where if isinstance(columns, slice) else columns[where]

    def sample(self) -> None:
        """Write the present state of all columns to the history, at the cost of some plain copies."""
        if self.history is None:
            return
        used = self._used
        valid = self.observed.valid[:used]
        values = {
            "stable": np.where(valid, self.observed.stable[:used], np.nan),
            "panic": np.where(valid, self.observed.panic[:used], np.nan),
            "recommended": self.recommended[:used],
            "requested": self.requested[:used],
            "ready": self.ready[:used],
        }
        values |= {name: self.last.whole(name, used) for name in ("lower", "upper", "held")}
        self.history.sample(used, values, self.states.panic_since[:used] != NOT_PANICKING)
