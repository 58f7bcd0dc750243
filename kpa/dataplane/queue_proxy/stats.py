"""The load of one replica, second by second.

Source: `knative/networking pkg/http/stats/request.go`, `knative/serving
pkg/queue/protobuf_stats_reporter.go`.
"""

from metrics.stat import Stat

PERIOD = 1.0
"""Seconds that a report covers, by which arrivals are divided."""


class RequestStats:
    """Counts requests in flight and arrivals, and reports their averages.

    A request counts from its arrival until its response is complete, also while it waits for its turn. One
    that an activator passed on counts as proxied as well, as the activator reports it itself.

    Parameters
    ----------
    pod_name : str
        Who reports.
    now : float
        Seconds of any steady clock; so in all methods.

    Example
    -------
    Two requests, one of them for half of the second:

    >>> stats = RequestStats("pod-1", now=0.0)
    >>> stats.arrive(0.0, proxied=False)
    >>> stats.arrive(0.5, proxied=True)
    >>> stats.report(1.0)[1:5]
    (1.5, 0.5, 2.0, 1.0)
    """

    def __init__(self, pod_name: str, now: float) -> None:
        self.latest = Stat(pod_name)
        self._pod_name = pod_name
        self._started = now
        self._changed = now
        self._in_flight = 0
        self._proxied = 0
        self._clear()

    @property
    def in_flight(self) -> int:
        """Requests in flight now."""
        return self._in_flight

    def arrive(self, now: float, *, proxied: bool) -> None:
        """Count a request that has come."""
        self._advance(now)
        self._in_flight += 1
        self._arrivals += 1
        if proxied:
            self._proxied += 1
            self._proxied_arrivals += 1

    def leave(self, now: float, *, proxied: bool) -> None:
        """Count a request that is over."""
        self._advance(now)
        self._in_flight -= 1
        if proxied:
            self._proxied -= 1

    def report(self, now: float) -> Stat:
        """End a period, and keep its averages as `latest`, whose values are 0 before the first time."""
        self._advance(now)
        elapsed = self._elapsed or 1.0
        self.latest = Stat(
            self._pod_name,
            self._in_flight_seconds / elapsed,
            self._proxied_seconds / elapsed,
            self._arrivals / PERIOD,
            self._proxied_arrivals / PERIOD,
            now - self._started,
        )
        self._clear()
        return self.latest

    def _advance(self, now: float) -> None:
        """Add the time since the last change to the integrals; a clock that goes back adds nothing."""
        passed = now - self._changed
        if passed > 0.0:
            self._elapsed += passed
            self._in_flight_seconds += self._in_flight * passed
            self._proxied_seconds += self._proxied * passed
            self._changed = now

    def _clear(self) -> None:
        self._elapsed = 0.0
        self._in_flight_seconds = 0.0
        self._proxied_seconds = 0.0
        self._arrivals = 0
        self._proxied_arrivals = 0
