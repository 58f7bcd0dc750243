"""What an activator reports of its requests: arithmetic of one revision, announcements, forgetting, resuming.

The integral over any sequence of requests and reports is compared with a naive oracle, which looks at every
request again for each report. Left out: how reports travel (test_activator_reporter).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kpa.dataplane.activator.load import RequestLoad
from metrics.key import Key
from metrics.stat import Stat, StatMessage

HELLO, OTHER = Key("default", "hello-00001"), Key("team", "other-00001")


def message(key: Key, concurrency: float, count: float) -> StatMessage:
    return StatMessage(*key, Stat("activator-1", concurrency, 0.0, count, 0.0, 0.0, 0))


@pytest.fixture
def load():
    load = RequestLoad("activator-1")
    yield load
    load.check_valid()


def test_the_first_request_to_an_idle_revision_is_announced_as_concurrency_1_and_count_1(load):
    assert load.arrived(HELLO, 10.0) == message(HELLO, 1.0, 1.0)


def test_the_next_requests_wait_for_the_report(load):
    load.arrived(HELLO, 10.0)
    assert load.arrived(HELLO, 10.1) is None


def test_each_revision_has_its_own_first_request(load):
    load.arrived(HELLO, 10.0)
    assert load.arrived(OTHER, 10.0) == message(OTHER, 1.0, 1.0)


def test_the_report_takes_the_announcement_out_again(load):
    load.arrived(HELLO, 10.0)
    load.arrived(HELLO, 10.5)  # the average since the first request: 1 over half a second, 2 over the other
    assert load.report(11.0) == [message(HELLO, 0.5, 1.0)]
    assert load.report(12.0) == [message(HELLO, 2.0, 0.0)]


def test_what_is_left_of_a_short_first_request_is_zero_and_not_less(load):
    load.arrived(HELLO, 10.0)
    load.left(HELLO, 10.25)
    assert load.report(11.0) == [message(HELLO, 0.0, 0.0)]


def test_a_request_that_runs_on_counts_in_every_report(load):
    load.arrived(HELLO, 10.0)
    load.report(11.0)
    assert [load.report(now) for now in (12.0, 13.0)] == [[message(HELLO, 1.0, 0.0)]] * 2


def test_an_idle_revision_is_reported_as_zero_once_and_forgotten(load):
    load.arrived(HELLO, 10.0)
    load.left(HELLO, 10.5)
    assert load.report(11.0) == [message(HELLO, 0.0, 0.0)]
    assert load.report(12.0) == [message(HELLO, 0.0, 0.0)]
    assert load.report(13.0) == []
    assert load.arrived(HELLO, 13.5) == message(HELLO, 1.0, 1.0)


def test_a_revision_is_not_forgotten_while_a_request_is_in_flight(load):
    load.arrived(HELLO, 10.0)
    load.report(10.0)  # no time has passed, so the average is 0
    load.left(HELLO, 10.5)
    assert load.report(11.0) == [message(HELLO, 0.5, 0.0)]


def test_time_that_steps_back_counts_nothing(load):
    load.arrived(HELLO, 10.0)
    load.arrived(HELLO, 9.0)
    load.left(HELLO, 9.5)
    assert load.report(10.5) == [message(HELLO, 0.0, 1.0)]


def test_who_has_missed_reports_is_told_what_is_in_flight_and_nothing_of_the_past(load):
    for _ in range(5):
        load.arrived(HELLO, 10.0)
    load.arrived(OTHER, 10.0)
    for key in (HELLO, HELLO, OTHER):
        load.left(key, 19.5)
    assert load.resume(20.0) == [message(HELLO, 3.0, 1.0)]
    assert load.report(21.0) == [message(HELLO, 0.0, 0.0)]
    assert load.report(22.0) == [message(HELLO, 3.0, 0.0)]
    assert load.arrived(OTHER, 22.5) == message(OTHER, 1.0, 1.0), "it was idle, and is forgotten"


def test_a_report_without_any_revision_is_empty(load):
    assert load.report(10.0) == load.resume(11.0) == []


def test_requests_in_flight_are_counted_over_all_revisions(load):
    load.arrived(HELLO, 10.0)
    load.arrived(OTHER, 10.0)
    load.left(HELLO, 11.0)
    assert load.in_flight() == 1


class Reports(RuleBasedStateMachine):
    """Any interleaving of requests of three revisions, reports and pauses; the oracle forgets no request."""

    def __init__(self) -> None:
        super().__init__()
        self.load = RequestLoad("activator-1")
        self.now = 100.0
        self.spans: dict[Key, list[list[float]]] = {}  # per revision: [arrival, end]
        self.since: dict[Key, float] = {}  # known revisions: start of the running report
        self.announced: dict[Key, tuple[int, int]] = {}
        self.counted: dict[Key, int] = {}  # arrivals in reports so far

    keys = st.sampled_from([Key("a", "x"), Key("a", "y"), Key("b", "x")])

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=keys)
    def a_request_arrives(self, key: Key) -> None:
        told = self.load.arrived(key, self.now)
        assert (told is not None) == (key not in self.since)
        if told is not None:
            self.since[key], self.announced[key] = self.now, (1, 1)
        self.spans.setdefault(key, []).append([self.now, float("inf")])

    def running(self) -> list[tuple[Key, list[float]]]:
        return [(key, span) for key, spans in self.spans.items() for span in spans if span[1] == float("inf")]

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def a_request_ends(self, data: st.DataObject) -> None:
        key, span = data.draw(st.sampled_from(self.running()))
        span[1] = self.now
        self.load.left(key, self.now)

    @rule()
    def a_report_is_cut(self) -> None:
        expected = {}
        for key, since in list(self.since.items()):
            overlap = sum(max(min(end, self.now) - max(start, since), 0) for start, end in self.spans[key])
            average = overlap / (self.now - since) if self.now > since else 0.0
            count = len(self.spans[key]) - self.counted.get(key, 0)
            self.counted[key] = len(self.spans[key])
            concurrency, first = self.announced[key]
            expected[key] = (max(average - concurrency, 0.0), count - first)
            self.announced[key] = (0, 0)
            self.since[key] = self.now
            if average == 0 and all(end < float("inf") for _, end in self.spans[key]):
                del self.since[key]
        got = {
            Key(namespace, name): (stat.average_concurrent_requests, stat.request_count)
            for namespace, name, stat in self.load.report(self.now)
        }
        assert got.keys() == expected.keys()
        for key, values in expected.items():
            assert got[key] == pytest.approx(values, abs=1e-6)

    @invariant()
    def what_must_hold_holds(self) -> None:
        self.load.check_valid()
        assert self.load.in_flight() == len(self.running())


TestReports = Reports.TestCase


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1), st.floats(0.1, 5))
def test_one_report_after_the_end_tells_the_whole_time_in_flight(
    requests: list[tuple[float, float]], tail: float
):
    load = RequestLoad("activator-1")
    events = [(start, 1) for start, _ in requests] + [(start + length, -1) for start, length in requests]
    for now, change in sorted(events, key=lambda event: (event[0], -event[1])):
        if change > 0:
            load.arrived(HELLO, now)
        else:
            load.left(HELLO, now)
    end = max(now for now, _ in events) + tail
    elapsed = end - min(now for now, _ in events)
    [told] = load.report(end)
    average = sum(length for _, length in requests) / elapsed
    assert told.stat.average_concurrent_requests == pytest.approx(max(average - 1, 0), abs=1e-6)
    assert told.stat.request_count == len(requests) - 1
