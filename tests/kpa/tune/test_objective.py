"""Objectives: their language, and the order they put candidates into.

Covered: every form, every refusal with what was expected, excess and margin, order, texts of values.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.simulate.errors import InputError
from kpa.tune.objective import UNITS, Limit, Objective, parse_objective, text_of


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("min replica-minutes", Objective((), "replica-minutes")),
        ("p99 < 2s, min replica-minutes", Objective((Limit("p99", 2.0),), "replica-minutes")),
        ("min p95,queue p99<=500ms", Objective((Limit("queue-p99", 0.5),), "p95")),
        (
            "rejected < 0.1%, cold starts < 5, min scale-actions",
            Objective((Limit("rejected", 0.001), Limit("cold-starts", 5.0)), "scale-actions"),
        ),
    ],
)
def test_objectives_are_read_and_written(text: str, objective: Objective) -> None:
    assert parse_objective(text) == objective
    assert parse_objective(str(objective)) == objective


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "objective: '' must be METRIC < VALUE or min METRIC"),
        ("p99 < 2s", "objective 'p99 < 2s' has 0 goals, must have one"),
        ("min p99, min p95", "has 2 goals, must have one"),
        ("p98 < 2s, min p99", "objective: 'p98 < 2s': unknown metric 'p98'; limits and one goal"),
        ("min cost", "objective: 'min cost': unknown metric 'cost'; limits and one goal"),
        ("p99 < 2, min p95", "objective: 'p99 < 2': '2' must be a time such as 2s, more than 0"),
        ("p99 < 0s, min p95", "'0s' must be a time such as 2s, more than 0"),
        ("rejected < few, min p95", "'few' must be a part such as 0.1%, more than 0"),
        ("cold-starts < -1, min p95", "'-1' must be a number such as 5, more than 0"),
        ("p99 > 2s, min p95", "objective: 'p99 > 2s' must be METRIC < VALUE"),
        ("p99 < 1s < 2s, min p95", "must be METRIC < VALUE"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_was_expected(text: str, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_objective(text)
    assert problem in str(refused.value)
    assert "such as" in str(refused.value)
    assert "\n" not in str(refused.value)


def metrics(**values: list[float]) -> dict[str, np.ndarray]:
    return {name.replace("_", "-"): np.array(column) for name, column in values.items()}


def test_limits_come_before_the_goal() -> None:
    objective = parse_objective("p99 < 2s, min replica-minutes")
    told = metrics(p99=[3.0, 1.0, 2.0, 2.5], replica_minutes=[1.0, 9.0, 8.0, 2.0])
    assert objective.order(told).tolist() == [2, 1, 3, 0]
    assert objective.excess(told).tolist() == [0.5, 0.0, 0.0, 0.25]


def test_a_margin_tightens_the_limits() -> None:
    objective = parse_objective("p99 < 2s, min replica-minutes")
    told = metrics(p99=[1.9, 1.7], replica_minutes=[1.0, 9.0])
    assert objective.order(told).tolist() == [0, 1]
    assert objective.order(told, margin=0.1).tolist() == [1, 0]


def test_a_limit_holds_below_its_value_only() -> None:
    objective = parse_objective("p99 < 2s, min replica-minutes")
    assert objective.holds({"p99": 1.999})
    assert not objective.holds({"p99": 2.0})


@pytest.mark.parametrize(
    ("text", "quality"),
    [
        ("p99 < 2s, min replica-minutes", "p99"),
        ("replica-minutes < 5, min p95", "replica-minutes"),
        ("min replica-minutes", "p99"),
        ("min p99", "replica-minutes"),
        ("p95 < 1s, min p95", "p99"),
    ],
)
def test_the_goal_is_shown_against_another_metric(text: str, quality: str) -> None:
    assert parse_objective(text).quality == quality


@given(st.sampled_from(list(UNITS)), st.floats(0, 1e5))
def test_every_value_has_a_text(metric: str, value: float) -> None:
    assert text_of(metric, value)
    assert text_of(metric, float("nan")) == "-"
