"""Bounds, initial scale and stories of a revision's life, walked through in time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.resolve import RevisionSettings
from scaler.rules.bounds import Bounds, active_threshold, bounds
from scaler.rules.plan import Plan, plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.strategies import PLAIN

START = 1_000_000.0
SETTINGS = replace(
    PLAIN, stable_window=60.0, scale_to_zero_grace_period=30.0, scale_to_zero_pod_retention_period=0.0
)


@pytest.mark.parametrize(
    ("initial_scale", "initialized", "reachable", "expected"),
    [
        (3, False, True, Bounds(3, 5)),
        (3, True, True, Bounds(2, 5)),
        (3, False, False, Bounds(0, 5)),
        (1, False, True, Bounds(2, 5)),
    ],
)
def test_the_initial_scale_is_a_minimum_until_it_was_reached(
    initial_scale: int, initialized: bool, reachable: bool, expected: Bounds
) -> None:
    assert bounds(2, 5, initial_scale, initialized, reachable) == expected


@pytest.mark.parametrize(
    ("within", "recommended", "expected"),
    [
        (Bounds(2, 5), 1, 2),
        (Bounds(2, 5), 2, 2),
        (Bounds(2, 5), 6, 5),
        (Bounds(0, 0), 1000, 1000),
        (Bounds(8, 5), 6, 8),
        (Bounds(2, 5), -1, 2),
    ],
)
def test_a_scale_is_kept_within_its_bounds_and_the_minimum_wins(
    within: Bounds, recommended: int, expected: int
) -> None:
    assert within.apply(recommended) == expected


@pytest.mark.parametrize(
    ("min_scale", "initial_scale", "initialized", "reachable", "expected"),
    [(0, 0, False, True, 0), (0, 3, False, True, 3), (4, 3, False, True, 4), (0, 3, True, True, 1),
     (4, 3, True, True, 4), (4, 1, True, False, 1)],
)  # fmt: skip
def test_a_revision_is_active_from_so_many_ready_pods_on(
    min_scale: int, initial_scale: int, initialized: bool, reachable: bool, expected: int
) -> None:
    assert active_threshold(min_scale, initial_scale, initialized, reachable) == expected


class Story:
    """One revision as time goes by: pods follow what is asked at once."""

    def __init__(self, settings: RevisionSettings) -> None:
        self.settings = settings
        self.now = START
        self.pods = settings.initial_scale
        self.lifecycle = LifecycleState(Activity.ACTIVATING, START)

    def at(self, second: float, recommended: int, excess: int = 0, answers: bool = True) -> Plan:
        self.now = START + second
        made = plan(self.settings, self.lifecycle, recommended, excess, self.pods, answers, self.now)
        self.lifecycle = made.lifecycle
        if made.replicas is not None:
            self.pods = made.replicas
        return made


def test_from_the_first_pod_to_zero_and_back() -> None:
    story = Story(SETTINGS)
    assert story.at(0, -1).lifecycle.activity is Activity.ACTIVE
    assert story.at(2, 4).replicas == 4
    assert story.at(100, 1).replicas == 1
    idle = story.at(200, 0)
    assert (idle.requested, idle.replicas, idle.again_at) == (0, None, START + 230)
    assert idle.lifecycle.activity is Activity.NO_TRAFFIC
    assert story.at(229, 0).replicas is None
    assert story.at(230, 0).replicas == 0
    back = story.at(300, 1)
    assert (back.replicas, back.lifecycle.activity) == (1, Activity.ACTIVATING)
    assert story.at(302, 1).lifecycle.activity is Activity.ACTIVE


def test_a_revision_whose_activators_were_in_path_needs_no_grace() -> None:
    story = Story(SETTINGS)
    story.at(0, 1, excess=-5)
    story.at(2, 1, excess=-5)
    assert story.at(200, 0, excess=-5).replicas == 0


def test_a_burst_in_the_grace_period_keeps_the_pod() -> None:
    story = Story(SETTINGS)
    story.at(0, 1)
    story.at(100, 0)
    assert story.at(110, 1).lifecycle.activity is Activity.ACTIVE
    assert story.at(111, 0).replicas == 1
    assert story.at(170, 0).lifecycle.activity is Activity.NO_TRAFFIC


def test_requests_go_past_the_activators_only_with_room_to_spare() -> None:
    story = Story(SETTINGS)
    assert not story.at(0, 1, excess=0).proxied
    assert story.at(2, 1, excess=-1).proxied
    assert story.at(4, -1, excess=10).proxied is None  # nothing is known: the path stays as it is
    assert story.at(100, 0, excess=10).proxied


def test_an_initial_scale_is_reached_before_the_load_counts() -> None:
    story = Story(replace(SETTINGS, initial_scale=3))
    story.pods = 1
    assert story.at(0, 1).replicas == 3
    story.pods = 2
    assert story.at(1, 1).replicas == 3
    assert story.at(2, 1).lifecycle.initialized
    assert story.at(4, 1).replicas == 1


def test_a_revision_may_begin_at_zero() -> None:
    story = Story(replace(SETTINGS, initial_scale=0))
    first = story.at(0, -1)
    assert (first.requested, first.lifecycle.activity) == (-1, Activity.NO_TRAFFIC)
    assert story.at(2, 0).replicas is None
    assert story.at(4, 1).replicas == 1


def test_a_revision_that_never_gets_ready_is_given_up() -> None:
    story = Story(SETTINGS)
    story.pods = 0
    assert story.at(0, 0).requested == -1
    assert story.at(629, 0).replicas is None
    last = story.at(630, 0)
    assert last.replicas == 0
    assert last.lifecycle.activity is Activity.NO_TRAFFIC


def test_a_revision_that_never_gets_ready_is_not_retained() -> None:
    story = Story(replace(SETTINGS, scale_to_zero_pod_retention_period=1800.0))
    story.pods = 0
    story.at(0, 0)
    assert story.at(631, 0).replicas == 0


def test_a_minimum_is_asked_for_even_when_all_its_pods_are_ready_at_once() -> None:
    story = Story(replace(SETTINGS, min_scale=2))
    story.pods = 2
    assert story.at(0, -1).replicas == 2


def test_a_minimum_never_goes_to_zero() -> None:
    story = Story(replace(SETTINGS, min_scale=2))
    assert story.at(0, 0).replicas == 2
    assert story.at(1000, 0).replicas == 2
    assert story.lifecycle.activity is Activity.ACTIVE


@given(
    st.integers(0, 5),
    st.integers(0, 8),
    st.booleans(),
    st.lists(st.tuples(st.floats(0.1, 100), st.integers(-1, 20), st.booleans()), max_size=40),
)
def test_bounds_hold_whatever_happens(
    min_scale: int, max_scale: int, reachable: bool, happenings: list[tuple[float, int, bool]]
) -> None:
    most = max_scale and max(min_scale, max_scale)
    settings = replace(SETTINGS, min_scale=min_scale, max_scale=most, reachable=reachable)
    story, now = Story(settings), 0.0
    for passed, recommended, answers in happenings:
        now += passed
        made = story.at(now, recommended, answers=answers)
        if made.replicas is not None:
            assert made.replicas >= (min_scale if reachable else 0)
            if most:
                assert made.replicas <= most
        assert made.again_at is None or made.again_at > story.now
