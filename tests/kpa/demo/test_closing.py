"""The closing table and verdict.

Covered: every row, what makes a run a failure, the exit codes.
"""

import io

import pytest
from rich.console import Console

from kpa.demo.closing import close, problems, timeline
from kpa.demo.history import Sample, ServiceHistory
from kpa.demo.player import RequestOutcome
from kpa.demo.scenario import DemoScenario

GOOD = [RequestOutcome(float(i), i + 0.5, 200, cold=i == 0) for i in range(10)]
BAD = [
    *GOOD,
    RequestOutcome(1.0, 1.1, 503, error="503: full"),
    RequestOutcome(1.0, 1.1, 503, error="503: full"),
]


def story(*ready: int) -> ServiceHistory:
    """One sample each ten seconds, in panic while more than three are ready."""
    history = ServiceHistory()
    for tens, n in enumerate(ready):
        mode = "panic" if n > 3 else "stable"
        history.add(Sample(10.0 * tens, ready=n, pods=n, requested=n, mode=mode))
    return history


def closed(history: ServiceHistory, outcomes: list[RequestOutcome]) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=100, record=True)
    code = close(console, DemoScenario(), history, outcomes)
    return code, console.export_text()


def test_a_good_run_is_summed_up() -> None:
    code, text = closed(story(0, 1, 6, 6, 3, 0), GOOD)
    assert code == 0
    rows = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    assert rows == [
        "What happened",
        "requests 10: 10 answered 200, 0 others",
        "latency p50 0.50 s, p95 0.50 s, p99 0.50 s",
        "cold starts 1 of the requests waited for a replica to load",
        "peak 6 replicas ready of at most 8",
        "panic mode 20 s",
        "cost 2.7 replica-minutes; 8 fixed ones need 6.7 (60% saved)",
        "ready replicas 0 (0:00) → 1 (0:10) → 6 (0:20) → 3 (0:40) → 0 (0:50)",
        "The service went 0 → 6 → 0 and every request was answered.",
    ]


def test_failed_requests_fail_the_run_and_are_listed_by_reason() -> None:
    code, text = closed(story(0, 1, 0), BAD)
    assert code == 1
    assert "2 of 12 requests failed" in text
    assert "2 x 503: full" in text
    assert "every request was answered" not in text


@pytest.mark.parametrize(
    ("ready", "found"),
    [
        ([0, 2], ["the service did not come back to zero; 2 replicas are left"]),
        ([0, 0], ["the service did not go from zero to some replicas and back"]),
        ([2, 0], ["the service did not go from zero to some replicas and back"]),
        ([], ["the service did not come back to zero; 0 replicas are left"]),
        ([0, 2, 0], []),
    ],
)
def test_a_run_must_go_from_zero_up_and_back(ready: list[int], found: list[str]) -> None:
    assert problems(story(*ready), GOOD) == found


def test_the_timeline_names_each_change() -> None:
    assert timeline(story(0, 0, 2, 2, 0)) == "0 (0:00) → 2 (0:20) → 0 (0:40)"
