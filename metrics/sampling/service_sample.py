"""Which answers that came through a service stand for all pods behind it.

A service chooses by itself which pod answers. As many ask on behalf of a round as the sample is large, each
until it has heard a pod that nobody heard before and that is old. What young pods say fills the places that
old ones leave free.

    5 pods, sample of 4; o is an old pod, y a young one, r one that has answered before
    asker 1   o             asks no more
    asker 2   y o           asks no more; what the young pod said is kept
    asker 3   r o           asks no more
    asker 4   r r r r r r r r r r   fails at its 10th try; with the young pod four were heard all the same

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapeService`). Two things differ. Once
all pods have been heard nobody asks on, as nothing new can come; the peer asks several times as often when
pods are young. And an asker that fails ends neither the others nor, if enough was heard, the round.
"""

from metrics.sampling.failures import Failure
from metrics.sampling.pod_target import extrapolate
from metrics.sampling.sample_size import sample_size
from metrics.stat import Stat

_MOST_TRIES = 10
"""An asker that hears nothing new at this try, or at a later one, gives up (`scraperMaxRetries`)."""


class ServiceSample:
    """The answers to one round.

    Parameters
    ----------
    pods : int
        Ready pods behind the service, at least 1.
    stable_window : float
        Seconds; pods that run for less are young.

    Attributes
    ----------
    size : int
        Pods that must be heard, and askers.
    """

    __slots__ = (
        "_failure",
        "_heard",
        "_old",
        "_pods",
        "_running",
        "_stable_window",
        "_tries",
        "_young",
        "size",
    )

    def __init__(self, pods: int, stable_window: float) -> None:
        self.size = sample_size(pods)
        self._pods = pods
        self._stable_window = stable_window
        self._heard: set[str] = set()
        self._old: list[Stat] = []
        self._young: list[Stat] = []
        self._tries = [0] * self.size
        self._running = set(range(self.size))
        self._failure: Failure | None = None

    @property
    def done(self) -> bool:
        """Nobody needs to ask any more."""
        return not self._running

    def asks_on(self, asker: int) -> bool:
        """Tell whether an asker has to ask (again)."""
        return asker in self._running

    def take(self, asker: int, stat: Stat) -> None:
        """Take an answer to an asker."""
        if stat.pod_name in self._heard:
            self.miss(asker, Failure.REPEATED)
            return
        self._tries[asker] += 1
        self._heard.add(stat.pod_name)
        if stat.process_uptime >= self._stable_window:
            self._old.append(stat)
            self._running.discard(asker)
        elif len(self._young) < self.size:
            self._young.append(stat)
        else:
            self._running.discard(asker)
        if len(self._heard) >= self._pods:
            self._running.clear()

    def miss(self, asker: int, failure: Failure) -> None:
        """Take note that an asker heard nothing new."""
        self._tries[asker] += 1
        if self._tries[asker] >= _MOST_TRIES:
            self._running.discard(asker)
            self._failure = self._failure or failure

    def total(self) -> Stat | Failure:
        """Return what was heard, scaled up to all pods, or why that is not enough.

        Examples
        --------
        >>> sample = ServiceSample(pods=2, stable_window=60.0)
        >>> sample.take(0, Stat("a", 1.0)), sample.take(1, Stat("b", 2.0, process_uptime=90.0))
        (None, None)
        >>> sample.done, sample.total().average_concurrent_requests
        (True, 3.0)
        """
        chosen = [*self._old, *self._young][: self.size]
        if len(chosen) < self.size:
            return self._failure or Failure.TIMEOUT
        return extrapolate(chosen, self._pods, 0)
