"""The sample of responses that came through a service, and what they say about all pods behind it.

A service chooses which pod answers. A round starts one worker per pod of the sample. Each worker tries until
an old pod answers that has not answered before. Stats of young pods fill the gaps that old ones leave.

    5 pods, sample of 4; o is an old pod, y a young one, r one that has answered before
    worker 1   o             done
    worker 2   y o           done; the stat of the young pod is kept
    worker 3   r o           done
    worker 4   r r r r r r r r r r   fails at its 10th try; with the young pod there are four stats

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapeService`). Two things differ. Once
all pods have answered, all workers stop, as nothing new can come; Knative asks several times as often when
pods are young. And a worker that fails ends neither the others nor, if there are enough stats, the round.
"""

from metrics.sampling.failures import Failure
from metrics.sampling.pod_target import extrapolate
from metrics.sampling.sample_size import sample_size
from metrics.stat import Stat

_MOST_TRIES = 10
"""A worker without a new pod at this try, or at a later one, gives up (`scraperMaxRetries`)."""


class ServiceSample:
    """The responses of one round.

    Parameters
    ----------
    pods : int
        Ready pods behind the service, at least 1.
    stable_window : float
        Seconds; pods that run for less are young.

    Attributes
    ----------
    size : int
        Pods that must answer, and workers.
    """

    __slots__ = (
        "_failure",
        "_old",
        "_pods",
        "_running",
        "_seen",
        "_stable_window",
        "_tries",
        "_young",
        "size",
    )

    def __init__(self, pods: int, stable_window: float) -> None:
        self.size = sample_size(pods)
        self._pods = pods
        self._stable_window = stable_window
        self._seen: set[str] = set()
        self._old: list[Stat] = []
        self._young: list[Stat] = []
        self._tries = [0] * self.size
        self._running = set(range(self.size))
        self._failure: Failure | None = None

    @property
    def done(self) -> bool:
        """No worker needs another try."""
        return not self._running

    def needs_try(self, worker: int) -> bool:
        """Say whether a worker needs a (further) try."""
        return worker in self._running

    def take(self, worker: int, stat: Stat) -> None:
        """Take the stat of a worker's try."""
        if stat.pod_name in self._seen:
            self.miss(worker, Failure.REPEATED)
            return
        self._tries[worker] += 1
        self._seen.add(stat.pod_name)
        if stat.process_uptime >= self._stable_window:
            self._old.append(stat)
            self._running.discard(worker)
        elif len(self._young) < self.size:
            self._young.append(stat)
        else:
            self._running.discard(worker)
        if len(self._seen) >= self._pods:
            self._running.clear()

    def miss(self, worker: int, failure: Failure) -> None:
        """Count a try of a worker that gave nothing new."""
        self._tries[worker] += 1
        if self._tries[worker] >= _MOST_TRIES:
            self._running.discard(worker)
            self._failure = self._failure or failure

    def total(self) -> Stat | Failure:
        """Return the sample scaled up to all pods, or why it is not enough.

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
