"""How long the rings of a block are: a few lengths only, so that revisions of like settings share blocks."""

from typing import NamedTuple

from config.resolve import RevisionSettings
from scaler.rules.delay import delay_steps

_SECONDS = (32, 64, 192, 512, 1280, 3600)
"""Ring lengths of windows, so that one long window does not make everyone's ring long. The longest is an
hour, the largest `stable-window`."""

_DELAY_STEPS = (32, 192, 1800, 43_200)
"""Ring lengths of the scale-down delay, in steps of 2 s: to a minute, an hour, a day."""

_RATE_SECONDS = (16, 64, 600)
"""Ring lengths of the scale-rate period."""


class Rings(NamedTuple):
    """Lengths of a block's rings: seconds of both windows and of the rate period, steps of the delay."""

    stable: int
    panic: int
    delay: int
    rate: int

    @classmethod
    def of(cls, settings: RevisionSettings) -> "Rings":
        """Return rings just long enough for some settings.

        Raises
        ------
        ValueError
            A window is longer than an hour, a delay than a day, or a rate period than 10 minutes.
        """
        return cls(
            _least(_SECONDS, settings.stable_window, "stable-window"),
            _least(_SECONDS, settings.panic_window, "panic window"),
            _least(_DELAY_STEPS, delay_steps(settings.scale_down_delay), "scale-down-delay in steps of 2 s"),
            _least(_RATE_SECONDS, settings.scale_rate_period, "scale-rate-period"),
        )

    @property
    def column_bytes(self) -> int:
        """Memory of one revision."""
        return 16 * (self.stable + self.panic) + 12 * (self.delay + 2 * self.rate)


def _least(lengths: tuple[int, ...], needed: float, name: str) -> int:
    for length in lengths:
        if needed <= length:
            return length
    raise ValueError(f"{name} must be at most {lengths[-1]}, not {needed:g}")
