"""One revision's rounds: whom each asks in its second, and what the answers say of all pods.

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapePods`). Two things differ. Pods that
owe an answer or failed the last time are asked after all others and not waited for while others answer, so
that a broken pod delays its revision once, until that round's deadline. And an answer that comes after its
round has ended stands in for that pod in the next, so that a pod slower than a round is still heard.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from metrics.continuity import Continuity, MissingStats
from metrics.sampling import sample_size
from metrics.stat import Stat

SCRAPER_NAME = "service-scraper"
"""Who reports a revision's total; Knative's name for it."""


class Target(NamedTuple):
    """Where one ready pod's queue-proxy answers.

    Attributes
    ----------
    name : str
        Unique within the revision.
    host, port : str, int
        An address (IPv6 without brackets) or a name, and the port of `/metrics`.
    started_at : float
        Unix time in seconds at which the pod started.
    through : str
        The service whose mesh lets requests pass to this very pod; empty if pods are simply reached.
    """

    name: str
    host: str
    port: int
    started_at: float
    through: str = ""


class Askable(Protocol):
    """What a round needs of a pod; it tells `Round.answered` or `Round.failed`, but never within `ask`.

    Attributes
    ----------
    trusted : bool
        It answered whatever it was asked.
    waiting : bool
        It owes an answer, perhaps to an earlier round.
    asked_in, awaited : int, bool
        The round's own notes: the second in which it asked last, and whether that round waits for the answer.
    late : Stat or None
        An answer that came after its round had ended.
    """

    target: Target
    trusted: bool
    waiting: bool
    asked_in: int
    awaited: bool
    late: Stat | None

    def ask(self) -> bool:
        """Ask for a stat, unless it owes one already; False if none is to be had now."""

    def rest(self) -> None:
        """Let a round pass without being asked."""


def asking_order(
    pods: Sequence[Askable],
    now: float,
    stable_window: float,
    shuffle: Callable[[list[Askable]], None] = random.shuffle,
) -> list[Askable]:
    """Order pods by how well they stand for all: trusted before others, old before young, else by chance.

    A pod as old as the stable window carries a usual share of the load; a young one fills up or is a spare.
    """
    classes: tuple[list[Askable], ...] = ([], [], [], [])
    for pod in pods:
        young = now - pod.target.started_at < stable_window
        classes[2 * (not pod.trusted) + young].append(pod)
    for group in classes:
        shuffle(group)
    return [pod for group in classes for pod in group]


def extrapolate(stats: Sequence[Stat], pods: int, second: int) -> Stat:
    """Scale the stats of some pods up to all of them.

    Examples
    --------
    >>> extrapolate([Stat("a", 2.0), Stat("b", 4.0)], pods=10, second=100).average_concurrent_requests
    30.0
    """
    concurrency = proxied = requests = proxied_requests = 0.0
    for _, of_concurrency, of_proxied, of_requests, of_proxied_requests, _, _ in stats:
        concurrency += of_concurrency
        proxied += of_proxied
        requests += of_requests
        proxied_requests += of_proxied_requests
    answers = len(stats)
    return Stat(
        SCRAPER_NAME,
        concurrency / answers * pods,
        proxied / answers * pods,
        requests / answers * pods,
        proxied_requests / answers * pods,
        0.0,
        second,
    )


class Round:
    """The current round of one revision.

    Parameters
    ----------
    continuity : Continuity
        Takes the result, or that there is none.
    ended : callable (float)
        Called at the end of each round with the time at which it began.
    """

    __slots__ = (
        "_answers", "_asked", "_awaited", "_began", "_ended", "_hold", "_needed", "_open", "_order",
        "_pods_then", "_second", "_stable_window", "continuity", "pods",
    )  # fmt: skip

    def __init__(self, continuity: Continuity, ended: Callable[[float], None]) -> None:
        self.continuity = continuity
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
        self.pods = pods
        if not pods:
            self._open = False
            self.continuity.scaled_to_zero()

    def begin(self, second: int, now: float) -> None:
        """Ask a sample of the pods on behalf of a unix second; a round still open ends first."""
        if self._open:
            self._finish()
        pods = self.pods
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
        self._order = iter(asking_order(pods, now, self._stable_window) if sampled else pods)
        while len(self._asked) < self._needed and self._ask_next():
            pass
        if sampled:
            for pod in pods:
                if pod.asked_in != second:
                    pod.rest()
        self._settle()

    def expire(self, second: int) -> None:
        """End the round of that second if it is still open: its deadline has come."""
        if self._open and self._second == second:
            self._finish()

    def clock_set_back(self) -> None:
        """Drop the open round and all that was recorded by the old clock."""
        self._open = False
        self.continuity.clock_set_back()

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
        """End the round once nobody is waited for; suspect pods are, as long as nobody has answered."""
        if not self._awaited and not self._answers:
            for pod in self._asked:
                pod.awaited = pod.waiting
                self._awaited += pod.waiting
        if not self._awaited:
            self._finish()

    def _finish(self) -> None:
        self._open = False
        answers = self._answers
        if len(answers) < len(self._asked):
            for pod in self._asked:
                if pod.late is not None:
                    answers.append(pod.late)
                    pod.late = None
        if len(answers) >= (1 if self._hold else self._needed):
            self.continuity.succeed(self._second, extrapolate(answers, self._pods_then, self._second))
        else:
            self.continuity.fail(self._second)
        self._ended(self._began)
