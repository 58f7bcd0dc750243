"""The load that an activator reports: its requests, waiting or forwarded."""

from dataclasses import dataclass

from metrics.key import Key
from metrics.stat import Stat, StatMessage


@dataclass(slots=True)
class _RevisionLoad:
    """Load of one revision since its last report.

    `announced` and `announced_count` were sent ahead of the report and are subtracted from it.
    """

    since: float
    changed_at: float
    in_flight: int = 0
    integral: float = 0.0
    arrivals: int = 0
    announced: int = 1
    announced_count: int = 1

    def advance(self, now: float) -> None:
        if now > self.changed_at:
            self.integral += self.in_flight * (now - self.changed_at)
            self.changed_at = now

    def cut(self, now: float) -> tuple[float, int]:
        """Average concurrency and arrivals since the last cut, which start again from zero."""
        self.advance(now)
        elapsed = self.changed_at - self.since
        average = self.integral / elapsed if elapsed > 0 else 0.0
        arrivals, self.arrivals, self.integral, self.since = self.arrivals, 0, 0.0, self.changed_at
        return average, arrivals


class RequestLoad:
    """Requests in flight (waiting or forwarded) and arrivals of every revision that has some.

    The first request to an idle revision is announced at once as concurrency 1 and count 1, because a
    revision at zero can start only when the autoscaler knows of it; the next report takes that out again,
    as both land in the same second of the autoscaler's window. A revision without any concurrency between
    two reports is reported as 0 once and forgotten: it is idle.

    Parameters
    ----------
    pod_name : str
        Who reports.

    Notes
    -----
    Source: `knative/serving pkg/activator/handler/concurrency_reporter.go`. Stats carry no timestamp. Cost is
    constant for a request and linear in busy revisions for a report.

    Example
    -------
    >>> load, hello = RequestLoad("activator-1"), Key("default", "hello-00001")
    >>> load.arrived(hello, now=10.0).stat.average_concurrent_requests
    1.0
    >>> load.arrived(hello, now=10.5)
    >>> [message.stat.average_concurrent_requests for message in load.report(now=11.0)]  # 1.5 - 1
    [0.5]
    """

    def __init__(self, pod_name: str) -> None:
        self._pod_name = pod_name
        self._loads: dict[Key, _RevisionLoad] = {}

    def arrived(self, key: Key, now: float) -> StatMessage | None:
        """Count a request in; returns what must be sent at once, None for a revision that is not idle.

        Parameters
        ----------
        now : float
            Monotonic seconds; an earlier one than the last adds no time.
        """
        load = self._loads.get(key)
        first = load is None
        if load is None:
            load = self._loads[key] = _RevisionLoad(since=now, changed_at=now)
        load.advance(now)
        load.in_flight += 1
        load.arrivals += 1
        return self._message(key, 1.0, 1.0) if first else None

    def left(self, key: Key, now: float) -> None:
        """Count a request out that was counted in."""
        load = self._loads[key]
        load.advance(now)
        load.in_flight -= 1

    def report(self, now: float) -> list[StatMessage]:
        """Average concurrency and arrivals since the last report, less what was announced; forgets idle ones.

        A revision's first average runs from its first request, not from the last report.
        """
        messages = []
        for key, load in list(self._loads.items()):
            average, arrivals = load.cut(now)
            concurrency = max(average - load.announced, 0.0)
            messages.append(self._message(key, concurrency, float(arrivals - load.announced_count)))
            load.announced = load.announced_count = 0
            if average == 0 and load.in_flight == 0:
                del self._loads[key]
        return messages

    def resume(self, now: float) -> list[StatMessage]:
        """What a receiver must know that has heard nothing for a while: the requests in flight right now.

        Load of the time that it missed is let go: a stat is worth something only in its own second. Each
        revision with requests in flight is announced at once, by the rule of the first request: with all
        that are in flight, and count 1.
        """
        messages = []
        for key, load in list(self._loads.items()):
            load.cut(now)
            if load.in_flight == 0:
                del self._loads[key]
                continue
            load.announced, load.announced_count, load.arrivals = load.in_flight, 1, 1
            messages.append(self._message(key, float(load.in_flight), 1.0))
        return messages

    def in_flight(self) -> int:
        """Requests of all revisions that are counted in and not out."""
        return sum(load.in_flight for load in self._loads.values())

    def check_valid(self) -> None:
        """Assert what holds at any time."""
        for key, load in self._loads.items():
            assert load.in_flight >= 0, f"{key} has {load.in_flight} requests in flight"
            assert load.integral >= 0, f"{key} has integral {load.integral}"
            assert load.arrivals >= load.announced_count, f"{key} announced more requests than arrived"

    def _message(self, key: Key, concurrency: float, count: float) -> StatMessage:
        stat = Stat(self._pod_name, average_concurrent_requests=concurrency, request_count=count)
        return StatMessage(key.namespace, key.name, stat)
