"""Conditions of a pass: which mark moves what, how `Ready` is derived, when times move.

`condition_histories.jsonl` has passes of marks and what Knative's condition set and its reconciler (serving
v0.48.1) made of them; one line a history, and of each condition whether its time moved.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.kube.objects.conditions import (
    FALSE,
    READY,
    TRUE,
    UNKNOWN,
    Condition,
    ConditionPass,
    condition,
    same_but_for_times,
)
from tests.kpa.kube.kube_samples import T0

DEPENDENTS = ("Active", "Initialized", "Served")


def begin(*stored: Condition, observed: bool = True, now: float = T0) -> ConditionPass:
    return ConditionPass(stored, DEPENDENTS, observed, now)


def stored(active: str, initialized: str, served: str, ready: str) -> tuple[Condition, ...]:
    statuses = (active, initialized, ready, served)
    types = ("Active", "Initialized", READY, "Served")
    return tuple(
        Condition(type_, status, f"Was{status}", since=T0 - 100)
        for type_, status in zip(types, statuses, strict=True)
    )


HAPPY = stored(TRUE, TRUE, TRUE, TRUE)


def brief(marks: ConditionPass) -> dict[str, str]:
    return {each.type: f"{each.status} {each.reason}".strip() for each in marks.result()}


def test_conditions_that_are_missing_begin_unknown_in_the_order_of_their_types() -> None:
    assert begin().result() == tuple(
        Condition(type_, UNKNOWN, since=T0) for type_ in ("Active", "Initialized", "Ready", "Served")
    )


def test_conditions_that_are_missing_begin_true_where_all_is_well() -> None:
    assert brief(begin(Condition(READY, TRUE)))["Served"] == TRUE


def test_a_new_generation_shows_until_something_is_known() -> None:
    assert brief(begin(*HAPPY, observed=False))[READY] == "Unknown NewObservedGenFailure"


def test_a_new_generation_shows_as_a_failure_beside_one() -> None:
    before = stored(FALSE, TRUE, TRUE, FALSE)
    assert brief(begin(*before, observed=False))[READY] == "False NewObservedGenFailure"


def test_a_new_generation_is_forgotten_with_the_first_dependent_that_is_marked() -> None:
    marks = begin(*HAPPY, observed=False)
    marks.mark_true("Active")
    assert brief(marks)[READY] == TRUE


@pytest.mark.parametrize(
    ("before", "ready"),
    [
        ((FALSE, TRUE, TRUE, FALSE), "True"),
        ((FALSE, UNKNOWN, TRUE, FALSE), "Unknown WasUnknown"),
        ((FALSE, UNKNOWN, FALSE, FALSE), "False WasFalse"),
    ],
    ids=["nothing else", "one unknown", "false goes before unknown"],
)
def test_a_mark_of_true_derives_ready_from_the_others(before: tuple[str, ...], ready: str) -> None:
    marks = begin(*stored(*before))
    marks.mark_true("Active")
    assert brief(marks)[READY] == ready


def test_ready_takes_the_reason_of_what_failed_last() -> None:
    older = Condition("Active", FALSE, "Older", since=T0 - 20)
    newer = Condition("Served", FALSE, "Newer", since=T0 - 10)
    marks = begin(older, newer, Condition(READY, FALSE), Condition("Initialized", UNKNOWN))
    marks.mark_true("Initialized")
    assert brief(marks)[READY] == "False Newer"


def test_what_a_pass_changes_is_newer_than_all_it_found() -> None:
    found = Condition("Served", UNKNOWN, "Found", since=T0 + 3600)
    marks = begin(found, Condition("Active", TRUE), Condition(READY, UNKNOWN))
    marks.mark_unknown("Active", "Changed", "")
    marks.mark_true("Initialized")
    assert brief(marks)[READY] == "Unknown Changed"


def test_of_conditions_of_one_time_the_first_one_speaks() -> None:
    marks = begin(*stored(UNKNOWN, TRUE, UNKNOWN, TRUE)[::-1])
    marks.mark_true("Initialized")
    assert brief(marks)[READY] == "Unknown WasUnknown"
    two = [Condition("Served", UNKNOWN, "S", since=T0), Condition("Active", UNKNOWN, "A", since=T0)]
    marks = begin(*two, Condition(READY, UNKNOWN))
    marks.mark_true("Initialized")
    assert brief(marks)[READY] == "Unknown A"


def test_an_informational_condition_does_not_speak_against_readiness() -> None:
    marks = begin(*HAPPY, Condition("Theirs", FALSE, severity="Info"))
    marks.mark_true("Active")
    assert brief(marks)[READY] == TRUE
    assert brief(marks)["Theirs"] == FALSE


@pytest.mark.parametrize(
    ("before", "ready"),
    [
        ((TRUE, TRUE, TRUE, TRUE), "Unknown Why"),
        ((TRUE, TRUE, FALSE, FALSE), "False WasFalse"),
        ((TRUE, TRUE, FALSE, UNKNOWN), "False Why"),
        ((FALSE, TRUE, TRUE, FALSE), "Unknown Why"),
    ],
    ids=["all well", "another false", "another false, not told yet", "itself false before"],
)
def test_a_mark_of_unknown_moves_ready_unless_something_is_false(before: tuple[str, ...], ready: str) -> None:
    marks = begin(*stored(*before))
    marks.mark_unknown("Active", "Why", "Because.")
    assert brief(marks)["Active"] == "Unknown Why"
    assert brief(marks)[READY] == ready


def test_a_mark_of_what_ready_does_not_depend_on_leaves_ready_alone() -> None:
    marks = begin(*HAPPY)
    marks.mark_unknown("Theirs", "Why", "")
    assert brief(marks)[READY] == "True WasTrue"


def test_a_mark_of_false_makes_ready_false_for_the_same_reason() -> None:
    marks = begin(*HAPPY)
    marks.mark_false("Served", "Why", "Because.")
    assert condition(marks.result(), READY) == Condition(READY, FALSE, "Why", "Because.", since=T0)
    assert condition(marks.result(), "Served") == Condition("Served", FALSE, "Why", "Because.", since=T0)


def test_a_set_of_ready_alone_takes_its_marks() -> None:
    marks = ConditionPass((), (), False, T0)
    marks.mark_true(READY)
    assert marks.result() == (Condition(READY, TRUE, since=T0),)


@pytest.mark.parametrize(
    "change",
    [
        Condition("Active", FALSE, "WasTrue", since=T0 - 100),
        Condition("Active", TRUE, "Else", since=T0 - 100),
        Condition("Active", TRUE, "WasTrue", "Else.", since=T0 - 100),
        Condition("Active", TRUE, "WasTrue", severity="Warning", since=T0 - 100),
    ],
    ids=["status", "reason", "message", "severity"],
)
def test_a_time_moves_with_whatever_a_condition_says(change: Condition) -> None:
    before = Condition("Active", TRUE, "WasTrue", since=T0 - 100)
    assert before.says(Condition("Active", TRUE, "WasTrue", since=T0))
    assert not before.says(change)
    assert not same_but_for_times([before], [change])


def test_a_condition_that_changes_back_within_a_pass_keeps_its_time() -> None:
    before = (Condition("Active", UNKNOWN, "Queued", since=T0 - 9), *HAPPY[1:2], HAPPY[3])
    marks = begin(*before, Condition(READY, UNKNOWN, "Queued", since=T0 - 8))
    marks.mark_false("Active", "No", "")
    marks.mark_unknown("Active", "Queued", "")
    assert marks.result()[0].since == T0 - 9
    assert marks.result()[2].since == T0 - 8


def test_all_that_changes_gets_one_time_in_whole_seconds() -> None:
    marks = begin(*HAPPY, now=T0 + 0.9)
    marks.mark_false("Active", "No", "")
    times = {each.type: each.since for each in marks.result()}
    assert times == {"Active": T0, READY: T0, "Initialized": T0 - 100, "Served": T0 - 100}


HISTORIES = (Path(__file__).parent / "condition_histories.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", HISTORIES, ids=range(len(HISTORIES)))
def test_a_history_of_passes_is_told_as_knative_tells_it(line: str) -> None:
    history: dict[str, Any] = json.loads(line)
    conditions: tuple[Condition, ...] = ()
    observed = 0
    types = ("Active", "ScaleTargetInitialized", "SKSReady")
    for number, ((generation, marks), told) in enumerate(
        zip(history["passes"], history["told"], strict=True)
    ):
        now = T0 + number
        made = ConditionPass(conditions, types, observed == generation, now + 0.5)
        conditions, observed = apply(made, marks), generation
        assert [[c.type, c.status, c.reason, c.message, c.since == now] for c in conditions] == told


# What holds for every history of marks.

statuses = st.sampled_from([TRUE, FALSE, UNKNOWN])
reasons = st.sampled_from(["A", "B"])
Mark = tuple[str, str, str, str]
marked = st.tuples(st.sampled_from(DEPENDENTS), statuses, reasons, st.just("Because."))


def apply(marks: ConditionPass, history: list[Mark]) -> tuple[Condition, ...]:
    for type_, status, reason, message in history:
        if status == TRUE:
            marks.mark_true(type_)
        elif status == FALSE:
            marks.mark_false(type_, reason, message)
        else:
            marks.mark_unknown(type_, reason, message)
    return marks.result()


passes = st.lists(st.lists(marked, min_size=1, max_size=5), min_size=1, max_size=4)


@given(passes)
def test_ready_is_true_only_if_all_are_and_false_only_if_one_is(
    histories: list[list[Mark]],
) -> None:
    conditions: tuple[Condition, ...] = ()
    for number, history in enumerate(histories):
        conditions = apply(begin(*conditions, observed=number % 2 == 0, now=T0 + number), history)
        values = [each.status for each in conditions if each.type != READY]
        ready = condition(conditions, READY)
        assert ready is not None
        assert (ready.status == TRUE) == all(value == TRUE for value in values)
        assert (ready.status == FALSE) == (FALSE in values)


@given(passes)
def test_times_move_with_what_is_said_and_only_then(histories: list[list[Mark]]) -> None:
    conditions: tuple[Condition, ...] = ()
    for number, history in enumerate(histories):
        after = apply(begin(*conditions, now=T0 + number), history)
        for each in after:
            before = condition(conditions, each.type)
            same = before is not None and each.says(before)
            assert each.since == (before.since if same and before else T0 + number)
        conditions = after
