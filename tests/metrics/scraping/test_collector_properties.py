"""Aspects: one record for every second and revision, whatever the loop's lateness and the pods' fates.

Pods are in memory: they answer, fail or stay silent as chance has it, some of them late.
"""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.key import Key
from metrics.sampling.failures import Failure
from metrics.sampling.gap_filling import MissingStats
from metrics.sampling.pod_target import ScrapeListener
from metrics.scraping.collector import Collector, PodTarget
from metrics.stat import Stat

START = 1_000_000
KEY = Key("default", "hello")


class Pod:
    """A pod in memory, in the place of `PodScraper`."""

    def __init__(
        self, target: PodTarget, listener: ScrapeListener, connector: object, failures: object
    ) -> None:
        self.target = target
        self.trusted = True
        self.waiting = False
        self.asked_in = 0
        self.awaited = False
        self.late: Stat | None = None
        self.failure: Failure | None = None
        self.connection = None
        self._listener = listener

    def ask(self) -> bool:
        self.trusted, self.waiting = False, True
        return True

    def rest(self) -> None:
        self.late = None

    def close(self) -> None:
        pass

    def meet(self, fate: str) -> None:
        if not self.waiting or fate == "silence":
            return
        self.waiting = False
        if fate == "answer":
            self.trusted, self.failure = True, None
            self._listener.answered(self, Stat("pod", 1.0))
        else:
            self.failure = Failure.CLOSED
            self._listener.failed(self)


def _collect(
    pods: int, policy: MissingStats, panic_window: float, steps: list[tuple[float, list[str]]]
) -> tuple[list[int], int]:
    """Walk through time; after each step the pods meet their fates. Returns seconds recorded, and forgets."""
    seconds: list[int] = []
    forgotten: list[object] = []

    def record(key: object, stat: Stat, second: int) -> None:
        assert stat.average_concurrent_requests == pytest.approx(pods)
        seconds.append(second)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics.scraping.revision_scraper.PodScraper", Pod)
        collector = Collector(record, forgotten.append)
        now = START - 0.01
        collector.turn(now)
        targets = [PodTarget(str(number), "host", 1, 0.0) for number in range(pods)]
        collector.watch(KEY, targets, stable_window=60.0, panic_window=panic_window, missing_stats=policy)
        for step, fates in steps:
            now += step
            collector.turn(now)
            for pod, fate in zip(list(collector._scrapers[KEY].pods.values()), fates, strict=False):
                pod.meet(fate)
    return seconds, len(forgotten)


fates = st.lists(st.sampled_from(["answer", "answer", "fail", "silence"]), min_size=8, max_size=8)


@given(
    pods=st.integers(1, 8),
    policy=st.sampled_from(["hold", "zero"]),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), fates), max_size=60),
)
def test_no_second_is_recorded_twice_or_out_of_order(
    pods: int, policy: MissingStats, steps: list[tuple[float, list[str]]]
) -> None:
    seconds, _ = _collect(pods, policy, 6.0, steps)
    assert all(count == 1 for count in Counter(seconds).values())
    assert seconds == sorted(seconds)


@given(
    pods=st.integers(1, 8),
    policy=st.sampled_from(["hold", "zero"]),
    steps=st.lists(st.floats(0.0, 0.3), min_size=10, max_size=80),
)
def test_with_pods_that_answer_every_second_is_recorded_even_by_a_late_loop(
    pods: int, policy: MissingStats, steps: list[float]
) -> None:
    seconds, forgotten = _collect(pods, policy, 6.0, [(step, ["answer"] * 8) for step in steps])
    assert seconds == list(range(START, START + len(seconds)))
    assert len(seconds) >= int(sum(steps) - 0.01)
    assert forgotten == 0


@given(
    pods=st.integers(1, 8), steps=st.lists(st.tuples(st.floats(0.0, 0.99), fates), min_size=1, max_size=60)
)
def test_under_hold_no_second_is_missing_between_records_unless_the_data_was_forgotten(
    pods: int, steps: list[tuple[float, list[str]]]
) -> None:
    seconds, forgotten = _collect(pods, "hold", 6.0, steps)
    gaps = sum(later != earlier + 1 for earlier, later in pairwise(seconds))
    assert gaps <= forgotten
