"""The search for good candidates.

Covered: even spread, the front, progress, that later rounds are better than the first, the same seed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.tune.knobs import knobs_for
from kpa.tune.objective import parse_objective
from kpa.tune.search import Task, combine, latin_hypercube, pareto, search
from tests.kpa.tune.loads import slow_starter, waves


@given(st.integers(1, 50), st.integers(1, 5), st.integers(0, 100))
def test_places_are_spread_evenly_along_each_knob(count: int, knobs: int, seed: int) -> None:
    places = latin_hypercube(count, knobs, np.random.default_rng(seed))
    cells = np.sort((places * count).astype(int), axis=0)
    assert (cells == np.arange(count)[:, None]).all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_nobody_beats_one_of_the_front_and_one_of_it_beats_all_others(points: list[tuple[int, int]]) -> None:
    costs, qualities = np.array(points, np.float64).T
    front = pareto(costs, qualities).tolist()
    for index in range(len(points)):
        better = [one for one in front if costs[one] <= costs[index] and qualities[one] <= qualities[index]]
        assert better if index not in front else better == [index]


def test_times_are_the_worst_and_numbers_the_sum_of_all_loads() -> None:
    one, other = ({"p99": np.array([value]), "replica-minutes": np.array([value])} for value in (1.0, 3.0))
    rest = {name: np.zeros(1) for name in ("p50", "p95", "queue-p50", "queue-p95", "queue-p99", "rejected")}
    rest |= {name: np.zeros(1) for name in ("cold-starts", "scale-actions")}
    joined = combine([rest | one, rest | other])
    assert (joined["p99"].tolist(), joined["replica-minutes"].tolist()) == ([3.0], [4.0])


@pytest.fixture(scope="module")
def task() -> Task:
    load = waves()
    objective = parse_objective("queue p99 < 2s, min replica-minutes")
    return Task([load], slow_starter(), {}, knobs_for([load], 4.0), objective, 3, 60.0)


def test_later_rounds_find_better_ones(task: Task) -> None:
    progress: list[float] = []
    tried, metrics = search(task, 60, (), progress.append)
    assert len(tried) == 120
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1.0, abs=0.01)
    first = {name: values[:60] for name, values in metrics.items()}
    best, of_first = (told["replica-minutes"][task.objective.order(told)[:10]] for told in (metrics, first))
    assert task.objective.excess(metrics).min() == 0.0
    assert best.mean() < 0.95 * of_first.mean()


def test_the_same_seed_finds_the_same(task: Task) -> None:
    (one, _), (same, _) = (search(task, 12, (), lambda part: None) for _ in range(2))
    assert [candidate.data for candidate in one] == [candidate.data for candidate in same]
