"""Status of a PodAutoscaler: the result of a pass, and the start of the next pass or process.

    stored status ──> lifecycle_from_status ──> plan ──> PassOutcome ──> pa_status ──> written if it changed

Source: `knative/serving pkg/reconciler/autoscaling/kpa/kpa.go` and
`pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go`.
"""

from dataclasses import dataclass, replace
from typing import Any

from kpa.kube.objects.conditions import (
    FALSE,
    TRUE,
    UNKNOWN,
    Condition,
    ConditionPass,
    condition,
    same_but_for_times,
)
from kpa.kube.objects.kinds import PODAUTOSCALERS, api_version
from kpa.kube.objects.podautoscaler import PodAutoscaler, PodAutoscalerStatus
from kpa.kube.objects.serverless import ServerlessService
from scaler.rules.bounds import UNKNOWN as UNKNOWN_SCALE
from scaler.rules.scale_to_zero import Activity, LifecycleState, next_activity

KIND = "PodAutoscaler"
ACTIVE, INITIALIZED, SKS_READY = "Active", "ScaleTargetInitialized", "SKSReady"

_NO_TRAFFIC = ("NoTraffic", "The target is not receiving traffic.")
_TIMED_OUT = ("TimedOut", "The target could not be activated.")
_QUEUED = ("Queued", "Requests to the target are being buffered as resources are provisioned.")
_NO_SERVICE = "No Private Service Name"


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """Result of a pass over a revision.

    Attributes
    ----------
    requested : int
        Scale within bounds; -1 if it is not known.
    ready : int
        Pods that take requests.
    threshold : int
        Ready pods from which the revision is active, as before the pass
        (`scaler.rules.bounds.active_threshold`).
    activity : Activity
        After the pass.
    initialized : bool
        As many pods were ready as the revision must begin with, once; so it is with `threshold` ready ones.
    known : int
        The last scale that was known: what an earlier pass came to may have been passed over; -1 if none was.
    """

    requested: int
    ready: int
    threshold: int
    activity: Activity
    initialized: bool = False
    known: int = UNKNOWN_SCALE


def lifecycle_from_status(pa: PodAutoscaler, sks: ServerlessService | None, now: float) -> LifecycleState:
    """Return the lifecycle state that the stored status describes; a new process or leader starts from it.

    Parameters
    ----------
    pa : PodAutoscaler
        Conditions that were never written are as at the beginning of a pass: activating, since now.
    sks : ServerlessService or None
    now : float
        Unix seconds.
    """
    conditions = _begin(pa, now).result()
    active, initialized = condition(conditions, ACTIVE), condition(conditions, INITIALIZED)
    since = now if active is None or active.since is None else active.since
    return LifecycleState(
        activity=_activity(active),
        since=since,
        initialized=initialized is not None and initialized.status == TRUE,
        proxied_since=None if sks is None else sks.proxied_since,
    )


def _activity(active: Condition | None) -> Activity:
    if active is None or active.status == UNKNOWN:
        return Activity.ACTIVATING
    if active.status == TRUE:
        return Activity.ACTIVE
    return Activity.TIMED_OUT if active.reason == _TIMED_OUT[0] else Activity.NO_TRAFFIC


def pa_status(
    pa: PodAutoscaler, outcome: PassOutcome, sks: ServerlessService, now: float
) -> PodAutoscalerStatus:
    """Return the status after a whole pass.

    Parameters
    ----------
    pa : PodAutoscaler
        As it is stored.
    outcome : PassOutcome
    sks : ServerlessService
        As the pass left it: the API server's answer if it was written. A new spec makes it unready until its
        controller has seen it.
    now : float
        Unix seconds; whole ones are written.
    """
    marks = _begin(pa, now)
    if sks.is_ready:
        marks.mark_true(SKS_READY)
    else:
        marks.mark_unknown(SKS_READY, "NotReady", sks.ready.message)
    before = replace(pa.status, service_name=sks.service_name, metrics_service_name=sks.private_service_name)
    return _finish(pa, _counted(before, outcome, marks), marks)


def pa_status_waiting(pa: PodAutoscaler, threshold: int, now: float) -> PodAutoscalerStatus:
    """Return the status while the revision has no ServerlessService, or one without a private service yet.

    Nothing is known then: no scale is requested and no pod counts. Names of services stay as they were.

    Parameters
    ----------
    pa : PodAutoscaler
    threshold : int
        As of an `PassOutcome`.
    now : float
        Unix seconds.
    """
    marks = _begin(pa, now)
    marks.mark_unknown(SKS_READY, "NotReady", _NO_SERVICE)
    before = _activity(condition(marks.result(), ACTIVE))
    activity = next_activity(before, UNKNOWN_SCALE, 0, threshold)
    outcome = PassOutcome(UNKNOWN_SCALE, 0, threshold, activity)
    return _finish(pa, _counted(pa.status, outcome, marks), marks)


def pa_status_failed(pa: PodAutoscaler, sks: ServerlessService | None, now: float) -> PodAutoscalerStatus:
    """Return the status after a pass that an error ended before there was an outcome.

    The generation counts as observed all the same; a new one shows in `Ready`.

    Parameters
    ----------
    pa : PodAutoscaler
    sks : ServerlessService or None
        As the pass found it.
    now : float
        Unix seconds.
    """
    marks = _begin(pa, now)
    return _finish(pa, _with_metrics_service(pa.status, sks), marks)


def pa_status_not_owned(
    pa: PodAutoscaler, kind: str, sks: ServerlessService | None, now: float
) -> PodAutoscalerStatus:
    """Return the status after a pass that found a resource of another owner.

    Parameters
    ----------
    pa : PodAutoscaler
    kind : str
        Of the resource, whose name is the PodAutoscaler's.
    sks : ServerlessService or None
        As the pass found it.
    now : float
        Unix seconds.
    """
    marks = _begin(pa, now)
    message = f'There is an existing {kind} "{pa.key.name}" that we do not own.'
    marks.mark_false(ACTIVE, "NotOwned", message)
    return _finish(pa, _with_metrics_service(pa.status, sks), marks)


def equal_but_for_times(before: PodAutoscalerStatus, after: PodAutoscalerStatus) -> bool:
    """Return whether two statuses differ in times at most, so that none needs to be written."""
    if not same_but_for_times(before.conditions, after.conditions):
        return False
    return replace(before, conditions=()) == replace(after, conditions=())


def status_body(pa: PodAutoscaler, status: PodAutoscalerStatus) -> dict[str, Any]:
    """Return the object to PUT at `/status`; the API server keeps the rest of the object."""
    return {
        "apiVersion": api_version(PODAUTOSCALERS),
        "kind": KIND,
        "metadata": {
            "namespace": pa.key.namespace,
            "name": pa.key.name,
            "uid": pa.uid,
            "resourceVersion": pa.resource_version,
        },
        "status": status.to_json(),
    }


def _begin(pa: PodAutoscaler, now: float) -> ConditionPass:
    observed = pa.status.observed_generation == pa.generation
    return ConditionPass(pa.status.conditions, (ACTIVE, INITIALIZED, SKS_READY), observed, now)


def _finish(pa: PodAutoscaler, status: PodAutoscalerStatus, marks: ConditionPass) -> PodAutoscalerStatus:
    return replace(status, observed_generation=pa.generation, conditions=marks.result())


def _with_metrics_service(status: PodAutoscalerStatus, sks: ServerlessService | None) -> PodAutoscalerStatus:
    """Copy the name of the private service; a pass does so before anything that may fail."""
    if sks is None or not sks.private_service_name:
        return status
    return replace(status, metrics_service_name=sks.private_service_name)


def _counted(status: PodAutoscalerStatus, outcome: PassOutcome, marks: ConditionPass) -> PodAutoscalerStatus:
    """Copy the scales, and mark the conditions that follow from them."""
    if (outcome.initialized or outcome.ready >= outcome.threshold) and status.service_name:
        marks.mark_true(INITIALIZED)
    _mark_active(outcome, marks)
    stored = UNKNOWN_SCALE if status.desired_scale is None else status.desired_scale
    desired = next((each for each in (outcome.requested, outcome.known, stored) if each >= 0), UNKNOWN_SCALE)
    return replace(status, desired_scale=desired, actual_scale=outcome.ready)


def _mark_active(outcome: PassOutcome, marks: ConditionPass) -> None:
    """Say what the activity is. Why a revision is inactive depends on what was said before.

    One that was activating could not be activated, unless it needs no pod; the next pass finds it inactive
    and without traffic. Of one with pods enough and no decision yet nothing new is known.
    """
    before = marks.status(ACTIVE)
    if outcome.activity is Activity.ACTIVE:
        marks.mark_true(ACTIVE)
    elif outcome.activity is Activity.ACTIVATING:
        marks.mark_unknown(ACTIVE, *_QUEUED)
    elif before == UNKNOWN and outcome.threshold > 0:
        marks.mark_false(ACTIVE, *_TIMED_OUT)
    elif before != FALSE or outcome.requested >= 0 or not 0 < outcome.threshold <= outcome.ready:
        marks.mark_false(ACTIVE, *_NO_TRAFFIC)
