"""Which answers of a service make a round's total, beside Knative's loops written out naively.

The cases are those of `knative/serving pkg/autoscaler/metrics/stats_scraper_test.go`, whose client answers in
turn. Left out: how answers come (test_service_scraper).
"""

import math
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sampling.failures import Failure
from metrics.sampling.service_sample import ServiceSample
from metrics.stat import Stat

WINDOW = 60.0
TRIES = 10

Outcome = Stat | Failure


def aged(pods: int, youngest: float) -> list[Stat]:
    """Stats of pods each ten seconds older than the one before, with 2, 4, 6, ... requests in flight."""
    return [
        Stat(f"pod-{i}", 2.0 * (i + 1), 3.0, 2.0, 4.0, process_uptime=youngest + 10 * i) for i in range(pods)
    ]


THREE = [
    Stat("pod-1", 3.0, 2.0, 5.0, 4.0),
    Stat("pod-2", 5.0, 4.0, 7.0, 6.0),
    Stat("pod-3", 3.0, 2.0, 5.0, 4.0),
]


def play(sample: ServiceSample, answers: list[Outcome]) -> None:
    """Give answers to the workers that still ask, in turn, until they or the answers end."""
    rest = iter(answers)
    while not sample.done:
        for worker in range(sample.size):
            if sample.needs_try(worker):
                answer = next(rest, None)
                if answer is None:
                    return
                if isinstance(answer, Stat):
                    sample.take(worker, answer)
                else:
                    sample.miss(worker, answer)


@pytest.mark.parametrize(
    ("pods", "stats", "total"),
    [
        pytest.param(3, THREE, 11.0, id="all of three"),
        pytest.param(4, aged(4, 0.0), 20.0, id="young"),
        pytest.param(4, aged(4, WINDOW), 20.0, id="old"),
        pytest.param(6, aged(6, WINDOW), 36.0, id="old ones enough"),
        pytest.param(11, aged(11, WINDOW / 2), 154.0, id="three too young"),
    ],
)
def test_the_peers_cases_have_the_peers_totals(pods: int, stats: list[Stat], total: float) -> None:
    sample = ServiceSample(pods, WINDOW)
    play(sample, list(islice(cycle(stats), 1000)))
    result = sample.total()
    assert isinstance(result, Stat)
    assert sample.done
    assert result.pod_name == "service-scraper"
    assert result.average_concurrent_requests == total


def test_all_four_values_are_scaled_up() -> None:
    sample = ServiceSample(3, WINDOW)
    play(sample, [*THREE])
    assert sample.total() == Stat("service-scraper", 11.0, 8.0, 17.0, 14.0)


def test_a_pod_that_answers_again_and_again_is_too_few() -> None:
    sample = ServiceSample(2, WINDOW)
    play(sample, [THREE[2]] * 100)
    assert sample.total() is Failure.REPEATED


def test_an_asker_that_only_meets_errors_ends_with_the_first_ones_reason() -> None:
    sample = ServiceSample(2, WINDOW)
    play(sample, [THREE[0], *[Failure.CONNECT] * 100])
    assert sample.total() is Failure.CONNECT


def test_a_sample_given_up_early_says_that_time_was_short() -> None:
    sample = ServiceSample(3, WINDOW)
    play(sample, [THREE[0]])
    assert not sample.done
    assert sample.total() is Failure.TIMEOUT


def test_nobody_asks_on_once_all_pods_have_been_heard() -> None:
    sample = ServiceSample(4, WINDOW)
    answers: list[Outcome] = [*aged(4, 0.0), *[Failure.CONNECT] * 100]
    play(sample, answers[:4])
    assert sample.done


def test_young_pods_do_not_end_an_asker_while_there_is_room() -> None:
    sample = ServiceSample(11, WINDOW)
    for number in range(sample.size):
        sample.take(0, Stat(f"young-{number}"))
        assert sample.needs_try(0)
    sample.take(0, Stat("one too many"))
    assert not sample.needs_try(0)


def naive(pods: int, answers: list[tuple[int, Outcome]]) -> float | None:
    """Knative's loops: concurrency in total, or None; worker and answer of each try are given."""
    size = pods if pods <= 3 else math.ceil(pods * 15.3664 / (pods + 15.3664 - 1))
    tries, ended = [0] * size, [False] * size
    names: set[str] = set()
    old: list[float] = []
    young: list[float] = []
    for worker, answer in answers:
        worker %= size
        if ended[worker]:
            continue
        tries[worker] += 1
        if isinstance(answer, Failure) or answer.pod_name in names:
            ended[worker] = tries[worker] >= TRIES
            continue
        names.add(answer.pod_name)
        if answer.process_uptime >= WINDOW:
            old.append(answer.average_concurrent_requests)
            ended[worker] = True
        elif len(young) < size:
            young.append(answer.average_concurrent_requests)
        else:
            ended[worker] = True
    values = (old + young)[:size]
    return sum(values) / size * pods if len(values) == size else None


@st.composite
def rounds(draw: st.DrawFn) -> tuple[int, list[tuple[int, Outcome]]]:
    """A number of pods, and who hears which of them when; some never answer."""
    pods = draw(st.integers(1, 12))
    uptimes = draw(st.lists(st.sampled_from([0.0, 59.9, 60.0, 3600.0]), min_size=pods, max_size=pods))
    stats = [Stat(f"pod-{i}", float(2**i), process_uptime=uptime) for i, uptime in enumerate(uptimes)]
    heard = st.sampled_from([*stats, Failure.TIMEOUT])
    return pods, draw(st.lists(st.tuples(st.integers(0, 15), heard), max_size=200))


@given(rounds())
def test_totals_are_those_of_the_peers_loops(played: tuple[int, list[tuple[int, Outcome]]]) -> None:
    pods, answers = played
    sample = ServiceSample(pods, WINDOW)
    for worker, answer in answers:
        if sample.needs_try(worker % sample.size):
            if isinstance(answer, Stat):
                sample.take(worker % sample.size, answer)
            else:
                sample.miss(worker % sample.size, answer)
    total = sample.total()
    expected = naive(pods, answers)
    assert (total.average_concurrent_requests if isinstance(total, Stat) else None) == expected
