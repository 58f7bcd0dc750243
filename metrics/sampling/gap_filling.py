"""Which second of a revision gets which value: a fresh one, the last one held, or none.

A scrape that is missing or late is not a load of zero. Under the policy `hold` the last value stands in for
it, but only for as long as the panic window. After that the load is unknown, and no decisions are made. Under
`zero` a missing second stays empty and reads as zero, as in Knative (`knative/serving
pkg/autoscaler/metrics/collector.go` records what was scraped and nothing else).

    panic window 6 s, policy hold; F is fresh, h is held, . is nothing
    one second missed            F F h F F
    an outage of 4 seconds       F F h h h h F
    an outage of 9 seconds       F F h h h h h h . . . F     data forgotten at the first dot, once
    the loop stopped for 2 s     F F h h F                   filled in by the next round
"""

from collections.abc import Callable
from typing import Literal

from metrics.key import Key
from metrics.stat import Stat

MissingStats = Literal["hold", "zero"]
"""ConfigMap key `missing-stats`."""


class GapFiller:
    """Fills the gaps in the recorded seconds of one revision.

    Parameters
    ----------
    key : Key
        The revision.
    record : callable (key, Stat, int)
        Called with the revision's total for one unix second, at most once for a second.
    forget_data : callable (key)
        Called once when an outage has outlasted the panic window, or the clock was set back.
    """

    __slots__ = ("_forget", "_fresh", "_held", "_hold", "_key", "_last", "_longest", "_record")

    def __init__(
        self, key: Key, record: Callable[[Key, Stat, int], None], forget_data: Callable[[Key], None]
    ) -> None:
        self._key = key
        self._record = record
        self._forget = forget_data
        self._hold = True
        self._longest = 1.0  # seconds for which a value may stand in
        self._held: Stat | None = None  # the last fresh value, while it may stand in
        self._fresh = 0  # its second
        self._last = 0  # the last second recorded; 0 is none

    def configure(self, missing_stats: MissingStats, panic_window: float) -> None:
        """Set the policy for missing answers and, in seconds, how long a value may be held."""
        self._hold = missing_stats == "hold"
        self._longest = panic_window
        if not self._hold:
            self._held = None

    def succeed(self, second: int, total: Stat) -> None:
        """Record a fresh value, and the held one for seconds between that had no round."""
        if second <= self._last:
            return
        if second > self._last + 1:
            self._stand_in(second - 1)
        self._record(self._key, total, second)
        self._last = self._fresh = second
        if self._hold:
            self._held = total

    def fail(self, second: int) -> None:
        """Count a round without a usable response."""
        self._stand_in(second)

    def scaled_to_zero(self) -> None:
        """Drop the held value: without ready pods nothing is missing."""
        self._held = None

    def clock_set_back(self) -> None:
        """Forget what was recorded for seconds that, by the new clock, are still to come."""
        if self._last:
            self._forget(self._key)
        self._held = None
        self._last = 0

    def _stand_in(self, until: int) -> None:
        """Record the held value for all seconds up to this one, or give it up when it is too old for that."""
        if self._held is None:
            return
        if until - self._fresh > self._longest:
            self._held = None
            self._forget(self._key)
            return
        for second in range(self._last + 1, until + 1):
            self._record(self._key, self._held._replace(timestamp=second), second)
            self._last = second
