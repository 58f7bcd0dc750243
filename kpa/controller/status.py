"""What the autoscaler knows of a revision at one moment, for telemetry, the API and people."""

from dataclasses import dataclass
from typing import Literal

from metrics.key import Key

Mode = Literal["stable", "panic", "no data", "fixed"]
Activity = Literal["activating", "active", "inactive"]


@dataclass(frozen=True, slots=True)
class NextEvent:
    """Something that will happen at a unix time (seconds) if the load stays as it is."""

    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What we want of a revision that another autoscaler scales, beside what that one wants.

    Attributes
    ----------
    ours, theirs : int or None
        Pods requested now; None while the two cannot be compared.
    since : float or None
        Unix seconds since which they differ; None while they do not.
    compared, differed : float
        Seconds for which both were known, and for which they differed.
    our_pods, their_pods : float
        Pod-seconds that we would have asked for, and that were asked for.
    """

    ours: int | None = None
    theirs: int | None = None
    since: float | None = None
    compared: float = 0.0
    differed: float = 0.0
    our_pods: float = 0.0
    their_pods: float = 0.0

    @property
    def difference(self) -> int:
        """Pods that we want more than the other; 0 while the two cannot be compared."""
        return 0 if self.ours is None or self.theirs is None else self.ours - self.theirs


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """One revision, seen from outside.

    Attributes
    ----------
    service, configuration : str
        Labels; the service may be empty.
    metric : str
        `concurrency` or `rps`.
    recommended : int
        The decider's answer before bounds; -1 before the first one.
    requested : int
        What is asked of the Deployment: after bounds, initial scale and the way to zero. It keeps its value
        while nothing is known. Source: `podCounts.want` in `knative/serving
        pkg/reconciler/autoscaling/kpa/kpa.go`.
    replicas, ready, not_ready, pending, terminating : int
        Pods asked of the cluster and their states.
    stable, panic : float or None
        Window values in requests in flight (or requests a second); None without data.
    target, total : float
        What one pod is aimed at, and what it can take.
    excess_burst_capacity : float
        Negative keeps the activator in path.
    panicking : bool
    mode : Mode
    activity : Activity
    min_scale, max_scale : int
        Bounds; a max of 0 is none.
    rule : str
        What bound the pods requested, a `scaler.rules.trace.Rule`.
    next_event : NextEvent or None
    comparison : Comparison or None
        With another autoscaler, where that one is in charge.
    """

    key: Key
    service: str
    configuration: str
    metric: str
    recommended: int
    requested: int
    replicas: int
    ready: int
    not_ready: int
    pending: int
    terminating: int
    stable: float | None
    panic: float | None
    target: float
    total: float
    excess_burst_capacity: float
    panicking: bool
    mode: Mode
    activity: Activity
    min_scale: int
    max_scale: int
    rule: str = "load"
    next_event: NextEvent | None = None
    comparison: Comparison | None = None

    @property
    def decision(self) -> tuple[int, int, str, str]:
        """The part whose change is logged."""
        return self.recommended, self.requested, self.mode, self.activity
