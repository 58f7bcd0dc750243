"""Where one revision lives: a column of a block, which it leaves when its settings need other rings."""

from dataclasses import dataclass

from config.resolve import RevisionSettings
from scaler.engine.block import Block
from scaler.engine.blocks import Blocks
from scaler.engine.rings import Rings


@dataclass(slots=True)
class Column:
    """A revision's column.

    Attributes
    ----------
    block : Block
    index : int
    settings : RevisionSettings
        Those in force.
    """

    block: Block
    index: int
    settings: RevisionSettings

    def change(self, settings: RevisionSettings, scraped: bool, blocks: Blocks, now: float) -> None:
        """Put other settings in force; what windows and decider know stays.

        Parameters
        ----------
        settings : RevisionSettings
        scraped : bool
            As of `Engine.add`.
        blocks : Blocks
            Where there is room for rings of other lengths.
        now : float
            Unix seconds.
        """
        old, self.settings = self.settings, settings
        if _shape(old) == _shape(settings):
            self.block.configure(self.index, settings, scraped)
        else:
            self._move(old, scraped, blocks, now)
        if _memory(old) != _memory(settings):
            answer = float(self.block.recommended[self.index])
            begins = old.scale_down_delay == 0 and answer >= 0
            self.block.states.change_windows(self.index, answer if begins else None, now)

    def _move(self, old: RevisionSettings, scraped: bool, blocks: Blocks, now: float) -> None:
        """Take a column with rings of other lengths, or windows of another kind."""
        source, column = self.block, self.index
        if _window_lengths(old) == _window_lengths(self.settings):
            kept = source.windows.history(column)
        else:
            kept = source.windows.history_for_resize(column, now)
        self.block = blocks.room_for(self.settings)
        self.index = self.block.take(source.keys[column], self.settings, scraped)
        source.move(column, self.block, self.index)
        self.block.windows.restore(self.index, kept)
        source.give_back(column)


def _window_lengths(settings: RevisionSettings) -> tuple[float, float]:
    return settings.stable_window, settings.panic_window


def _shape(settings: RevisionSettings) -> tuple[object, ...]:
    """What a revision's column is made for."""
    return Rings.of(settings), _window_lengths(settings), settings.aggregation


def _memory(settings: RevisionSettings) -> tuple[float, float]:
    """How long a decider remembers."""
    return settings.scale_down_delay, settings.scale_rate_period
