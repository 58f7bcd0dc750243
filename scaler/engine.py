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
>>> engine.decision("hello").desired
8
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from config.resolve import RevisionSettings
from scaler.block import Block
from scaler.bounds import UNKNOWN
from scaler.panic import CALM

_COLUMNS = 8192
"""Revisions in a block: a vector of them (64 KiB) fits the second-level cache."""

_SLOTS = (64, 192, 512, 1280, 3600)
"""Ring lengths in seconds, so that one long window does not make everyone's ring long. The longest is an
hour, the largest `stable-window`."""

_PANIC_SLOTS = (32, *_SLOTS)


@dataclass(frozen=True, slots=True)
class Decision:
    """The last answer for one revision and what it was read from.

    Attributes
    ----------
    valid : bool
        There was data; without, the answer is the one before.
    stable, panic : float
        Window values.
    desired : int
        Pods before bounds; -1 before the first answer.
    excess : int
        Excess burst capacity.
    panic_since : float or None
        Unix seconds of the last crossing of the panic threshold.
    ready : int
        Ready pods.
    """

    valid: bool
    stable: float
    panic: float
    desired: int
    excess: int
    panic_since: float | None
    ready: int


@dataclass(slots=True)
class _Place:
    block: Block
    column: int
    settings: RevisionSettings
    scraped: bool


class Engine:
    """Windows and decisions of a fleet.

    Parameters
    ----------
    block_columns : int
        Revisions per block; smaller ones are for tests and small simulations.
    """

    def __init__(self, block_columns: int = _COLUMNS) -> None:
        self._block_columns = block_columns
        self._blocks: dict[tuple[int, int], list[Block]] = {}
        self._places: dict[Hashable, _Place] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(
        self,
        key: Hashable,
        settings: RevisionSettings,
        now: float,
        ready_pods: int = 0,
        scraped: bool = True,
    ) -> None:
        """Begin with a revision.

        With more than one ready pod it begins in panic, which holds its scale until the windows know enough.
        Where its pods are not `scraped`, activators report the whole load and their silence means none; else
        silence means that there is no data.

        Raises
        ------
        ValueError
            The key is there already, or a window is longer than an hour.
        """
        if key in self._places:
            raise ValueError(f"revision {key} is in the fleet already")
        block = self._block_for(settings)
        column = block.take(key, settings, scraped)
        block.start(column, settings, ready_pods, now)
        self._places[key] = _Place(block, column, settings, scraped)

    def remove(self, key: Hashable) -> None:
        """Forget a revision; unknown ones are ignored."""
        place = self._places.pop(key, None)
        if place is not None:
            place.block.give_back(place.column)

    def update(self, key: Hashable, settings: RevisionSettings, now: float, scraped: bool = True) -> None:
        """Change the settings of a live revision; what its windows and its decider know stays.

        A window of another length keeps its newest data; another aggregation algorithm reads the same data.
        """
        place = self._places[key]
        old, place.settings, place.scraped = place.settings, settings, scraped
        if _shape(old) == _shape(settings):
            place.block.configure(place.column, settings, scraped)
        else:
            self._reshape(key, place, old, now)

    def _reshape(self, key: Hashable, place: _Place, old: RevisionSettings, now: float) -> None:
        """Give a revision windows of another kind or length, in a column of its own."""
        source, column = place.block, place.column
        kept = source.windows.history(column)
        if (old.stable_window, old.panic_window) != (
            place.settings.stable_window,
            place.settings.panic_window,
        ):
            kept = source.windows.history_for_resize(column, now)
        place.block = self._block_for(place.settings)
        place.column = place.block.take(key, place.settings, place.scraped)
        source.move(column, place.block, place.column)
        place.block.windows.restore(place.column, kept)
        source.give_back(column)

    def set_ready(self, key: Hashable, ready_pods: int) -> None:
        """Say how many pods of a revision are ready."""
        place = self._places[key]
        place.block.ready[place.column] = ready_pods

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
        place = self._places.get(key)
        if place is None:
            return False
        place.block.windows.add(place.column, second, concurrency, requests)
        return concurrency != 0.0 and place.block.desired[place.column] <= 0.0

    def forget_data(self, key: Hashable) -> None:
        """Empty a revision's windows: what they know is no longer true."""
        place = self._places.get(key)
        if place is not None:
            place.block.windows.clear(place.column)

    def tick(self, now: float, keys: Iterable[Hashable] | None = None) -> list[Hashable]:
        """Decide for some revisions, or for all.

        Returns
        -------
        list of keys
            Those with a new desired scale, or an excess burst capacity that changed its sign.
        """
        changed: list[Hashable] = []
        if keys is None:
            for block in self._all_blocks():
                changed += [block.keys[column] for column in block.tick(now)]
            return changed
        places = sorted((self._places[key] for key in set(keys) if key in self._places), key=_block_order)
        for _, group in groupby(places, key=_block_order):
            same = list(group)
            columns = np.array([place.column for place in same], np.intp)
            changed += [same[0].block.keys[column] for column in same[0].block.tick(now, columns)]
        return changed

    def decision(self, key: Hashable) -> Decision:
        """Return the last answer for a revision.

        Raises
        ------
        KeyError
            The revision is not in the fleet.
        """
        place = self._places[key]
        block, column = place.block, place.column
        since = float(block.states.panic_since[column])
        return Decision(
            valid=bool(block.observed.valid[column]),
            stable=float(block.observed.stable[column]),
            panic=float(block.observed.panic[column]),
            desired=int(block.desired[column]),
            excess=int(block.excess[column]),
            panic_since=None if since == CALM else since,
            ready=int(block.ready[column]),
        )

    def check_valid(self) -> None:
        """Assert the engine's invariants."""
        for block in self._all_blocks():
            block.windows.check_valid()
        for key, place in self._places.items():
            assert place.block.keys[place.column] == key
            assert place.block.windows.fits(place.settings.stable_window, place.settings.panic_window)
            assert place.block.desired[place.column] >= UNKNOWN

    def _all_blocks(self) -> list[Block]:
        return [block for blocks in self._blocks.values() for block in blocks]

    def _block_for(self, settings: RevisionSettings) -> Block:
        """Return a block with a free column and rings just long enough."""
        slots = _least(_SLOTS, settings.stable_window, "stable-window")
        panic_slots = _least(_PANIC_SLOTS, settings.panic_window, "panic window")
        blocks = self._blocks.setdefault((slots, panic_slots), [])
        for block in blocks:
            if not block.full:
                return block
        blocks.append(Block(slots, panic_slots, self._block_columns))
        return blocks[-1]


def _least(slots: tuple[int, ...], window: float, name: str) -> int:
    for length in slots:
        if window <= length:
            return length
    raise ValueError(f"{name} must be at most {slots[-1]} s, not {window} s")


def _shape(settings: RevisionSettings) -> tuple[float, float, str]:
    return settings.stable_window, settings.panic_window, settings.aggregation


def _block_order(place: _Place) -> int:
    return id(place.block)
