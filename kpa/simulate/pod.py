"""One simulated pod: a queue-proxy that limits and counts, and what the scraper sees of it."""

from collections import OrderedDict

from kpa.dataplane.queue_proxy.server import QUEUE_DEPTH_FACTOR
from kpa.dataplane.queue_proxy.stats import RequestStats
from metrics.sampling.failures import Failure
from metrics.sampling.pod_target import PodTarget
from metrics.stat import Stat


class SimulatedPod:
    """A pod; it is a `metrics.sampling.pod_target.Scraper` that always answers.

    Parameters
    ----------
    name : str
    started_at : float
        Seconds from the start of the simulation.
    epoch : float
        Unix time of that start.
    concurrency : int
        Requests that it works on at once; 0 is no limit.

    Attributes
    ----------
    ready, terminating : bool
    working : int
        Requests that are worked on.
    given : int
        Requests that the activator has in flight here.
    queue : ordered keys of int
        Requests that wait for their turn.
    waiting : bool
        It owes an answer; never.
    """

    __slots__ = (
        "asked", "asked_in", "awaited", "concurrency", "failure", "given", "late", "name", "queue", "ready",
        "started_at", "stats", "target", "terminating", "terminating_since", "trusted", "waiting", "working",
    )  # fmt: skip

    def __init__(self, name: str, started_at: float, epoch: float, concurrency: int) -> None:
        self.name = name
        self.started_at = started_at
        self.concurrency = concurrency
        self.stats = RequestStats(name, started_at)
        self.ready = self.terminating = False
        self.terminating_since = 0.0
        self.working = self.given = 0
        self.queue: OrderedDict[int, None] = OrderedDict()
        self.target = PodTarget(name, "simulated", 9090, epoch + started_at)
        self.trusted, self.waiting, self.awaited = True, False, False
        self.asked_in = 0
        self.late: Stat | None = None
        self.failure: Failure | None = None
        self.asked = False

    @property
    def usable(self) -> bool:
        """It gets new requests."""
        return self.ready and not self.terminating

    @property
    def idle(self) -> bool:
        """No request is in flight here."""
        return not self.working and not self.queue

    @property
    def has_turn(self) -> bool:
        """It would work on one more request now."""
        return not self.concurrency or self.working < self.concurrency

    @property
    def is_full(self) -> bool:
        """It turns further requests away."""
        return len(self.queue) >= self.concurrency * QUEUE_DEPTH_FACTOR

    def ask(self) -> bool:
        """Be asked for a stat by a round."""
        self.asked = True
        return True

    def rest(self) -> None:
        """Let a round pass."""
