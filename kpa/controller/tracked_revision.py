"""One revision of the fleet as the reconciler keeps it, and the status that it reports."""

from dataclasses import dataclass

from config.resolve import RevisionSettings
from kpa.controller.explain import PAST, PastDecision
from kpa.controller.revisions import Revision
from kpa.controller.status import Activity as ActivityName
from kpa.controller.status import Mode, NextEvent, RevisionStatus
from scaler.engine.decision import Decision
from scaler.rules.burst import UNLIMITED
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity
from scaler.rules.trace import Rule


@dataclass(slots=True)
class TrackedRevision:
    """What is known of a revision beyond what the engine keeps.

    Attributes
    ----------
    revision : Revision
        As the cluster last reported it.
    settings : RevisionSettings
        Those in force.
    plan : Plan
        The last one.
    last_reported : RevisionStatus or None
        The status that was logged last.
    no_traffic_from : float or None
        Unix seconds from which the revision has no traffic if it still has neither pods nor data then.
    asked : int or None
        Replicas asked for that the cluster has not confirmed yet.
    in_charge : bool
        Activators report of it to us, and the cluster does what we say.
    no_traffic : bool
        The last plan was made for a revision without traffic, whatever its last decision says.
    past : tuple of PastDecision
        Its last changed decisions, newest first.
    """

    revision: Revision
    settings: RevisionSettings
    plan: Plan
    last_reported: RevisionStatus | None = None
    no_traffic_from: float | None = None
    asked: int | None = None
    in_charge: bool = True
    no_traffic: bool = False
    past: tuple[PastDecision, ...] = ()

    @property
    def scraped(self) -> bool:
        """Its pods are asked for their load; not where activators see all requests and report them."""
        return not self.in_charge or self.settings.target_burst_capacity != UNLIMITED

    def has_no_traffic(self, decision: Decision, now: float) -> bool:
        """Tell whether no pod was ready, and nobody reported anything, for a whole stable window.

        Such a revision has no traffic: its pods crash or never start, and no request waits for them. Knative
        keeps its last scale for ever. It is not known where activators report to another process.
        """
        if not self.in_charge or self.revision.ready_pods or not self.revision.replicas:
            self.no_traffic_from = None
            return False
        if decision.valid or self.no_traffic_from is None:
            self.no_traffic_from = now + self.settings.stable_window
        return not decision.valid and now >= self.no_traffic_from

    def report(self, decision: Decision, now: float) -> tuple[RevisionStatus | None, RevisionStatus]:
        """Return the status that was reported last and the present one; a changed decision is kept."""
        before, status = self.last_reported, self.status(decision)
        self.last_reported = status
        if before is None or before.decision != status.decision:
            past = PastDecision(
                now,
                status.recommended,
                status.requested,
                status.ready,
                status.stable,
                status.panic,
                status.mode,
                status.rule,
            )
            self.past = (past, *self.past[: PAST - 1])
        return before, status

    def rule(self, decision: Decision) -> Rule:
        """Return what bound the pods requested now."""
        if self.plan.rule is not None:
            return self.plan.rule
        return Rule.NO_TRAFFIC if self.no_traffic else decision.rule

    def status(self, decision: Decision) -> RevisionStatus:
        """Return what is known now, for telemetry, the API and people."""
        revision, settings = self.revision, self.settings
        ready, terminating = len(revision.ready_pods), sum(pod.terminating for pod in revision.pods)
        waiting = len(revision.pods) - ready - terminating
        return RevisionStatus(
            key=revision.key,
            service=revision.service,
            configuration=revision.configuration,
            metric=settings.metric,
            recommended=decision.recommended,
            requested=self.plan.requested if self.plan.requested >= 0 else revision.replicas,
            replicas=revision.replicas,
            ready=ready,
            not_ready=waiting + terminating,
            pending=waiting,
            terminating=terminating,
            stable=decision.stable + 0.0 if decision.valid else None,  # the sum makes -0.0 a plain zero
            panic=decision.panic + 0.0 if decision.valid else None,
            target=settings.target_value,
            total=settings.total_value,
            excess_burst_capacity=decision.excess,
            panicking=decision.panic_since is not None,
            mode=_mode(settings, decision.valid, decision.panic_since is not None),
            activity=_activity_name(self.plan.lifecycle.activity),
            min_scale=settings.min_scale,
            max_scale=settings.max_scale,
            rule=self.rule(decision),
            next_event=_next_event(self.plan, revision.replicas),
        )


def _mode(settings: RevisionSettings, valid: bool, panicking: bool) -> Mode:
    if settings.min_scale == settings.max_scale > 0:
        return "fixed"
    if not valid:
        return "no data"
    return "panic" if panicking else "stable"


def _activity_name(activity: Activity) -> ActivityName:
    if activity.inactive:
        return "inactive"
    return "active" if activity is Activity.ACTIVE else "activating"


def _next_event(made: Plan, replicas: int) -> NextEvent | None:
    """Say what happens if the load stays as it is."""
    if made.again_at is None or replicas == 0:
        return None
    if made.lifecycle.activity is Activity.ACTIVATING:
        return NextEvent("give up activation", made.again_at)
    if made.lifecycle.activity is Activity.ACTIVE:
        return NextEvent("become inactive", made.again_at)
    return NextEvent("scale to zero", made.again_at)
