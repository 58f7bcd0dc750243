"""From the recommended scale to the requested one: bounds, the way to zero, and the path of requests.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/kpa.go` and `scaler.go`.
"""

from dataclasses import dataclass, replace

from config.resolve import RevisionSettings
from scaler.rules.bounds import UNKNOWN, active_threshold, bounds
from scaler.rules.scale_to_zero import Activity, LifecycleState, ZeroStep, next_activity, toward_zero
from scaler.rules.trace import Rule

_PASSES = 4
"""A changed condition is looked at again at once; the longest chain is timed out, inactive, gone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about a revision now.

    Attributes
    ----------
    requested : int
        Scale within bounds; -1 if it is not known.
    replicas : int or None
        Replicas to ask the cluster for; None leaves them as they are.
    again_at : float or None
        Unix seconds at which the plan must be made anew even if nothing changes.
    proxied : bool or None
        Activators belong in the request path; None leaves the path as it is, while nothing is known yet.
    lifecycle : LifecycleState
        Where the revision is now.
    rule : Rule or None
        What bound the scale after the decision; None if nothing did.
    known : int
        The last scale that was known, `requested` or an earlier one; -1 if none was.
    """

    requested: int
    replicas: int | None
    again_at: float | None
    proxied: bool | None
    lifecycle: LifecycleState
    rule: Rule | None = None
    known: int = UNKNOWN

    def following(self, before: "Plan") -> "Plan":
        """Return the plan with the last scale that was known, if need be by the plan before."""
        return replace(self, known=before.known if self.requested == UNKNOWN else self.requested)


def plan(
    settings: RevisionSettings,
    lifecycle: LifecycleState,
    recommended: int,
    excess: int,
    ready_pods: int,
    activator_answers: bool,
    now: float,
) -> Plan:
    """Return the plan for a revision, passes over a changed condition included.

    What an earlier pass asks for stands unless a later one asks for something else: an activation that is
    given up asks for no replicas, whatever the last pod of an inactive revision would wait for.

    Parameters
    ----------
    settings : RevisionSettings
    lifecycle : LifecycleState
        After the last plan.
    recommended, excess : int
        The last decision; a recommended scale of -1 is none yet.
    ready_pods : int
    activator_answers : bool
        An activator answers requests for the revision.
    now : float
        Unix seconds.
    """
    replicas = None
    for _ in range(_PASSES):
        before = lifecycle
        made = _one_pass(settings, before, recommended, excess, ready_pods, activator_answers, now)
        replicas = replicas if made.replicas is None else made.replicas
        lifecycle = made.lifecycle
        if lifecycle.activity is before.activity:
            break
    return replace(made, replicas=replicas)


def _one_pass(
    settings: RevisionSettings,
    lifecycle: LifecycleState,
    recommended: int,
    excess: int,
    ready_pods: int,
    activator_answers: bool,
    now: float,
) -> Plan:
    step = _scale(settings, lifecycle, recommended, activator_answers, now)
    proxied = not (step.requested > 0 and excess >= 0)
    threshold = active_threshold(
        settings.min_scale, settings.initial_scale, lifecycle.initialized, settings.reachable
    )
    activity = next_activity(lifecycle.activity, step.requested, ready_pods, threshold)
    after = replace(
        lifecycle,
        activity=activity,
        since=lifecycle.since if activity is lifecycle.activity else now,
        initialized=lifecycle.initialized or ready_pods >= threshold,
        proxied_since=_proxied_since(lifecycle, proxied or ready_pods == 0, now),
    )
    path = None if recommended < 0 and step.requested == UNKNOWN else proxied
    return Plan(step.requested, step.replicas, step.again_at, path, after, step.rule)


def _scale(
    settings: RevisionSettings,
    lifecycle: LifecycleState,
    recommended: int,
    activator_answers: bool,
    now: float,
) -> ZeroStep:
    """Bring a recommended scale within bounds, and a scale of zero on its way."""
    if recommended < 0 and lifecycle.activity is not Activity.ACTIVATING:
        return ZeroStep(UNKNOWN, rule=Rule.NO_DATA)
    within = bounds(
        settings.min_scale,
        settings.max_scale,
        settings.initial_scale,
        lifecycle.initialized,
        settings.reachable,
    )
    scale = within.apply(recommended)
    if scale != 0:
        return ZeroStep(scale, scale, rule=_bound_by(settings, recommended, scale))
    return toward_zero(settings, lifecycle, activator_answers, now)


def _bound_by(settings: RevisionSettings, recommended: int, scale: int) -> Rule | None:
    if scale == recommended:
        return None
    if scale < recommended:
        return Rule.MAX_SCALE
    return Rule.MIN_SCALE if settings.reachable and scale == settings.min_scale else Rule.INITIAL_SCALE


def _proxied_since(lifecycle: LifecycleState, proxied: bool, now: float) -> float | None:
    if not proxied:
        return None
    return now if lifecycle.proxied_since is None else lifecycle.proxied_since
