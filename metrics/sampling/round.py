"""One revision's rounds: each scrapes a sample of the pods in its second and extrapolates to all.

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapePods`). Two things differ. Pods with
an outstanding response or a failure are asked after all others and not waited for while others answer, so a
broken pod delays its revision once, until that round's deadline. A response that comes after its round has
ended stands in for that pod in the next round, so a pod slower than a round still counts.

After a round whose sample answered, the next rounds are batch scrapes (`metrics.scraping.batch_scrape`) while
nothing is unusual.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from metrics.sampling.failures import FailureTracker, ScrapeProblem
from metrics.sampling.gap_filling import GapFiller, MissingStats
from metrics.sampling.pod_target import Batch, Scraper, extrapolate, is_young, sampling_order, total
from metrics.sampling.routing import ScrapeRoute
from metrics.sampling.sample_size import sample_size
from metrics.stat import Loads, Stat


class Round:
    """The current round of one revision.

    Parameters
    ----------
    gap_filler : GapFiller
        Receives the result, or that there is none.
    ended : callable (float)
        Called at the end of each round with the time at which it began.
    route : ScrapeRoute, optional
        Chooses between pods and service; pods, if not given.
    on_problem : callable, optional
        Called when `failure_tracker.problem` changes.
    shuffle : callable, optional
        Shuffles pods in place; a simulation has its own.
    batch_scrape : callable (int), optional
        Returns the batch scrape of a sample of that size, if all pods are connected and at rest.
    """

    __slots__ = (
        "_answers", "_asked", "_awaited", "_batch", "_batch_scrape", "_began", "_ended", "_hold", "_needed",
        "_open", "_order", "_pods_then", "_second", "_shuffle", "_stable_window", "failure_tracker",
        "gap_filler", "pods", "route",
    )  # fmt: skip

    def __init__(
        self,
        gap_filler: GapFiller,
        ended: Callable[[float], None],
        route: ScrapeRoute | None = None,
        on_problem: Callable[[], None] = lambda: None,
        shuffle: Callable[[list[Scraper]], None] = random.shuffle,
        batch_scrape: Callable[[int], Batch | None] = lambda sample: None,
    ) -> None:
        self._shuffle = shuffle
        self._batch_scrape = batch_scrape
        self._batch: Batch | None = None  # while set, single pods are not used
        self.gap_filler = gap_filler
        self.route = route or ScrapeRoute()
        self.failure_tracker = FailureTracker(on_problem)
        self.pods: Sequence[Scraper] = ()
        self._ended = ended
        self._stable_window = 60.0
        self._hold = True
        self._open = False
        self._second = 0
        self._began = 0.0
        self._pods_then = 0
        self._needed = 0
        self._awaited = 0
        self._answers: list[Stat] = []
        self._asked: list[Scraper] = []
        self._order: Iterator[Scraper] = iter(())

    def configure(self, stable_window: float, panic_window: float, missing_stats: MissingStats) -> None:
        """Set the windows, in seconds, and the policy for a second without responses."""
        self._stable_window = stable_window
        self._hold = missing_stats == "hold"
        self.gap_filler.configure(missing_stats, panic_window)

    def set_pods(self, pods: Sequence[Scraper]) -> None:
        """Replace the ready pods; a round that is open keeps those that it asked."""
        self.fall_back()
        self.pods = pods
        if not pods:
            self._open = False
            self.gap_filler.scaled_to_zero()
            self.failure_tracker.succeed()

    def begin(self, second: int, now: float) -> None:
        """Ask a sample of the pods on behalf of a unix second; a round still open ends first."""
        if self._open:
            self._finish()
        if self._batch is not None:
            self._open, self._second, self._began = True, second, now
            self._batch.ask()
            return
        pods = self.route.choose(self.pods)
        if not pods:
            return
        self._open = True
        self._second = second
        self._began = now
        self._pods_then = len(pods)
        self._needed = sample_size(len(pods))
        self._awaited = 0
        self._answers = []
        self._asked = []
        sampled = self._needed < len(pods)
        ordered = sampling_order(pods, now, self._stable_window, self._shuffle) if sampled else pods
        self._order = iter(ordered)
        while len(self._asked) < self._needed and self._ask_next():
            pass
        if sampled:
            for pod in pods:
                if pod.asked_in != second:
                    pod.rest()
        self._settle()

    def is_open(self, second: int) -> bool:
        """Say whether the round of that second waits for answers."""
        return self._open and self._second == second

    def expire(self, second: int) -> None:
        """End the round of that second if it is still open: its deadline has come."""
        if self.is_open(second):
            self._finish()

    def clock_set_back(self) -> None:
        """Drop the open round and all that was recorded by the old clock."""
        self.fall_back()
        self._open = False
        self.gap_filler.clock_set_back()

    def batch_answered(self, sums: Loads) -> None:
        """Take the sums of the whole sample."""
        self._open = False
        self.gap_filler.succeed(self._second, total(sums, self._needed, self._pods_then, self._second))
        self._ended(self._began)

    def fall_back(self) -> None:
        """Fall back from batch scrape to single pods, as if the open round had asked each of them."""
        batch, self._batch = self._batch, None
        if batch is None or not self._open:
            return
        self._asked = list(batch.asked)
        self._awaited = len(self._asked)
        self._answers = []
        for pod in self._asked:
            pod.asked_in, pod.awaited = self._second, True
        spares = [pod for pod in self.pods if pod.asked_in != self._second]
        self._shuffle(spares)
        self._order = iter(spares)
        batch.fall_back()

    def answered(self, pod: Scraper, stat: Stat) -> None:
        """Take a pod's stat, for this round or an earlier one."""
        if not self._open or pod.asked_in != self._second:
            pod.late = stat
            return
        pod.late = None
        self._answers.append(stat)
        self._resolve(pod)

    def failed(self, pod: Scraper) -> None:
        """Ask a spare in the place of a pod that failed."""
        if self._open and pod.asked_in == self._second:
            self._ask_next()
            self._resolve(pod)

    def _ask_next(self) -> bool:
        for pod in self._order:
            trusted = pod.trusted
            pod.asked_in = self._second
            if pod.ask():
                pod.awaited = trusted or not self._hold
                self._awaited += pod.awaited
                self._asked.append(pod)
                return True
        return False

    def _resolve(self, pod: Scraper) -> None:
        if pod.awaited:
            pod.awaited = False
            self._awaited -= 1
            if not self._awaited:
                self._settle()

    def _settle(self) -> None:
        """End the round once no pod is awaited; if none answered, first ask the service in their place."""
        self._await_suspects()
        if not self._awaited and not self._answers:
            other = self.route.instead(self.pods)
            if other is not None and other not in self._asked:
                self._turn_to(other)
        if not self._awaited:
            self._finish()

    def _await_suspects(self) -> None:
        """Wait for suspect pods too, as long as no pod has answered."""
        if not self._awaited and not self._answers:
            for pod in self._asked:
                pod.awaited = pod.waiting
                self._awaited += pod.waiting

    def _turn_to(self, other: Scraper) -> None:
        """Continue with the service, which answers for all pods."""
        self._pods_then = self._needed = 1
        self._asked = []
        self._order = iter((other,))
        self._ask_next()
        self._await_suspects()

    def _finish(self) -> None:
        self.fall_back()
        self._open = False
        answers = self._answers
        if len(answers) == len(self._asked) == self._needed:
            self._batch = self._next_batch()
        if len(answers) < len(self._asked):
            for pod in self._asked:
                if pod.late is not None:
                    answers.append(pod.late)
                    pod.late = None
        if len(answers) >= (1 if self._hold else self._needed):
            self.gap_filler.succeed(self._second, extrapolate(answers, self._pods_then, self._second))
            self.failure_tracker.succeed()
        else:
            self.gap_filler.fail(self._second)
            self.failure_tracker.fail(self._problem)
        self._ended(self._began)

    def _next_batch(self) -> Batch | None:
        """Return the batch scrape of the next rounds; with more pods than a sample, only if all are old."""
        pods = self.pods
        if len(pods) != self._pods_then or not self.route.is_plain:
            return None
        if self._needed < len(pods) and any(is_young(pod, self._began, self._stable_window) for pod in pods):
            return None
        return self._batch_scrape(self._needed)

    def _problem(self) -> ScrapeProblem:
        return self.route.problem(self.pods)
