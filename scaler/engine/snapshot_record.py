"""What is known of one revision, apart from any engine: to be carried to another one."""

from dataclasses import dataclass
from typing import Any

from config.resolve import RevisionSettings
from metrics.windows.windows import ColumnHistory
from scaler.engine.block import Block
from scaler.rules.panic import NOT_PANICKING

Entries = list[tuple[int, int]]
"""Steps and values of a sliding maximum."""


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """One revision's windows, memory and last answers.

    Attributes
    ----------
    time : float
        Unix seconds at which this was so.
    stable_window, panic_window : float
        Seconds.
    windows : ColumnHistory
    delayed : bool
        There was a scale-down delay.
    panic_since, panic_pods : float
    answers, most_ready, fewest_ready : list of pairs
        As of `DeciderStates`.
    recommended, excess : float
        Last answers; recommended is -1 before the first.
    note : Any
        What the keeper of the engine wants to remember, in values that JSON has.
    """

    time: float
    stable_window: float
    panic_window: float
    windows: ColumnHistory
    delayed: bool
    panic_since: float
    panic_pods: float
    answers: Entries
    most_ready: Entries
    fewest_ready: Entries
    recommended: float
    excess: float
    note: Any = None


def put_back(
    block: Block, column: int, settings: RevisionSettings, saved: SnapshotRecord, now: float, hold: bool
) -> None:
    """Let a column that has just begun go on from what is saved.

    Windows that have another length by now are treated as if they were resized at this moment, and so is a
    delay that there was not. With `hold` a panic that the column began in goes on.
    """
    windows, states = saved.windows, block.states
    if (saved.stable_window, saved.panic_window) != (settings.stable_window, settings.panic_window):
        windows = ColumnHistory(
            windows.stable.resized(saved.stable_window, now), windows.panic.resized(saved.panic_window, now)
        )
    block.windows.restore(column, windows)
    begun, pods = (states.panic_since[column], states.panic_pods[column]) if hold else (NOT_PANICKING, 0.0)
    states.panic_since[column] = max(begun, saved.panic_since)
    states.panic_pods[column] = max(pods, saved.panic_pods)
    states.answers.restore(column, saved.answers)
    states.most_ready.restore(column, saved.most_ready)
    states.fewest_ready.restore(column, saved.fewest_ready)
    if settings.scale_down_delay > 0 and not saved.delayed and saved.recommended >= 0:
        states.change_windows(column, saved.recommended, now)
    block.recommended[column], block.excess[column] = saved.recommended, saved.excess
