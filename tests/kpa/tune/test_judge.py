"""Exact simulations of candidates, and what is chosen by them.

Covered: both parts of a load, several loads, failed and unfinished requests, variants, the choice among
finalists, settings that go back to today's.
"""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.autoscaler import AutoscalerConfig
from kpa.simulate.load import Load
from kpa.tune.choice import choose, finalists, simplify
from kpa.tune.exact import Part, simulate_exactly
from kpa.tune.judge import Judge, Verdict, varied
from kpa.tune.knobs import Candidate, knobs_for
from kpa.tune.objective import UNITS, parse_objective
from kpa.tune.search import Task
from tests.kpa.tune.loads import slow_starter, waves

OBJECTIVE = parse_objective("queue p99 < 2s, min replica-minutes")


def candidate(**texts: str) -> Candidate:
    data = {key.replace("_", "-"): text for key, text in texts.items()}
    return Candidate("", data, AutoscalerConfig.from_config_map(data))


def task_of(*loads: Load) -> Task:
    seen = [load.between(0.0, 0.6 * load.length) for load in loads]
    return Task(seen, slow_starter(), {}, knobs_for(seen, 4.0), OBJECTIVE, 3, 30.0)


def test_parts_of_a_load_add_up() -> None:
    load = waves()
    parts = [Part(0.0, 200.0), Part(200.0, load.length), Part(0.0, load.length)]
    early, late, whole = simulate_exactly(candidate(), load, slow_starter(), 3, parts)
    for name in ("replica-minutes", "scale-actions", "cold-starts"):
        assert early[name] + late[name] == pytest.approx(whole[name])
    assert min(early["p99"], late["p99"]) <= whole["p99"] <= max(early["p99"], late["p99"])


def test_failed_and_unfinished_requests_are_slow_ones() -> None:
    load = Load("x", np.full(10, 50.0), np.full(10, 100.0), 60.0)
    fixed = candidate(min_scale="1", max_scale="1")
    (told,) = simulate_exactly(fixed, load, slow_starter(timeout=5.0), 1, [Part(0.0, 60.0)])
    assert (told["rejected"], told["p50"], told["queue-p99"]) == (1.0, 5.0, 5.0)
    (told,) = simulate_exactly(fixed, load, slow_starter(), 1, [Part(0.0, 60.0)])
    assert (told["rejected"], told["p50"], told["queue-p99"]) == (0.0, 10.0, 10.0)


def test_several_loads_count_together() -> None:
    loads = [waves(seed=1), waves(seed=2)]
    one, other, both = (
        Judge(task_of(*some), some).verdict(candidate()) for some in ([loads[0]], [loads[1]], loads)
    )
    for part in ("seen", "unseen"):
        of_one, of_other, of_both = (getattr(verdict, part) for verdict in (one, other, both))
        assert of_both["replica-minutes"] == pytest.approx(
            of_one["replica-minutes"] + of_other["replica-minutes"]
        )
        assert of_both["queue-p99"] == max(of_one["queue-p99"], of_other["queue-p99"])


@given(st.integers(0, 1000))
def test_a_variant_has_the_same_requests_in_the_same_order(seed: int) -> None:
    load = waves()
    other = varied(load, np.random.default_rng(seed))
    assert other.length == load.length
    assert (np.diff(other.arrivals) >= 0).all()
    assert 0 <= other.arrivals[0] <= other.arrivals[-1] <= load.length
    assert other.service is load.service
    assert np.abs(other.arrivals - load.arrivals).max() > 1.0


class Fixed(Judge):
    """Verdicts by `min-scale`: so many replica-minutes, and queue times that fall with it."""

    def __init__(self, worst: Mapping[int, float]) -> None:
        self.worst = worst
        self.asked: list[int] = []

    def verdict(self, candidate: Candidate) -> Verdict:
        replicas = candidate.config.min_scale
        told = dict.fromkeys(UNITS, 0.0) | {
            "replica-minutes": float(replicas),
            "queue-p99": 4.0 / max(replicas, 1),
        }
        return Verdict(candidate, told, told)

    def excess(self, candidate: Candidate, objective: object, enough: float) -> float:
        self.asked.append(candidate.config.min_scale)
        return self.worst.get(candidate.config.min_scale, 0.0)


@pytest.mark.parametrize(
    ("worst", "chosen", "asked"),
    [
        pytest.param({}, 3, [3], id="the cheapest that keeps its limits"),
        pytest.param({3: 0.5}, 4, [3, 4], id="the next one if the cheapest does not in a variant"),
        pytest.param({3: 0.5, 4: 0.2, 5: 0.1, 6: 0.3}, 5, [3, 4, 5, 6], id="the nearest one if none does"),
    ],
)
def test_the_best_finalist_keeps_its_limits_in_variants(
    worst: dict[int, float], chosen: int, asked: list[int]
) -> None:
    judge = Fixed(worst)
    told = [judge.verdict(candidate(min_scale=str(replicas))) for replicas in (6, 1, 4, 3, 5)]
    best, excess = choose(told, judge, OBJECTIVE, lambda part: None)
    assert best.candidate.config.min_scale == chosen
    assert excess == worst.get(chosen, 0.0)
    assert judge.asked == asked


def test_where_nobody_keeps_the_limits_the_nearest_one_is_chosen() -> None:
    judge = Fixed({})
    told = [judge.verdict(candidate(min_scale=str(replicas))) for replicas in (0, 1)]
    best, excess = choose(told, judge, parse_objective("queue p99 < 1s, min p99"), lambda part: None)
    assert (excess, judge.asked) == (np.inf, [])
    assert best in told


def test_settings_without_effect_go_back_to_today_s() -> None:
    judge = Fixed({})
    best = judge.verdict(candidate(min_scale="3", stable_window="33s", max_scale_up_rate="7"))
    found = simplify(best, 0.0, task_of(waves()), judge, lambda part: None)
    assert found.candidate.data["min-scale"] == "3"
    assert (found.candidate.config.stable_window, found.candidate.config.max_scale_up_rate) == (180.0, 20.0)


def test_finalists_are_good_with_and_without_margin_and_along_the_front() -> None:
    costs = np.arange(1.0, 101.0)
    metrics = dict.fromkeys(UNITS, np.zeros(100)) | {"replica-minutes": costs, "queue-p99": 100.0 / costs}
    found = finalists(metrics, OBJECTIVE)
    assert {50, 51, 55, 56} <= set(found)  # 100 / 51 < 2 s; 100 / 56 < 1.8 s
    assert {0, 99} <= set(found)
    assert len(found) == len(set(found))
