"""Status of a PodAutoscaler: each rule on both sides, stories over passes, and what holds for all of them.

The table of `Active` is the peer's (`pkg/reconciler/autoscaling/kpa/kpa.go`); activities come from
`scaler.rules.scale_to_zero.next_activity`, as they do from a plan. Left out: what a client does with the
body.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.kube.objects import PodAutoscaler, PodAutoscalerStatus, ServerlessService
from kpa.kube.objects.conditions import FALSE, TRUE, UNKNOWN, Condition, condition
from kpa.kube.objects.pa_status import (
    PassOutcome,
    equal_but_for_times,
    lifecycle_from_status,
    pa_status,
    pa_status_failed,
    pa_status_not_owned,
    pa_status_waiting,
    status_body,
)
from scaler.rules.scale_to_zero import Activity, LifecycleState, next_activity
from tests.kpa.kube.kube_samples import T0, pod_autoscaler, serverless_service

SKS = serverless_service()
UNREADY_SKS = serverless_service(
    status={"conditions": [{"type": "Ready", "status": "Unknown", "message": "K8s Service is not ready"}]}
)
NO_TRAFFIC = ("NoTraffic", "The target is not receiving traffic.")
TIMED_OUT = ("TimedOut", "The target could not be activated.")
QUEUED = ("Queued", "Requests to the target are being buffered as resources are provisioned.")
NOT_OWNED = ("NotOwned", 'There is an existing Metric "cart-00002" that we do not own.')

ACTIVES: dict[str, Condition] = {
    "active": Condition("Active", TRUE, since=T0 - 100),
    "activating": Condition("Active", UNKNOWN, *QUEUED, since=T0 - 100),
    "no traffic": Condition("Active", FALSE, *NO_TRAFFIC, since=T0 - 100),
    "timed out": Condition("Active", FALSE, *TIMED_OUT, since=T0 - 100),
    "not owned": Condition("Active", FALSE, *NOT_OWNED, since=T0 - 100),
}


def stored(active: str, initialized: str = TRUE, **status: Any) -> PodAutoscaler:
    """A PodAutoscaler whose generation was observed."""
    shown = ACTIVES[active]
    conditions = (
        shown,
        replace(shown, type="Ready"),
        Condition("SKSReady", TRUE, since=T0 - 300),
        Condition("ScaleTargetInitialized", initialized, since=T0 - 400),
    )
    pa = pod_autoscaler()
    return replace(pa, status=PodAutoscalerStatus(observed_generation=2, conditions=conditions, **status))


def after(pa: PodAutoscaler, status: PodAutoscalerStatus) -> PodAutoscaler:
    return replace(pa, status=status)


def outcome(pa: PodAutoscaler, requested: int, ready: int, threshold: int = 1) -> PassOutcome:
    """What one pass of the peer would come to."""
    activity = lifecycle_from_status(pa, None, T0).activity
    return PassOutcome(requested, ready, threshold, next_activity(activity, requested, ready, threshold))


def one_pass(
    pa: PodAutoscaler,
    requested: int,
    ready: int,
    threshold: int = 1,
    sks: ServerlessService = SKS,
    now: float = T0,
) -> PodAutoscalerStatus:
    return pa_status(pa, outcome(pa, requested, ready, threshold), sks, now)


def told(status: PodAutoscalerStatus, type_: str) -> tuple[str, str, str]:
    found = condition(status.conditions, type_)
    assert found is not None
    return found.status, found.reason, found.message


def since(status: PodAutoscalerStatus, type_: str) -> float | None:
    found = condition(status.conditions, type_)
    assert found is not None
    return found.since


# Active.

WAITING, RUNNING = (UNKNOWN, *QUEUED), (TRUE, "", "")
IDLE, LATE = (FALSE, *NO_TRAFFIC), (FALSE, *TIMED_OUT)


@pytest.mark.parametrize(
    ("before", "requested", "ready", "threshold", "active"),
    [
        # Wanted 0, or no pod needed.
        ("activating", 0, 0, 1, LATE),
        ("activating", 0, 5, 1, LATE),
        ("activating", 0, 0, 0, IDLE),
        ("activating", -1, 0, 0, IDLE),
        ("activating", 1, 1, 0, IDLE),
        ("active", 0, 3, 1, IDLE),
        ("active", -1, 3, 0, IDLE),
        ("no traffic", 0, 1, 1, IDLE),
        ("timed out", 0, 0, 1, IDLE),
        ("not owned", 0, 0, 1, IDLE),
        ("not owned", -1, 0, 0, IDLE),
        # Fewer pods than needed.
        ("activating", 1, 0, 1, WAITING),
        ("active", 1, 0, 1, WAITING),
        ("active", 3, 2, 3, WAITING),
        ("no traffic", 1, 0, 1, WAITING),
        ("not owned", 1, 0, 1, WAITING),
        ("activating", -1, 0, 1, WAITING),
        ("active", -1, 0, 1, WAITING),
        ("active", -1, 1, 2, WAITING),
        ("no traffic", -1, 0, 1, IDLE),
        ("timed out", -1, 0, 1, IDLE),
        ("not owned", -1, 1, 2, IDLE),
        # Enough.
        ("activating", 1, 1, 1, RUNNING),
        ("activating", 3, 3, 3, RUNNING),
        ("active", 1, 4, 1, RUNNING),
        ("no traffic", 1, 1, 1, RUNNING),
        ("timed out", 2, 1, 1, RUNNING),
        ("activating", -1, 1, 1, RUNNING),
        ("active", -1, 1, 1, RUNNING),
        ("no traffic", -1, 1, 1, IDLE),
        ("timed out", -1, 1, 1, LATE),
        ("not owned", -1, 1, 1, (FALSE, *NOT_OWNED)),
        ("not owned", -1, 2, 2, (FALSE, *NOT_OWNED)),
    ],
)
def test_active_follows_the_table(
    before: str, requested: int, ready: int, threshold: int, active: tuple[str, str, str]
) -> None:
    pa = stored(before)
    status = one_pass(pa, requested, ready, threshold)
    assert told(status, "Active") == active
    assert told(status, "Ready") == active
    unchanged = told(pa.status, "Active") == active
    assert since(status, "Active") == (T0 - 100 if unchanged else T0)
    assert since(status, "SKSReady") == T0 - 300
    assert since(status, "ScaleTargetInitialized") == T0 - 400


def test_a_plan_that_is_past_the_time_out_says_it_all_the_same() -> None:
    pa = stored("activating", UNKNOWN)
    first = pa_status(pa, PassOutcome(0, 0, 1, Activity.NO_TRAFFIC), SKS, T0)
    assert told(first, "Active") == LATE
    second = pa_status(after(pa, first), PassOutcome(0, 0, 1, Activity.NO_TRAFFIC), SKS, T0 + 1)
    assert told(second, "Active") == IDLE
    assert since(second, "Active") == T0 + 1


# ScaleTargetInitialized.


@pytest.mark.parametrize(
    ("ready", "threshold", "service", "initialized"),
    [
        (2, 3, "cart-00002", UNKNOWN),
        (3, 3, "cart-00002", TRUE),
        (4, 3, "cart-00002", TRUE),
        (0, 0, "cart-00002", TRUE),
        (3, 3, "", UNKNOWN),
        (0, 0, "", UNKNOWN),
    ],
    ids=["too few", "enough", "more", "none needed", "no service", "none needed, no service"],
)
def test_a_scale_target_is_initialized_with_pods_enough_and_a_service(
    ready: int, threshold: int, service: str, initialized: str
) -> None:
    sks = serverless_service(status={"serviceName": service})
    status = one_pass(stored("activating", UNKNOWN), 3, ready, threshold, sks)
    assert told(status, "ScaleTargetInitialized")[0] == initialized
    if ready >= threshold > 0 and not service:
        assert told(status, "Ready")[0] == UNKNOWN


def test_a_scale_target_stays_initialized_without_pods() -> None:
    status = one_pass(stored("active"), 0, 0, 1)
    assert told(status, "ScaleTargetInitialized") == RUNNING


# SKSReady.


@pytest.mark.parametrize(
    ("sks", "ready"),
    [
        (SKS, RUNNING),
        (UNREADY_SKS, (UNKNOWN, "NotReady", "K8s Service is not ready")),
        (serverless_service(metadata={"generation": 4}), (UNKNOWN, "NotReady", "")),
        (serverless_service(status={"conditions": None}), (UNKNOWN, "NotReady", "")),
        (
            serverless_service(
                status={"conditions": [{"type": "Ready", "status": "False", "message": "No."}]}
            ),
            (UNKNOWN, "NotReady", "No."),
        ),
    ],
    ids=["ready", "not ready", "spec not seen", "no condition", "failed"],
)
def test_sks_ready_is_true_or_unknown(sks: ServerlessService, ready: tuple[str, str, str]) -> None:
    status = one_pass(stored("active"), 1, 1, 1, sks)
    assert told(status, "SKSReady") == ready
    assert told(status, "Ready") == ready


def test_a_revision_at_zero_is_not_ready_for_want_of_traffic() -> None:
    status = one_pass(stored("no traffic"), 0, 0, 1, UNREADY_SKS)
    assert told(status, "Active") == IDLE
    assert told(status, "SKSReady")[0] == UNKNOWN
    assert told(status, "Ready") == IDLE


# Scales, services, generation.


@pytest.mark.parametrize(
    ("before", "requested", "desired"),
    [(None, -1, -1), (-1, -1, -1), (0, -1, 0), (5, -1, 5), (None, 0, 0), (5, 0, 0), (-1, 3, 3), (5, 3, 3)],
)
def test_an_unknown_scale_does_not_replace_a_known_one(
    before: int | None, requested: int, desired: int
) -> None:
    assert one_pass(stored("active", desired_scale=before), requested, 1).desired_scale == desired


@pytest.mark.parametrize(
    ("before", "requested", "known", "desired"),
    [(-1, -1, 0, 0), (None, -1, 0, 0), (5, -1, 3, 3), (5, 2, 3, 2)],
)
def test_a_scale_that_was_known_but_never_written_replaces_the_stored_one(
    before: int | None, requested: int, known: int, desired: int
) -> None:
    """A newer pass, which knows none, may come before the status of the older one is written."""
    result = PassOutcome(requested, 0, 1, Activity.NO_TRAFFIC, known=known)
    status = pa_status(stored("no traffic", desired_scale=before), result, SKS, T0)
    assert status.desired_scale == desired


def test_a_status_takes_over_pods_services_and_generation() -> None:
    pa = replace(stored("active"), generation=7)
    status = one_pass(pa, 4, 3)
    assert (status.actual_scale, status.observed_generation) == (3, 7)
    assert (status.service_name, status.metrics_service_name) == ("cart-00002", "cart-00002-private")
    assert status.to_json()["conditions"][0] == {
        "type": "Active",
        "status": "True",
        "lastTransitionTime": "2023-11-14T22:11:40Z",
    }


def test_a_first_status_has_all_conditions_by_type() -> None:
    status = one_pass(pod_autoscaler(), -1, 0, now=T0 + 0.7)
    assert [(each.type, each.status, each.since) for each in status.conditions] == [
        ("Active", UNKNOWN, T0),
        ("Ready", UNKNOWN, T0),
        ("SKSReady", TRUE, T0),
        ("ScaleTargetInitialized", UNKNOWN, T0),
    ]
    assert told(status, "Ready") == WAITING
    assert status.to_json() == {
        "serviceName": "cart-00002",
        "metricsServiceName": "cart-00002-private",
        "desiredScale": -1,
        "actualScale": 0,
        "observedGeneration": 2,
        "conditions": [each.to_json() for each in status.conditions],
    }


def test_a_new_generation_with_nothing_else_new_keeps_all_times() -> None:
    pa = replace(stored("active", desired_scale=1, actual_scale=1), generation=3)
    status = one_pass(pa, 1, 1)
    assert status.conditions == pa.status.conditions
    assert not equal_but_for_times(pa.status, status)


def test_conditions_of_others_and_annotations_stay() -> None:
    theirs = Condition("Theirs", FALSE, "Why", severity="Info", since=T0 - 5)
    pa = stored("active")
    pa = after(
        pa, replace(pa.status, conditions=(*pa.status.conditions, theirs), annotations={"somebody": "noted"})
    )
    status = one_pass(pa, 1, 1)
    assert theirs in status.conditions
    assert status.annotations == {"somebody": "noted"}
    assert told(status, "Ready") == RUNNING


def test_a_body_names_the_object_that_was_read() -> None:
    pa = stored("active")
    assert status_body(pa, pa.status) == {
        "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": {"namespace": "shop", "name": "cart-00002", "uid": "pa-uid", "resourceVersion": "41"},
        "status": pa.status.to_json(),
    }


# Passes that end early.


@pytest.mark.parametrize(
    ("before", "threshold", "active"),
    [
        ("activating", 1, WAITING),
        ("active", 1, WAITING),
        ("no traffic", 1, IDLE),
        ("timed out", 1, IDLE),
        ("activating", 0, IDLE),
    ],
)
def test_without_a_private_service_nothing_is_known(
    before: str, threshold: int, active: tuple[str, str, str]
) -> None:
    pa = stored(
        before, UNKNOWN, desired_scale=4, actual_scale=4, service_name="cart", metrics_service_name="old"
    )
    status = pa_status_waiting(pa, threshold, T0)
    assert told(status, "SKSReady") == (UNKNOWN, "NotReady", "No Private Service Name")
    assert told(status, "Active") == active
    assert (status.desired_scale, status.actual_scale) == (4, 0)
    assert (status.service_name, status.metrics_service_name) == ("cart", "old")
    assert told(status, "ScaleTargetInitialized")[0] == (TRUE if threshold == 0 else UNKNOWN)


def test_a_first_status_while_waiting_says_what_it_waits_for() -> None:
    status = pa_status_waiting(pod_autoscaler(), 1, T0)
    assert (status.desired_scale, status.actual_scale, status.observed_generation) == (-1, 0, 2)
    assert told(status, "Ready") == WAITING
    assert (status.service_name, status.metrics_service_name) == ("", "")


def test_a_failed_pass_over_a_known_generation_changes_nothing() -> None:
    pa = stored("active", desired_scale=1, metrics_service_name="cart-00002-private")
    assert pa_status_failed(pa, SKS, T0) == pa.status


def test_a_failed_pass_over_a_new_generation_observes_it_and_says_so() -> None:
    pa = replace(stored("active", desired_scale=1), generation=3)
    status = pa_status_failed(pa, SKS, T0)
    assert status.observed_generation == 3
    message = "unsuccessfully observed a new generation"
    assert told(status, "Ready") == (UNKNOWN, "NewObservedGenFailure", message)
    assert told(status, "Active") == RUNNING
    assert status.metrics_service_name == "cart-00002-private"
    again = pa_status_failed(after(pa, status), SKS, T0 + 9)
    assert again == status
    assert told(one_pass(after(pa, again), 1, 1), "Ready") == RUNNING


def test_a_failed_pass_without_a_private_service_keeps_the_name_there_was() -> None:
    pa = stored("active", metrics_service_name="old")
    sks = serverless_service(status={"privateServiceName": None})
    assert pa_status_failed(pa, sks, T0).metrics_service_name == "old"
    assert pa_status_failed(pa, None, T0).metrics_service_name == "old"


@pytest.mark.parametrize("kind", ["Metric", "ServerlessService"])
def test_a_child_of_another_owner_makes_a_revision_inactive(kind: str) -> None:
    pa = stored("active", desired_scale=3, actual_scale=3)
    status = pa_status_not_owned(pa, kind, SKS, T0)
    message = f'There is an existing {kind} "cart-00002" that we do not own.'
    assert told(status, "Active") == told(status, "Ready") == (FALSE, "NotOwned", message)
    assert (status.desired_scale, status.actual_scale) == (3, 3)
    assert pa_status_not_owned(after(pa, status), kind, SKS, T0 + 9) == status


# Lifecycle state.


@pytest.mark.parametrize(
    ("active", "activity"),
    [
        ("active", Activity.ACTIVE),
        ("activating", Activity.ACTIVATING),
        ("no traffic", Activity.NO_TRAFFIC),
        ("timed out", Activity.TIMED_OUT),
        ("not owned", Activity.NO_TRAFFIC),
    ],
)
def test_a_life_goes_on_from_what_is_stored(active: str, activity: Activity) -> None:
    expected = LifecycleState(activity, T0 - 100, initialized=True, proxied_since=T0 - 200)
    assert lifecycle_from_status(stored(active), SKS, T0) == expected


def test_a_life_of_which_nothing_is_stored_begins_now() -> None:
    assert lifecycle_from_status(pod_autoscaler(), None, T0) == LifecycleState(Activity.ACTIVATING, T0)


def test_a_life_whose_beginning_is_not_readable_begins_now() -> None:
    status = PodAutoscalerStatus(observed_generation=2, conditions=(Condition("Active", TRUE),))
    assert lifecycle_from_status(after(pod_autoscaler(), status), None, T0).since == T0


def test_a_new_generation_does_not_begin_a_new_life() -> None:
    pa = stored("active")
    assert lifecycle_from_status(replace(pa, generation=9), SKS, T0) == lifecycle_from_status(pa, SKS, T0)


@pytest.mark.parametrize(("initialized", "is_it"), [(TRUE, True), (UNKNOWN, False), (FALSE, False)])
def test_a_life_knows_whether_it_was_initialized(initialized: str, is_it: bool) -> None:
    assert lifecycle_from_status(stored("active", initialized), SKS, T0).initialized is is_it


def test_a_life_of_a_ready_revision_without_its_conditions_is_active() -> None:
    status = PodAutoscalerStatus(conditions=(Condition("Ready", TRUE, since=T0 - 9),))
    assert lifecycle_from_status(after(pod_autoscaler(), status), None, T0) == LifecycleState(
        Activity.ACTIVE, T0, True
    )


def test_a_revision_goes_to_zero_and_back_with_the_times_of_each_turn() -> None:
    pa = pod_autoscaler()
    steps = [
        (T0, 1, 0, "Unknown Queued", T0),
        (T0 + 4, 1, 1, "True", T0 + 4),
        (T0 + 60, 1, 1, "True", T0 + 4),
        (T0 + 64, 0, 1, "False NoTraffic", T0 + 64),
        (T0 + 94, 0, 0, "False NoTraffic", T0 + 64),
        (T0 + 500, 1, 0, "Unknown Queued", T0 + 500),
        (T0 + 502, 1, 1, "True", T0 + 502),
    ]
    for now, requested, ready, active, began in steps:
        pa = after(pa, one_pass(pa, requested, ready, now=now))
        shown = condition(pa.status.conditions, "Active")
        assert shown is not None
        assert f"{shown.status} {shown.reason}".strip() == active
        assert shown.since == began == lifecycle_from_status(pa, SKS, now).since


# What holds for every history of passes.

services = st.sampled_from([SKS, UNREADY_SKS, serverless_service(status={"serviceName": ""})])
passes = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(0, 3), services, st.integers(1, 3)),
    min_size=1,
    max_size=6,
)
History = list[tuple[int, int, int, ServerlessService, int]]


@given(passes)
def test_the_same_outcome_again_writes_nothing(history: History) -> None:
    pa = pod_autoscaler()
    for requested, ready, threshold, sks, generation in history:
        pa = replace(pa, generation=generation)
        made = outcome(pa, requested, ready, threshold)
        first = pa_status(pa, made, sks, T0)
        second = pa_status(after(pa, first), replace(made, activity=settled(first, made)), sks, T0 + 10)
        pa = after(pa, first)
        if told(first, "Active") == LATE and requested >= 0:
            assert told(second, "Active") == IDLE  # a time-out is said once
        else:
            assert second == first
            assert equal_but_for_times(first, second)


def settled(status: PodAutoscalerStatus, made: PassOutcome) -> Activity:
    activity = lifecycle_from_status(after(pod_autoscaler(), status), None, T0).activity
    return next_activity(activity, made.requested, made.ready, made.threshold)


@given(passes)
def test_times_move_with_what_is_said_and_ready_agrees_with_the_rest(history: History) -> None:
    pa = pod_autoscaler()
    for number, (requested, ready, threshold, sks, generation) in enumerate(history):
        pa = replace(pa, generation=generation)
        status = one_pass(pa, requested, ready, threshold, sks, T0 + number)
        for each in status.conditions:
            before = condition(pa.status.conditions, each.type)
            same = before is not None and each.says(before)
            assert each.since == (before.since if same and before else T0 + number)
        values = {each.status for each in status.conditions if each.type != "Ready"}
        worst = next(value for value in (FALSE, UNKNOWN, TRUE) if value in values)
        assert told(status, "Ready")[0] == worst
        pa = after(pa, status)


@given(passes)
def test_a_status_that_is_read_back_is_the_one_that_was_written(history: History) -> None:
    pa = pod_autoscaler()
    for number, (requested, ready, threshold, sks, _) in enumerate(history):
        pa = after(pa, one_pass(pa, requested, ready, threshold, sks, T0 + number + 0.25))
        assert PodAutoscalerStatus.from_json(pa.status.to_json()) == pa.status
