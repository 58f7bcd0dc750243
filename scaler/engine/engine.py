"""The engine: a fleet of revisions that takes stats and gives decisions.

Revisions live in blocks of equal ring length; one revision is a fleet of one. All times are arguments.

Examples
--------
One pod takes 10 requests in flight and is aimed at 8.5 of them; 60 are in flight for a minute:

>>> from config.autoscaler import AutoscalerConfig
>>> from config.resolve import resolve
>>> engine = Engine()
>>> settings = resolve(AutoscalerConfig(), {}, container_concurrency=10)
>>> engine.add("hello", settings, now=1000.0, ready_pods=1)
>>> for second in range(1000, 1060):
...     _ = engine.record("hello", second, concurrency=60.0, requests=12.0)
>>> engine.tick(1060.0)
['hello']
>>> engine.decision("hello").recommended
8
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from config.resolve import RevisionSettings
from scaler.engine.block import Block
from scaler.engine.blocks import COLUMNS, Blocks
from scaler.engine.column import Column
from scaler.engine.decision import Decision
from scaler.engine.history import Samples, Times
from scaler.engine.snapshot_record import SnapshotRecord, put_back
from scaler.rules.bounds import UNKNOWN
from scaler.rules.delay import STEP, delay_steps


class Engine:
    """Windows and decisions of a fleet.

    Parameters
    ----------
    block_columns : int
        Revisions per block; smaller ones are for tests and small simulations.
    history : bool
        Keep the last hour for charts.

    Attributes
    ----------
    blocks : Blocks
        Where the revisions live.
    """

    def __init__(self, block_columns: int = COLUMNS, history: bool = False) -> None:
        self._times = Times() if history else None
        self.blocks = Blocks(block_columns, self._times)
        self._columns: dict[Hashable, Column] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._columns

    def __len__(self) -> int:
        return len(self._columns)

    def add(
        self,
        key: Hashable,
        settings: RevisionSettings,
        now: float,
        ready_pods: int = 0,
        scraped: bool = True,
        hold: bool = False,
    ) -> None:
        """Begin with a revision.

        With more than one ready pod it begins in panic, which holds its scale until the windows know enough;
        with `hold`, for a revision that was served before this process knew of it, a single pod is held too.
        Where its pods are not `scraped`, activators report the whole load and their silence means none; else
        silence means that there is no data.

        Raises
        ------
        ValueError
            The key is there already; or a window is longer than an hour, a delay than a day, a rate period
            than 10 minutes.
        """
        if key in self._columns:
            raise ValueError(f"revision {key} is in the fleet already")
        block = self.blocks.room_for(settings)
        column = block.take(key, settings, scraped)
        block.start(column, settings, ready_pods, now, hold)
        self._columns[key] = Column(block, column, settings)

    def remove(self, key: Hashable) -> None:
        """Forget a revision; unknown ones are ignored."""
        column = self._columns.pop(key, None)
        if column is not None:
            column.block.give_back(column.index)

    def update(self, key: Hashable, settings: RevisionSettings, now: float, scraped: bool = True) -> None:
        """Change the settings of a live revision; what its windows and its decider know stays.

        A window of another length keeps its newest data; another aggregation algorithm reads the same data.
        """
        self._columns[key].change(settings, scraped, self.blocks, now)

    def set_ready(self, key: Hashable, ready_pods: int) -> None:
        """Say how many pods of a revision are ready."""
        column = self._columns[key]
        column.block.ready[column.index] = ready_pods

    def record(self, key: Hashable, second: int, concurrency: float, requests: float) -> bool:
        """Add a report about a revision to a second (unix).

        Parameters
        ----------
        concurrency, requests : float
            Requests in flight and arrivals per second that nobody else reports.

        Returns
        -------
        bool
            The revision is at zero, or was never decided on, and has load now: decide at once.
        """
        column = self._columns.get(key)
        if column is None:
            return False
        return column.block.record(column.index, second, concurrency, requests)

    def forget_data(self, key: Hashable) -> None:
        """Empty a revision's windows: what they know is no longer true."""
        column = self._columns.get(key)
        if column is not None:
            column.block.windows.clear(column.index)

    def tick(self, now: float, keys: Iterable[Hashable] | None = None) -> list[Hashable]:
        """Decide for some revisions, or for all.

        Returns
        -------
        list of keys
            Those with a new recommended scale, or an excess burst capacity that changed its sign.
        """
        changed: list[Hashable] = []
        if keys is None:
            for block in self.blocks:
                changed += [block.keys[column] for column in block.tick(now)]
            return changed
        for block, columns in self.by_block(keys):
            changed += [block.keys[column] for column in block.tick(now, columns)]
        return changed

    def by_block(self, keys: Iterable[Hashable]) -> Iterator[tuple[Block, NDArray[np.intp]]]:
        """Find the blocks and columns of some keys; unknown ones are left out."""
        columns = sorted((self._columns[key] for key in set(keys) if key in self._columns), key=_block_order)
        for _, group in groupby(columns, key=_block_order):
            same = list(group)
            yield same[0].block, np.array([column.index for column in same], np.intp)

    def restore(self, key: Hashable, saved: SnapshotRecord, now: float, hold: bool = False) -> None:
        """Let a revision that was just added go on from what another engine knew of it.

        With `hold` a panic in which it was added goes on.
        """
        column = self._columns[key]
        put_back(column.block, column.index, column.settings, saved, now, hold)

    def decision(self, key: Hashable) -> Decision:
        """Return the last answer for a revision.

        Raises
        ------
        KeyError
            The revision is not in the fleet.
        """
        column = self._columns[key]
        return column.block.decision(column.index)

    def held_until(self, key: Hashable) -> float | None:
        """Return when the scale-down delay lets go of a revision's answer (unix seconds), if it holds one.

        Raises
        ------
        KeyError
            The revision is not in the fleet.
        """
        column = self._columns[key]
        steps = delay_steps(column.settings.scale_down_delay)
        step = column.block.states.answers.held_since(column.index)
        return None if not steps or step is None else (step + steps) * STEP

    def note_requested(self, key: Hashable, pods: int) -> None:
        """Say how many pods are requested of a revision after bounds; its history shows it."""
        column = self._columns[key]
        column.block.requested[column.index] = pods

    def sample(self, now: float) -> None:
        """Add the present state of the fleet, at a unix time, to the history."""
        if self._times is None:
            return
        self._times.begin_row(now)
        for block in self.blocks:
            block.sample()

    def history(self, key: Hashable) -> Samples | None:
        """Return the last hour of a revision; None if the fleet keeps no history.

        Raises
        ------
        KeyError
            The revision is not in the fleet.
        """
        column = self._columns[key]
        return None if column.block.history is None else column.block.history.of(column.index)

    def check_valid(self) -> None:
        """Assert the engine's invariants."""
        for block in self.blocks:
            block.windows.check_valid()
        for key, column in self._columns.items():
            assert column.block.keys[column.index] == key
            assert column.block.windows.fits(column.settings.stable_window, column.settings.panic_window)
            assert column.block.recommended[column.index] >= UNKNOWN


def _block_order(column: Column) -> int:
    return id(column.block)
