"""Whether ticks still come."""

from config.durations import format_duration


class Heartbeat:
    """Tells whether ticks still come.

    Parameters
    ----------
    now : float
        Event loop time in seconds, as in the methods; the first tick is due from here.
    interval : float
        Seconds between ticks; may be set anew.
    allowed : int
        Intervals without a tick after which something is wrong.
    """

    def __init__(self, now: float, interval: float, allowed: int = 5) -> None:
        self.interval = interval
        self._allowed = allowed
        self._last = now

    def beat(self, now: float) -> None:
        """Note a finished tick."""
        self._last = now

    def problem(self, now: float) -> str | None:
        """Say what is wrong, or None."""
        age, limit = now - self._last, self._allowed * self.interval
        if age <= limit:
            return None
        return f"the last tick was {format_duration(round(age, 1))} ago, allowed are {format_duration(limit)}"
