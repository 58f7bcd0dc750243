"""The way to zero, on both sides of every boundary."""

from dataclasses import replace

import pytest

from scaler.rules.scale_to_zero import Activity, LifecycleState, ZeroStep, next_activity, toward_zero
from scaler.rules.trace import Rule
from tests.strategies import PLAIN

NOW = 1_000_000.0
SETTINGS = replace(
    PLAIN,
    stable_window=60.0,
    scale_to_zero_grace_period=30.0,
    scale_to_zero_pod_retention_period=0.0,
    progress_deadline=600.0,
)
RETAINED = replace(SETTINGS, scale_to_zero_pod_retention_period=120.0)


def lifecycle(activity: Activity, seconds: float, proxied_for: float | None = None) -> LifecycleState:
    return LifecycleState(activity, NOW - seconds, True, None if proxied_for is None else NOW - proxied_for)


def test_without_scale_to_zero_one_pod_stays() -> None:
    settings = replace(SETTINGS, enable_scale_to_zero=False)
    assert toward_zero(settings, lifecycle(Activity.NO_TRAFFIC, 1e6), True, NOW) == ZeroStep(
        1, 1, rule=Rule.ENABLE_SCALE_TO_ZERO
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, ZeroStep(-1, None, NOW + 630, Rule.PROGRESS_DEADLINE)),
        (629, ZeroStep(-1, None, NOW + 1, Rule.PROGRESS_DEADLINE)),
        (630, ZeroStep(0, 0, rule=Rule.PROGRESS_DEADLINE)),
    ],
)
def test_an_activation_gets_its_time(seconds: float, expected: ZeroStep) -> None:
    assert toward_zero(SETTINGS, lifecycle(Activity.ACTIVATING, seconds), True, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "proxied_for", "expected"),
    [
        (0, None, ZeroStep(1, 1, NOW + 60, Rule.STABLE_WINDOW)),
        (59, None, ZeroStep(1, 1, NOW + 1, Rule.STABLE_WINDOW)),
        (60, None, ZeroStep(0)),
        (60, 5, ZeroStep(0, None, NOW + 3)),
        (1e6, None, ZeroStep(0)),
    ],
)
def test_a_revision_stays_active_for_a_stable_window(
    seconds: float, proxied_for: float | None, expected: ZeroStep
) -> None:
    assert toward_zero(SETTINGS, lifecycle(Activity.ACTIVE, seconds, proxied_for), True, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "proxied_for", "expected"),
    [
        (0, None, ZeroStep(0, None, NOW + 30, Rule.GRACE_PERIOD)),
        (0, 0, ZeroStep(0, None, NOW + 30, Rule.GRACE_PERIOD)),
        (29, 29, ZeroStep(0, None, NOW + 1, Rule.GRACE_PERIOD)),
        (10, 30, ZeroStep(0, 0)),  # the path was settled before the revision became inactive
        (30, 0, ZeroStep(0, 0)),
        (1e6, None, ZeroStep(0, 0)),
    ],
)
def test_the_last_pod_goes_when_routing_had_the_grace_period(
    seconds: float, proxied_for: float | None, expected: ZeroStep
) -> None:
    assert toward_zero(SETTINGS, lifecycle(Activity.NO_TRAFFIC, seconds, proxied_for), True, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, ZeroStep(0, None, NOW + 120, Rule.RETENTION_PERIOD)),
        (119, ZeroStep(0, None, NOW + 1, Rule.RETENTION_PERIOD)),
        (120, ZeroStep(0, 0)),
    ],
)
def test_the_last_pod_is_retained(seconds: float, expected: ZeroStep) -> None:
    assert toward_zero(RETAINED, lifecycle(Activity.NO_TRAFFIC, seconds, 1e6), True, NOW) == expected


def test_an_unreachable_revision_is_not_retained() -> None:
    unreachable = replace(RETAINED, reachable=False)
    assert toward_zero(unreachable, lifecycle(Activity.NO_TRAFFIC, 30, 30), True, NOW) == ZeroStep(0, 0)


def test_a_retention_shorter_than_the_grace_period_waits_for_routing() -> None:
    short = replace(SETTINGS, scale_to_zero_pod_retention_period=10.0)
    assert toward_zero(short, lifecycle(Activity.NO_TRAFFIC, 15, 15), True, NOW) == ZeroStep(
        0, None, NOW + 15, Rule.GRACE_PERIOD
    )


def test_no_pod_goes_before_an_activator_answers() -> None:
    assert toward_zero(RETAINED, lifecycle(Activity.NO_TRAFFIC, 1e6, 1e6), False, NOW) == ZeroStep(
        0, None, NOW + 1, Rule.ACTIVATOR
    )


def test_activators_that_never_leave_the_path_are_not_asked() -> None:
    always = replace(SETTINGS, target_burst_capacity=-1.0)
    assert toward_zero(always, lifecycle(Activity.NO_TRAFFIC, 1e6), False, NOW) == ZeroStep(0, 0)


QUEUED, ACTIVE, IDLE, LATE = Activity.ACTIVATING, Activity.ACTIVE, Activity.NO_TRAFFIC, Activity.TIMED_OUT


@pytest.mark.parametrize(
    ("before", "requested", "ready", "threshold", "after"),
    [
        (QUEUED, 0, 0, 1, LATE),
        (QUEUED, 0, 0, 0, IDLE),
        (QUEUED, 3, 0, 0, IDLE),
        (ACTIVE, 0, 1, 1, IDLE),
        (LATE, 0, 0, 1, IDLE),
        (QUEUED, 1, 0, 1, QUEUED),
        (ACTIVE, 2, 1, 2, QUEUED),
        (IDLE, 1, 0, 1, QUEUED),
        (QUEUED, -1, 0, 1, QUEUED),
        (ACTIVE, -1, 0, 1, QUEUED),
        (LATE, -1, 0, 1, IDLE),
        (QUEUED, 1, 1, 1, ACTIVE),
        (QUEUED, -1, 1, 1, ACTIVE),
        (IDLE, 1, 1, 1, ACTIVE),
        (IDLE, -1, 1, 1, IDLE),
        (LATE, -1, 1, 1, LATE),
    ],
)
def test_the_condition_follows_what_is_wanted_and_what_is_ready(
    before: Activity, requested: int, ready: int, threshold: int, after: Activity
) -> None:
    assert next_activity(before, requested, ready, threshold) is after
