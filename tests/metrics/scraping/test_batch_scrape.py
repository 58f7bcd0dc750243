"""Aspects: pods that are asked in one go are heard as if each had been asked by itself, whatever they do.

Pods are in memory, at the other ends of socket pairs, and act when a test lets them.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.key import Key
from metrics.sampling.gap_filling import MissingStats
from metrics.scraping.collector import Collector, PodTarget
from metrics.stat import Stat
from tests.metrics.fake_pods import sized

START = 1_000_000
KEY = Key("default", "hello")
MOMENTS = (0.01, 0.06, 0.11, 0.16, 0.3, 0.55, 0.8)


class Pod:
    """Answers what it was asked, once and as it is told to."""

    def __init__(self, number: int) -> None:
        self.name = f"pod-{number}"
        self.load = float(number)
        self.end: socket.socket | None = None
        self.owed = b""
        self.requests = 0
        self.started_at = 0.0

    def connect(self) -> socket.socket:
        self.hang_up()
        ours, self.end = socket.socketpair()
        self.owed = b""
        ours.setblocking(False)
        self.end.setblocking(False)
        return ours

    def act(self, fate: str) -> None:
        owed, self.owed = self.owed, b""
        self._say(owed)
        if self.end is None:
            return
        try:
            asked = self.end.recv(4096).count(b"\r\n\r\n")
        except BlockingIOError:
            asked = 0
        except ConnectionError:
            return
        self.requests += asked
        if asked:
            self._meet(fate)
        elif fate == "unasked":
            self._say(self._response())

    def _response(self, name: str = "") -> bytes:
        return sized(Stat(name, self.load, 0.0, 2 * self.load, 0.0, 100.0).encode())

    def _meet(self, fate: str) -> None:
        answer = self._response(self.name if fate == "named" else "")
        match fate:
            case "half" | "late":
                cut = 0 if fate == "late" else len(answer) // 2
                self._say(answer[:cut])
                self.owed = answer[cut:]
            case "other":
                self._say(self._response("another"))
            case "garbage" | "refuse" | "implausible":
                bad = {"garbage": b"\x00", "refuse": b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}
                self._say(bad.get(fate, sized(Stat("", -1.0).encode())))
            case "hang up":
                self.hang_up()
            case "answer, hang up":
                self._say(answer)
                self.hang_up()
            case "last":
                self._say(answer.replace(b"Content-Length", b"Connection: close\r\nContent-Length"))
            case "twice":
                self._say(answer * 2)
            case "answer" | "named":
                self._say(answer)

    def _say(self, data: bytes) -> None:
        try:
            if self.end is not None:
                self.end.send(data)
        except OSError:
            self.hang_up()

    def hang_up(self) -> None:
        if self.end is not None:
            self.end.close()
            self.end = None


class World:
    """A collector, its pods, and what it records."""

    def __init__(self, pods: int, policy: MissingStats) -> None:
        self.pods = [Pod(number) for number in range(pods)]
        self.policy = policy
        self.records: list[tuple[int, float, float]] = []
        self.events: list[str] = []
        self.start = START
        self.step = 1.0
        self.collector = Collector(self._record, lambda key: self.events.append("forgotten"))
        self.collector.turn(START - 0.05)
        self.watch(pods)

    def _record(self, key: object, stat: Stat, second: int) -> None:
        self.records.append((second, stat.average_concurrent_requests, stat.request_count))

    def watch(self, pods: int) -> None:
        here = enumerate(self.pods[:pods])
        targets = [PodTarget(pod.name, "127.0.0.1", number, pod.started_at) for number, pod in here]
        self.collector.watch(KEY, targets, stable_window=60.0, panic_window=6.0, missing_stats=self.policy)

    def second(self, number: int, *fates: str, event: str = "") -> None:
        """Let a second pass, in which each pod has a fate, and something happens once all are asked."""
        for pod in self.pods:
            pod.load += self.step
        with pytest.MonkeyPatch.context() as patch:
            for moment in MOMENTS:
                self.collector.turn(self.start + number + moment)
                for pod, fate in zip(self.pods, fates, strict=False):
                    pod.act(fate)
                if moment == MOMENTS[0]:
                    self._happens(event, patch)

    def _happens(self, event: str, patch: pytest.MonkeyPatch) -> None:
        match event:
            case "a pod goes":
                self.watch(len(self.pods) - 1)
            case "all are there":
                self.watch(len(self.pods))
            case "the clock is set back":
                self.start -= 100
            case "nobody has time to read":
                patch.setattr("metrics.scraping.poller._MOST", 0)

    @property
    def is_batch(self) -> bool:
        scraper = self.collector._scrapers[KEY]
        batch = scraper.round._batch is not None
        assert not batch or all(pod.at_rest and pod.late is None for pod in scraper.pods.values())
        return batch


@contextmanager
def world(pods: int, policy: MissingStats = "hold", *, quietly: bool = True) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics.scraping.poller._RINGS", 1)  # each turn sees all that was said unasked
        patch.setattr("metrics.scraping.poller._SWEEP", 0.01)
        if not quietly:
            patch.setattr(
                "metrics.scraping.revision_scraper.RevisionScraper._batch_scrape",
                lambda scraper, sample: None,
            )
        it = World(pods, policy)
        patch.setattr(
            "metrics.scraping.connector._connecting", lambda family, address: it.pods[address[1]].connect()
        )
        yield it
        asyncio.run(it.collector.close())
        for pod in it.pods:
            pod.hang_up()


FATES = [
    "answer", "named", "late", "half", "silence", "other", "garbage", "refuse", "implausible", "hang up",
    "answer, hang up", "last", "twice", "unasked",
]  # fmt: skip


def test_a_revision_whose_pods_all_answered_is_asked_in_one_go() -> None:
    with world(3) as it:
        it.second(0, *["named"] * 3)
        assert it.is_batch
        pods = it.collector._scrapers[KEY].pods.values()
        it.collector.turn(START + 1.01)
        assert not any(pod.waiting for pod in pods), "nobody looks at pods"
        for pod in it.pods:
            pod.act("named")
        it.collector.turn(START + 1.06)
        assert [second - START for second, *_ in it.records] == [0, 1]
        assert all(pod.trusted for pod in pods)


@pytest.mark.parametrize("fate", FATES[2:])
def test_whatever_else_happens_ends_it_and_pods_that_answer_bring_it_back(fate: str) -> None:
    with world(3) as it:
        it.second(0, *["answer"] * 3)
        it.second(1, "answer", fate, "answer")
        it.second(2, "answer", fate, "answer")
        for second in range(3, 12):
            it.second(second, *["named"] * 3)
        assert it.is_batch
        assert [second - START for second, *_ in it.records] == list(range(12))


def _large(it: World) -> float:
    """Let all pods say the same, and be known to all; returns their load together."""
    it.step = 0.0
    for pod in it.pods:
        pod.load = 2.0
    for second in range(-30, 0):
        it.second(second, *["answer"] * len(it.pods))
    it.records.clear()
    return 2.0 * len(it.pods)


def test_of_many_pods_another_sample_is_asked_each_time() -> None:
    with world(10) as it:
        total = _large(it)
        assert it.is_batch
        for pod in it.pods:
            pod.requests = 0
        for second in range(40):
            it.second(second, *["named"] * 10)
            assert sum(pod.requests for pod in it.pods) == 7 * (second + 1)
        assert it.is_batch
        assert all(pod.requests > 8 for pod in it.pods), "28 each, by chance"
        assert it.records == [(START + second, total, 2 * total) for second in range(40)]


def test_many_pods_are_asked_by_themselves_until_the_youngest_is_as_old_as_the_others() -> None:
    with world(5) as it:
        for young in it.pods[3:]:
            young.started_at = START - 50.5
        it.watch(5)
        _large(it)
        batch = []
        for second in range(60):
            it.second(second, *["answer"] * 5)
            batch.append(it.is_batch)
        assert batch.index(True) >= 10, "it is asked from then on"
        assert all(batch[batch.index(True) :])


@pytest.mark.parametrize("number", range(5))
def test_another_pod_is_asked_in_the_place_of_one_that_fails(number: int) -> None:
    with world(5, "zero") as it:
        total = _large(it)
        fates = ["answer"] * 5
        fates[number] = "garbage"
        it.second(0, *fates)
        assert it.records == [(START, total, 2 * total)]


def test_of_pods_that_go_none_is_counted_later() -> None:
    with world(5) as it:
        _large(it)
        for second in range(0, 80, 2):
            it.watch(5)
            it.second(second, *["answer"] * 5, event="a pod goes")
            it.second(second + 1, *["answer"] * 4)
        assert [total for second, total, _ in it.records if second % 2] == [8.0] * 40


EVENTS = [*[""] * 4, "a pod goes", "all are there", "the clock is set back", "nobody has time to read"]
fates = st.one_of(st.just(("answer",) * 3), st.tuples(*[st.sampled_from(FATES)] * 3))


@settings(max_examples=300)
@given(
    pods=st.integers(1, 3),
    policy=st.sampled_from(["hold", "zero"]),
    seconds=st.lists(st.tuples(fates, st.sampled_from(EVENTS)), max_size=14),
)
def test_what_is_recorded_is_the_same_as_if_each_pod_were_asked_by_itself(
    pods: int, policy: MissingStats, seconds: list[tuple[tuple[str, ...], str]]
) -> None:
    seen = []
    for quietly in (True, False):
        with world(pods, policy, quietly=quietly) as it:
            for number, (each, event) in enumerate(seconds):
                it.second(number, *each, event=event)
            assert quietly or not it.is_batch
            asked = [pod.requests for pod in it.pods]
            seen.append((it.records, it.events, it.collector.failures, asked))
    assert seen[0] == seen[1]


@settings(max_examples=50)
@given(
    pods=st.integers(5, 9),
    seconds=st.lists(
        st.tuples(st.sampled_from(FATES), st.sampled_from(["", "all are there", "nobody has time to read"])),
        max_size=6,
    ),
)
def test_a_sample_that_shares_a_fate_is_recorded_as_if_each_pod_were_asked_by_itself(
    pods: int, seconds: list[tuple[str, str]]
) -> None:
    seen = []
    for quietly in (True, False):
        with world(pods, quietly=quietly) as it:
            _large(it)
            assert it.is_batch == quietly
            for number, (fate, event) in enumerate(seconds):
                it.second(number, *[fate] * pods, event=event)
            seen.append((it.records, it.events))
    assert seen[0] == seen[1]


@settings(max_examples=50)
@given(
    pods=st.integers(5, 9),
    seconds=st.lists(st.lists(st.sampled_from(FATES), min_size=2, max_size=2), min_size=1, max_size=8),
)
def test_two_pods_that_do_anything_at_all_leave_the_others_to_stand_for_all(
    pods: int, seconds: list[list[str]]
) -> None:
    with world(pods) as it:
        total = _large(it)
        for number, fates in enumerate(seconds):
            it.second(number, *fates, *["answer"] * (pods - 2))
            assert it.is_batch in (True, False), "and if so, no pod has more to say"
        assert it.records == [(START + second, total, 2 * total) for second in range(len(seconds))]
