"""Where the revisions of a fleet live: blocks of equal ring length, made as they are needed."""

from collections.abc import Iterator

from config.resolve import RevisionSettings
from scaler.engine.block import Block
from scaler.engine.history import Times
from scaler.engine.rings import Rings

COLUMNS = 8192
"""Revisions in a block: a vector of them (64 KiB) fits the second-level cache."""

_BLOCK_BYTES = 64 * 2**20
"""Memory of a block at most: blocks with long rings have fewer columns, but never fewer than `_FEWEST`."""

_FEWEST = 16


class Blocks:
    """All blocks of a fleet.

    Parameters
    ----------
    columns : int
        Revisions per block.
    times : Times or None
        Of the last hour, if it is kept.
    """

    def __init__(self, columns: int, times: Times | None) -> None:
        self._columns = columns
        self._times = times
        self._by_rings: dict[Rings, list[Block]] = {}

    def __iter__(self) -> Iterator[Block]:
        return (block for blocks in self._by_rings.values() for block in blocks)

    def room_for(self, settings: RevisionSettings) -> Block:
        """Return a block with a free column and rings just long enough.

        Raises
        ------
        ValueError
            As `Rings.of`.
        """
        rings = Rings.of(settings)
        blocks = self._by_rings.setdefault(rings, [])
        for block in blocks:
            if not block.full:
                return block
        columns = min(self._columns, max(_FEWEST, _BLOCK_BYTES // rings.column_bytes))
        blocks.append(Block(rings, columns, self._times))
        return blocks[-1]
