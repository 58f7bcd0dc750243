"""From a load and an objective to a recommendation.

Covered: it beats today's settings and the profiles on a part that the search did not see; needless changes
are dropped; refusals. Left out: several loads (test_judge, test_search), today's annotations (test_today).
"""

from dataclasses import replace

import numpy as np
import pytest

from kpa.simulate.errors import InputError
from kpa.simulate.load import Load
from kpa.tune.objective import parse_objective
from kpa.tune.tuner import Effort, Tuning, tune
from tests.kpa.tune.loads import slow_starter, waves

pytestmark = pytest.mark.timeout(300)  # they compute all the time

OBJECTIVE = parse_objective("queue p99 < 2s, min replica-minutes")
EFFORT = Effort(candidates=60, held_out=0.5, warm_up=30.0)


def silent(what: str, part: float) -> None:
    assert 0.0 <= part <= 1.0
    assert what


@pytest.fixture(scope="module")
def tuning() -> Tuning:
    return tune([waves(times=2)], slow_starter(), {}, OBJECTIVE, EFFORT, silent)


def test_the_recommended_settings_are_better_on_the_part_not_seen(tuning: Tuning) -> None:
    assert tuning.holds
    assert [one.candidate.name for one in tuning.named] == ["today (profile inference)", "profile knative"]
    for other in tuning.named:
        cheaper = tuning.chosen.unseen["replica-minutes"] < 0.95 * other.unseen["replica-minutes"]
        assert cheaper or not OBJECTIVE.holds(other.unseen)


def test_both_models_agree_on_the_finalists(tuning: Tuning) -> None:
    assert tuning.disagreement < 0.05


def test_changes_are_those_that_are_needed(tuning: Tuning) -> None:
    assert tuning.changes()
    assert len(tuning.changes()) < len(tuning.task.knobs)
    for knob, before, after in tuning.changes():
        assert before != after
        assert tuning.chosen.candidate.data[knob.key] == after


def test_a_load_needs_requests_in_both_parts() -> None:
    load = Load("early", np.linspace(0.0, 10.0, 100), np.ones(100), 600.0)
    with pytest.raises(
        InputError, match=r"^early: has 0 requests to tune by and 0 to check it by; must have"
    ):
        tune([load], slow_starter(), {}, OBJECTIVE, EFFORT, silent)


def test_a_service_that_scales_on_requests_a_second_is_refused() -> None:
    scenario = replace(slow_starter(), annotations={"autoscaling.knative.dev/metric": "rps"})
    with pytest.raises(InputError, match="this one has metric rps"):
        tune([waves()], scenario, {}, OBJECTIVE, EFFORT, silent)
