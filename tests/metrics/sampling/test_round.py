"""Aspects: whom a round asks, whom it waits for, and what it makes of the answers, with pods in memory.

Left out: connections (test_scraper, test_pods) and time (test_collector).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.key import Key
from metrics.sampling.failures import Failure
from metrics.sampling.gap_filling import GapFiller, MissingStats
from metrics.sampling.pod_target import PodTarget, extrapolate, sampling_order
from metrics.sampling.round import Round
from metrics.sampling.sample_size import sample_size
from metrics.stat import Stat

KEY = Key("default", "hello")
NOW = 10_000.0


class FakePod:
    """Answers when told to."""

    def __init__(self, name: str = "pod", age: float = 1000.0, willing: bool = True) -> None:
        self.target = PodTarget(name, "host", 1, NOW - age)
        self.trusted = True
        self.waiting = False
        self.asked_in = 0
        self.awaited = False
        self.late: Stat | None = None
        self.failure: Failure | None = None
        self.willing = willing
        self.asked = 0
        self.rested = 0

    def ask(self) -> bool:
        self.asked += 1
        if self.willing:
            self.waiting, self.trusted = True, False
        return self.willing

    def rest(self) -> None:
        self.rested += 1
        self.late = None


class Fleet:
    """A revision with pods, and what is recorded of it."""

    def __init__(self, *pods: FakePod, policy: MissingStats = "hold") -> None:
        self.pods = pods
        self.recorded: list[tuple[int, float]] = []
        self.ended = 0
        self.round = Round(GapFiller(KEY, self._record, lambda key: None), self._end)
        self.round.configure(60.0, 6.0, policy)
        self.round.set_pods(pods)

    def _record(self, key: Key, stat: Stat, second: int) -> None:
        assert stat.pod_name == "service-scraper"
        self.recorded.append((second, stat.average_concurrent_requests))

    def _end(self, began: float) -> None:
        self.ended += 1

    def begin(self, second: int) -> None:
        self.round.begin(second, NOW + second)

    def answer(self, pod: FakePod, concurrency: float) -> None:
        pod.waiting, pod.trusted = False, True
        self.round.answered(pod, Stat(pod.target.name, concurrency))

    def fail(self, pod: FakePod) -> None:
        pod.waiting = pod.trusted = False
        self.round.failed(pod)


def _pods(number: int, **options: float) -> list[FakePod]:
    return [FakePod(f"pod-{i}", **options) for i in range(number)]


def test_a_round_ends_with_the_last_answer_of_its_sample() -> None:
    fleet = Fleet(*_pods(3))
    fleet.begin(100)
    fleet.answer(fleet.pods[2], 1.0)
    fleet.answer(fleet.pods[0], 2.0)
    assert fleet.recorded == []
    fleet.answer(fleet.pods[1], 3.0)
    assert fleet.recorded == [(100, 6.0)]
    fleet.round.expire(100)
    assert (fleet.recorded, fleet.ended) == ([(100, 6.0)], 1)


@pytest.mark.parametrize(("policy", "recorded"), [("hold", [(100, 9.0)]), ("zero", [])])
def test_a_deadline_ends_the_round_with_what_there_is(policy: MissingStats, recorded: list[object]) -> None:
    fleet = Fleet(*_pods(3), policy=policy)
    fleet.begin(100)
    fleet.answer(fleet.pods[0], 2.0)
    fleet.answer(fleet.pods[1], 4.0)
    fleet.round.expire(99)
    assert fleet.ended == 0
    fleet.round.expire(100)
    assert fleet.recorded == recorded


def test_a_failed_pod_is_replaced_by_a_spare() -> None:
    fleet = Fleet(*_pods(5), policy="zero")
    fleet.begin(100)
    asked = [pod for pod in fleet.pods if pod.waiting]
    (spare,) = (pod for pod in fleet.pods if not pod.waiting)
    assert len(asked) == 4
    fleet.fail(asked[0])
    assert spare.waiting
    for pod in asked[1:]:
        fleet.answer(pod, 1.0)
    assert fleet.recorded == []
    fleet.answer(spare, 1.0)
    assert fleet.recorded == [(100, 5.0)]


def test_under_zero_a_sample_that_cannot_be_filled_records_nothing() -> None:
    fleet = Fleet(*_pods(5), policy="zero")
    fleet.begin(100)
    first, second, *_ = [pod for pod in fleet.pods if pod.waiting]
    fleet.fail(first)
    fleet.fail(second)
    for pod in fleet.pods:
        if pod.waiting:
            fleet.answer(pod, 1.0)
    assert (fleet.recorded, fleet.ended) == ([], 1)


def test_under_hold_the_answers_of_some_stand_for_all() -> None:
    fleet = Fleet(*_pods(3))
    fleet.begin(100)
    fleet.fail(fleet.pods[0])
    fleet.fail(fleet.pods[1])
    fleet.answer(fleet.pods[2], 2.0)
    assert fleet.recorded == [(100, 6.0)]


def test_the_next_round_does_not_wait_for_a_pod_that_owes_an_answer() -> None:
    fleet = Fleet(*_pods(3))
    quick = fleet.pods[1:]
    fleet.begin(100)
    for pod in quick:
        fleet.answer(pod, 1.0)
    fleet.round.expire(100)
    fleet.begin(101)
    for pod in quick:
        fleet.answer(pod, 2.0)
    assert fleet.recorded == [(100, 3.0), (101, 6.0)]


def test_under_zero_every_pod_of_the_sample_is_waited_for() -> None:
    fleet = Fleet(*_pods(2), policy="zero")
    fleet.begin(100)
    fleet.answer(fleet.pods[0], 1.0)
    fleet.round.expire(100)
    fleet.begin(101)
    fleet.answer(fleet.pods[0], 1.0)
    assert fleet.ended == 1
    fleet.answer(fleet.pods[1], 3.0)
    assert fleet.recorded == [(101, 4.0)]


def test_suspect_pods_are_waited_for_when_there_are_no_others() -> None:
    fleet = Fleet(*_pods(2))
    for pod in fleet.pods:
        pod.trusted = False
    fleet.begin(100)
    fleet.answer(fleet.pods[0], 1.0)
    assert fleet.recorded == []
    fleet.answer(fleet.pods[1], 5.0)
    assert fleet.recorded == [(100, 6.0)]


def test_suspect_pods_are_waited_for_when_all_others_failed() -> None:
    fleet = Fleet(*_pods(2))
    trusted, suspect = fleet.pods
    suspect.trusted = False
    fleet.begin(100)
    fleet.fail(trusted)
    assert fleet.ended == 0
    fleet.answer(suspect, 5.0)
    assert fleet.recorded == [(100, 10.0)]


def test_a_late_answer_stands_in_for_its_pod_in_the_next_round_only() -> None:
    fleet = Fleet(*_pods(2))
    slow, quick = fleet.pods
    fleet.begin(100)
    fleet.answer(quick, 1.0)
    fleet.round.expire(100)
    fleet.answer(slow, 9.0)
    fleet.begin(101)
    fleet.answer(quick, 1.0)
    fleet.round.expire(101)
    fleet.begin(102)
    fleet.answer(quick, 1.0)
    fleet.round.expire(102)
    assert fleet.recorded == [(100, 2.0), (101, 10.0), (102, 2.0)]


def test_an_answer_owed_to_an_earlier_round_does_not_count_in_one_that_did_not_ask() -> None:
    fleet = Fleet(*_pods(10))
    fleet.begin(100)
    slow, *quick = [pod for pod in fleet.pods if pod.waiting]
    for pod in quick:
        fleet.answer(pod, 1.0)
    fleet.round.expire(100)
    fleet.begin(101)
    fleet.answer(slow, 1000.0)
    for pod in fleet.pods:
        if pod.waiting:
            fleet.answer(pod, 1.0)
    assert fleet.recorded == [(100, 10.0), (101, 10.0)]


def test_a_new_answer_replaces_a_late_one() -> None:
    fleet = Fleet(FakePod())
    (pod,) = fleet.pods
    pod.late = Stat("pod", 9.0)
    fleet.begin(100)
    fleet.answer(pod, 1.0)
    assert fleet.recorded == [(100, 1.0)]
    assert pod.late is None


def test_a_round_in_which_every_pod_is_left_alone_ends_at_once() -> None:
    fleet = Fleet(FakePod(willing=False))
    fleet.begin(100)
    assert fleet.ended == 1
    assert fleet.recorded == []


def test_without_pods_there_is_no_round() -> None:
    fleet = Fleet()
    fleet.begin(100)
    fleet.round.expire(100)
    assert fleet.ended == 0


def test_the_last_pod_leaving_drops_the_round() -> None:
    fleet = Fleet(*_pods(2))
    fleet.begin(100)
    fleet.answer(fleet.pods[0], 1.0)
    fleet.round.set_pods(())
    fleet.fail(fleet.pods[1])
    fleet.round.expire(100)
    assert fleet.recorded == []


def test_pods_that_come_and_go_in_mid_round_do_not_disturb_it() -> None:
    fleet = Fleet(*_pods(3))
    stays, leaves, _ = fleet.pods
    fleet.begin(100)
    fleet.answer(stays, 2.0)
    newcomer = FakePod("new")
    fleet.round.set_pods((stays, newcomer))
    fleet.fail(leaves)
    fleet.fail(fleet.pods[2])
    assert fleet.recorded == [(100, 6.0)]
    assert newcomer.asked == 0
    fleet.begin(101)
    fleet.answer(stays, 2.0)
    fleet.answer(newcomer, 3.0)
    assert fleet.recorded[1:] == [(101, 5.0)]


def test_a_round_that_is_still_open_ends_when_the_next_begins() -> None:
    fleet = Fleet(*_pods(2))
    fleet.begin(100)
    fleet.answer(fleet.pods[0], 1.0)
    fleet.begin(101)
    assert fleet.recorded == [(100, 2.0)]


def test_pods_outside_the_sample_rest() -> None:
    fleet = Fleet(*_pods(10))
    fleet.begin(100)
    assert sorted(pod.asked + pod.rested for pod in fleet.pods) == [1] * 10
    assert sum(pod.asked for pod in fleet.pods) == 7


def test_old_pods_are_asked_first_and_young_ones_fill_up() -> None:
    old, young = _pods(6, age=60.0), _pods(4, age=59.0)
    fleet = Fleet(*young, *old)
    fleet.round.begin(100, NOW)
    assert all(pod.asked for pod in old)
    assert sum(pod.asked for pod in young) == 1


def test_a_sample_of_enough_old_pods_asks_no_young_one() -> None:
    old, young = _pods(9, age=61.0), _pods(1, age=1.0)
    asked = set()
    for _ in range(40):
        fleet = Fleet(*young, *old)
        fleet.round.begin(100, NOW)
        asked.update(pod.target.name for pod in old if pod.asked)
        assert young[0].asked == 0
        for pod in old:
            pod.trusted, pod.asked = True, 0
    assert len(asked) == 9, "chance picks among the old"


def test_suspect_pods_come_last_whatever_their_age() -> None:
    old, young, suspect = FakePod("old"), FakePod("young", age=1.0), FakePod("suspect")
    suspect.trusted = False
    order = sampling_order([suspect, young, old], NOW, 60.0)
    assert [pod.target.name for pod in order] == ["old", "young", "suspect"]


def test_nothing_is_left_of_a_round_when_the_clock_was_set_back() -> None:
    fleet = Fleet(FakePod())
    fleet.begin(100)
    fleet.round.clock_set_back()
    fleet.answer(fleet.pods[0], 4.0)
    assert fleet.recorded == []


loads = st.floats(0.0, 1e6)


@given(
    stats=st.lists(st.tuples(loads, loads, loads, loads), min_size=1, max_size=16), spare=st.integers(0, 1000)
)
def test_extrapolation_is_the_mean_times_the_pods(stats: list[tuple[float, ...]], spare: int) -> None:
    pods = len(stats) + spare
    total = extrapolate([Stat("pod", *values, 5.0, 7) for values in stats], pods, 100)
    for got, column in zip(total[1:5], zip(*stats, strict=True), strict=True):
        assert got == pytest.approx(sum(column) / len(column) * pods, rel=1e-12)
    assert (total.pod_name, total.process_uptime, total.timestamp) == ("service-scraper", 0.0, 100)


@given(
    number=st.integers(1, 40),
    fates=st.lists(st.sampled_from(["answer", "fail", "silence"]), min_size=40, max_size=40),
    policy=st.sampled_from(["hold", "zero"]),
)
def test_any_fate_of_pods_gives_the_total_that_a_naive_reading_of_the_rule_gives(
    number: int, fates: list[str], policy: MissingStats
) -> None:
    fleet = Fleet(*_pods(number), policy=policy)
    values: list[float] = []
    fleet.begin(100)
    fate = dict(zip(fleet.pods, fates, strict=False))
    while moving := [pod for pod in fleet.pods if pod.waiting and fate[pod] != "silence"]:
        if fate[moving[0]] == "fail":
            fleet.fail(moving[0])
        else:
            values.append(float(moving[0].target.name.removeprefix("pod-")))
            fleet.answer(moving[0], values[-1])
    fleet.round.expire(100)
    needed = 1 if policy == "hold" else sample_size(number)
    if len(values) >= needed:
        assert fleet.recorded == [(100, pytest.approx(sum(values) / len(values) * number))]
    else:
        assert fleet.recorded == []
