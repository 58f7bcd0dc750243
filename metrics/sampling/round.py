"""One revision's rounds: whom each asks in its second, and what the answers say of all pods.

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapePods`). Two things differ. Pods that
owe an answer or failed the last time are asked after all others and not waited for while others answer, so
that a broken pod delays its revision once, until that round's deadline. And an answer that comes after its
round has ended stands in for that pod in the next, so that a pod slower than a round is still heard.

After a round whose sample answered, the next ones ask at once (`metrics.scraping.batch_scrape`) while nothing
is unusual.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from metrics.sampling.failures import Problem, Trouble
from metrics.sampling.gap_filling import Continuity, MissingStats
from metrics.sampling.pod_target import Askable, Exchange, asking_order, extrapolate, is_young, total
from metrics.sampling.routing import Route
from metrics.sampling.sample_size import sample_size
from metrics.stat import Loads, Stat


class Round:
    """The current round of one revision.

    Parameters
    ----------
    continuity : Continuity
        Takes the result, or that there is none.
    ended : callable (float)
        Called at the end of each round with the time at which it began.
    route : Route, optional
        Whom to ask; the pods, if it is not given.
    troubled : callable, optional
        Called when `trouble.problem` has become another one.
    shuffle : callable, optional
        Orders pods by chance, in place; a simulation has its own.
    hush : callable (int), optional
        Returns what asks a sample of that size at once from now on, if no pod has anything else to say.
    """

    __slots__ = (
        "_answers", "_asked", "_awaited", "_began", "_ended", "_hold", "_hush", "_needed", "_open", "_order",
        "_pods_then", "_quiet", "_second", "_shuffle", "_stable_window", "continuity", "pods", "route",
        "trouble",
    )  # fmt: skip

    def __init__(
        self,
        continuity: Continuity,
        ended: Callable[[float], None],
        route: Route | None = None,
        troubled: Callable[[], None] = lambda: None,
        shuffle: Callable[[list[Askable]], None] = random.shuffle,
        hush: Callable[[int], Exchange | None] = lambda sample: None,
    ) -> None:
        self._shuffle = shuffle
        self._hush = hush
        self._quiet: Exchange | None = None  # while there is one, no pod is looked at
        self.continuity = continuity
        self.route = route or Route()
        self.trouble = Trouble(troubled)
        self.pods: Sequence[Askable] = ()
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
        self._asked: list[Askable] = []
        self._order: Iterator[Askable] = iter(())

    def configure(self, stable_window: float, panic_window: float, missing_stats: MissingStats) -> None:
        """Set the windows, in seconds, and what becomes of a second without answers."""
        self._stable_window = stable_window
        self._hold = missing_stats == "hold"
        self.continuity.configure(missing_stats, panic_window)

    def set_pods(self, pods: Sequence[Askable]) -> None:
        """Replace the ready pods; a round that is open keeps those that it asked."""
        self.disclose()
        self.pods = pods
        if not pods:
            self._open = False
            self.continuity.scaled_to_zero()
            self.trouble.succeed()

    def begin(self, second: int, now: float) -> None:
        """Ask a sample of the pods on behalf of a unix second; a round still open ends first."""
        if self._open:
            self._finish()
        if self._quiet is not None:
            self._open, self._second, self._began = True, second, now
            self._quiet.ask()
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
        ordered = asking_order(pods, now, self._stable_window, self._shuffle) if sampled else pods
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
        self.disclose()
        self._open = False
        self.continuity.clock_set_back()

    def heard(self, sums: Loads) -> None:
        """Take the answers of the whole sample together."""
        self._open = False
        self.continuity.succeed(self._second, total(sums, self._needed, self._pods_then, self._second))
        self._ended(self._began)

    def disclose(self) -> None:
        """Look at each pod by itself from now on, as if the open round had asked it so."""
        quiet, self._quiet = self._quiet, None
        if quiet is None or not self._open:
            return
        self._asked = list(quiet.asked)
        self._awaited = len(self._asked)
        self._answers = []
        for pod in self._asked:
            pod.asked_in, pod.awaited = self._second, True
        spares = [pod for pod in self.pods if pod.asked_in != self._second]
        self._shuffle(spares)
        self._order = iter(spares)
        quiet.disclose()

    def answered(self, pod: Askable, stat: Stat) -> None:
        """Take a pod's answer, to this round or to an earlier one."""
        if not self._open or pod.asked_in != self._second:
            pod.late = stat
            return
        pod.late = None
        self._answers.append(stat)
        self._resolve(pod)

    def failed(self, pod: Askable) -> None:
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

    def _resolve(self, pod: Askable) -> None:
        if pod.awaited:
            pod.awaited = False
            self._awaited -= 1
            if not self._awaited:
                self._settle()

    def _settle(self) -> None:
        """End the round once nobody is waited for, and there is nobody else to ask if nobody has answered."""
        self._await_suspects()
        if not self._awaited and not self._answers:
            other = self.route.instead(self.pods)
            if other is not None and other not in self._asked:
                self._turn_to(other)
        if not self._awaited:
            self._finish()

    def _await_suspects(self) -> None:
        """Wait for suspect pods too, as long as nobody has answered."""
        if not self._awaited and not self._answers:
            for pod in self._asked:
                pod.awaited = pod.waiting
                self._awaited += pod.waiting

    def _turn_to(self, other: Askable) -> None:
        """Go on with one that answers for all pods."""
        self._pods_then = self._needed = 1
        self._asked = []
        self._order = iter((other,))
        self._ask_next()
        self._await_suspects()

    def _finish(self) -> None:
        self.disclose()
        self._open = False
        answers = self._answers
        if len(answers) == len(self._asked) == self._needed:
            self._quiet = self._hushed()
        if len(answers) < len(self._asked):
            for pod in self._asked:
                if pod.late is not None:
                    answers.append(pod.late)
                    pod.late = None
        if len(answers) >= (1 if self._hold else self._needed):
            self.continuity.succeed(self._second, extrapolate(answers, self._pods_then, self._second))
            self.trouble.succeed()
        else:
            self.continuity.fail(self._second)
            self.trouble.fail(self._problem)
        self._ended(self._began)

    def _hushed(self) -> Exchange | None:
        """Return what may ask from now on: all pods together, or, of more than a sample, only old ones."""
        pods = self.pods
        if len(pods) != self._pods_then or not self.route.is_plain:
            return None
        if self._needed < len(pods) and any(is_young(pod, self._began, self._stable_window) for pod in pods):
            return None
        return self._hush(self._needed)

    def _problem(self) -> Problem:
        return self.route.problem(self.pods)
