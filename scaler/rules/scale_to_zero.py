"""To zero and back: what a revision without load waits for before its last pod goes, as a function of times.

A revision is activating, active or inactive. Without load it stays active for a stable window, is then
declared inactive, which takes it out of direct routing, and loses its last pod when the activators are known
to answer for it and the grace period or the retention period has passed.

Source: ConfigMap keys `enable-scale-to-zero`, `scale-to-zero-grace-period` and
`scale-to-zero-pod-retention-period`; `knative/serving pkg/reconciler/autoscaling/kpa/scaler.go` and `kpa.go`.
"""

from dataclasses import dataclass
from enum import Enum

from config.resolve import RevisionSettings
from scaler.rules.bounds import UNKNOWN
from scaler.rules.burst import UNLIMITED
from scaler.rules.trace import Rule

ACTIVATION_MARGIN = 30.0
"""Seconds given to an activation beyond the progress deadline, for what runs before it is seen."""

_PROBE_AGAIN = 1.0
"""Seconds until an activator that did not answer is asked again."""

_MODE_AGAIN = 3.0
"""Seconds until a revision that became inactive in proxy mode is looked at again."""


class Activity(Enum):
    """Condition `Active` of a revision; the two ways to be inactive differ in their reason only."""

    ACTIVATING = "activating"
    ACTIVE = "active"
    NO_TRAFFIC = "inactive"
    TIMED_OUT = "timed out"

    @property
    def inactive(self) -> bool:
        """The condition is False."""
        return self in (Activity.NO_TRAFFIC, Activity.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class LifecycleState:
    """Where a revision is on its way.

    Attributes
    ----------
    activity : Activity
    since : float
        Unix seconds at which the activity began.
    initialized : bool
        It had as many ready pods as it must begin with, once.
    proxied_since : float or None
        Unix seconds since which activators have been in its path without a break; None while they are not.
    """

    activity: Activity
    since: float
    initialized: bool = False
    proxied_since: float | None = None


@dataclass(frozen=True, slots=True)
class ZeroStep:
    """What to do about a revision that no load asks a pod for.

    Attributes
    ----------
    requested : int
        The requested scale; -1 if it is not known yet.
    replicas : int or None
        Replicas to ask the cluster for; None leaves them.
    again_at : float or None
        Unix seconds at which to look again.
    rule : Rule or None
        What keeps a pod, or the answer, from zero; None if nothing does.
    """

    requested: int
    replicas: int | None = None
    again_at: float | None = None
    rule: Rule | None = None


def toward_zero(
    settings: RevisionSettings, lifecycle: LifecycleState, activator_answers: bool, now: float
) -> ZeroStep:
    """Return the next step of a revision whose recommended scale is 0.

    Parameters
    ----------
    settings : RevisionSettings
    lifecycle : LifecycleState
    activator_answers : bool
        An activator answers requests for the revision, so none gets lost when the last pod goes.
    now : float
        Unix seconds.
    """
    if not settings.enable_scale_to_zero:
        return ZeroStep(1, 1, rule=Rule.ENABLE_SCALE_TO_ZERO)
    if lifecycle.activity is Activity.ACTIVATING:
        return _while_activating(settings, lifecycle, now)
    if lifecycle.activity is Activity.ACTIVE:
        return _while_active(settings, lifecycle, now)
    if settings.target_burst_capacity != UNLIMITED and not activator_answers:
        return ZeroStep(0, again_at=now + _PROBE_AGAIN, rule=Rule.ACTIVATOR)
    return _while_inactive(settings, lifecycle, now)


def _while_activating(settings: RevisionSettings, lifecycle: LifecycleState, now: float) -> ZeroStep:
    """Give an activation its time; what has not become ready by then never will."""
    given_up_at = lifecycle.since + settings.progress_deadline + ACTIVATION_MARGIN
    if now < given_up_at:
        return ZeroStep(UNKNOWN, again_at=given_up_at, rule=Rule.PROGRESS_DEADLINE)
    return ZeroStep(0, 0, rule=Rule.PROGRESS_DEADLINE)


def _while_active(settings: RevisionSettings, lifecycle: LifecycleState, now: float) -> ZeroStep:
    """Declare a revision inactive once it has been active for a stable window; keep one pod until then."""
    idle_from = lifecycle.since + settings.stable_window
    if now < idle_from:
        return ZeroStep(1, 1, idle_from, Rule.STABLE_WINDOW)
    return ZeroStep(0, again_at=None if lifecycle.proxied_since is None else now + _MODE_AGAIN)


def _while_inactive(settings: RevisionSettings, lifecycle: LifecycleState, now: float) -> ZeroStep:
    """Keep the last pod for the retention period, or until routing has had the grace period to settle."""
    grace = settings.scale_to_zero_grace_period
    retention = settings.scale_to_zero_pod_retention_period if settings.reachable else 0.0
    inactive = now - lifecycle.since
    if inactive >= max(grace, retention):
        return ZeroStep(0, 0)
    if inactive < retention:
        return ZeroStep(0, again_at=lifecycle.since + retention, rule=Rule.RETENTION_PERIOD)
    settled_at = now + grace if lifecycle.proxied_since is None else lifecycle.proxied_since + grace
    if settled_at <= now:
        return ZeroStep(0, 0)
    return ZeroStep(0, again_at=settled_at, rule=Rule.GRACE_PERIOD)


def next_activity(activity: Activity, requested: int, ready_pods: int, threshold: int) -> Activity:
    """Return the condition after a pass.

    Parameters
    ----------
    activity : Activity
        Before.
    requested : int
        Of this pass; -1 if unknown.
    ready_pods : int
    threshold : int
        Ready pods from which the revision is active.
    """
    if requested == 0 or threshold == 0:
        timed_out = activity is Activity.ACTIVATING and threshold > 0
        return Activity.TIMED_OUT if timed_out else Activity.NO_TRAFFIC
    if requested > 0 or not activity.inactive:
        return Activity.ACTIVE if ready_pods >= threshold else Activity.ACTIVATING
    return Activity.NO_TRAFFIC if ready_pods < threshold else activity
