"""The live view and the plain lines.

Covered: every line of the picture, its size, panic, failures, silence; when a plain line is written.
"""

import io

import pytest
from rich.console import Console

from kpa.demo.history import Sample, ServiceHistory
from kpa.demo.player import RequestOutcome
from kpa.demo.scenario import DemoScenario
from kpa.demo.trace import Phase
from kpa.demo.view import View, ViewFrame, clock, picture, plain_line, recent_latencies

PANIC = Sample(
    at=72.5,
    in_flight=24,
    sent=120,
    recommended=12,
    requested=8,
    ready=3,
    pods=8,
    stable=8.25,
    panic=21.5,
    target=3.5,
    mode="panic",
)


def frame(*samples: Sample, outcomes: list[RequestOutcome] | None = None, silent: float = 0.0) -> ViewFrame:
    history = ServiceHistory()
    for sample in samples:
        history.add(sample)
    return ViewFrame(DemoScenario(), "built-in trace", "burst", history, outcomes or [], silent)


def drawn(shown: ViewFrame, width: int = 100) -> list[str]:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(picture(shown))
    return console.export_text().splitlines()


def line_of(lines: list[str], label: str) -> str:
    (line,) = (line for line in lines if line.lstrip("│ ").startswith(label + " "))
    return " ".join(line.strip("│ ").split())


def run_of_a_minute() -> list[Sample]:
    quiet = [Sample(float(at), 1, at, 1, 1, 1, 1, 0.5, 0.5, 3.5, "stable") for at in range(13, 70)]
    return [*quiet, PANIC._replace(at=71.5, sent=80), PANIC]


def test_the_picture_fits_a_terminal_of_80_by_24() -> None:
    lines = drawn(frame(*run_of_a_minute()), width=200)
    assert max(map(len, lines)) == 80
    assert len(lines) <= 23


def test_the_picture_states_every_number() -> None:
    outcomes = [RequestOutcome(70.0, 70.5 + i / 100, 200, cold=i % 10 == 0) for i in range(100)]
    lines = drawn(frame(*run_of_a_minute(), outcomes=outcomes))
    assert "kpa demo · built-in trace · 1:12 · burst" in lines[0]
    assert "time-scaled (Knative): stable window 15s (60s), panic window 3s (6s)" in lines[1]
    assert line_of(lines, "panic").endswith("YES")
    assert line_of(lines, "in flight").endswith("24")
    assert line_of(lines, "arrivals/s").endswith("11")
    assert line_of(lines, "load") == "load stable 8.2, panic 21.5 in flight; a replica aims at 3.5 of 5"
    assert line_of(lines, "latency") == "latency p50 0.99 s, p95 1.44 s, p99 1.48 s (last 10 s)"
    assert line_of(lines, "requests") == "requests 120 sent, 100 answered, 10 after a cold start, 0 failed"
    assert line_of(lines, "cost") == ("cost 1.1 replica-minutes; 8 fixed ones need 7.9 (86% saved)")
    text = " ".join(" ".join(lines).split())
    assert "replicas 3 ready, 8 requested (the load asks for 12, at most 8)" in text


def test_the_chart_shows_the_last_minute_of_replicas() -> None:
    lines = drawn(frame(*run_of_a_minute()))
    top, bottom = lines[3], lines[10]
    assert top.count("░") == 2
    assert top.count("█") == 0
    assert bottom.count("█") == 59  # one second had no sample


def test_the_picture_of_nothing_yet() -> None:
    lines = drawn(frame())
    assert line_of(lines, "load") == "load no data: nothing runs, nothing arrives"
    assert line_of(lines, "latency") == "latency no answer in the last 10 s"
    assert line_of(lines, "next") == "next -"


def test_the_next_event_counts_down() -> None:
    lines = drawn(frame(Sample(1.0, next_what="scale to zero", next_in=3.9)))
    assert line_of(lines, "next") == "next scale to zero in 4 s"


def test_the_next_phase_of_the_load_is_announced() -> None:
    shown = frame(Sample(1.0, next_what="scale to zero", next_in=3.9))._replace(coming=Phase(3.0, "burst"))
    assert line_of(drawn(shown), "next") == "next scale to zero in 4 s; load: burst in 2 s"


def test_a_silent_service_is_said_to_be_silent() -> None:
    lines = drawn(frame(Sample(1.0), silent=12.0))
    assert line_of(lines, "next") == "next kpa local has not answered for 12 s"


def test_replicas_that_stop_are_named() -> None:
    text = " ".join(drawn(frame(Sample(1.0, ready=2, requested=2, pods=5))))
    assert "2 ready, 2 requested, 3 stopping" in text


def test_latencies_are_those_of_recent_good_answers() -> None:
    outcomes = [
        RequestOutcome(0.0, 1.0, 200),
        RequestOutcome(10.0, 12.0, 200),
        RequestOutcome(10.0, 13.0, 503),
        RequestOutcome(10.0, 15.0, 200),
    ]
    assert recent_latencies(outcomes, now=20.0) == [5.0, 2.0]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3600, "60:00")])
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_plain_line_holds_the_numbers() -> None:
    outcomes = [RequestOutcome(71.0, 72.0, 200), RequestOutcome(71.0, 72.0, 503)]
    assert " ".join(plain_line(frame(PANIC, outcomes=outcomes)).split()) == (
        "1:12 burst in flight 24 sent 120 replicas 3 of 8 panic stable 8.2 panic 21.5 target 3.5 "
        "p95 1.00 s failed 1"
    )


def test_a_plain_line_of_nothing_has_no_numbers_that_are_none() -> None:
    text = " ".join(plain_line(frame(Sample(0.0, stable=0.0, panic=-0.0, mode="stable"))).split())
    assert text == (
        "0:00 burst in flight 0 sent 0 replicas 0 of 0 stable stable 0.0 panic 0.0 target 0 p95 - failed 0"
    )


def test_plain_lines_come_on_changes_and_every_five_seconds() -> None:
    output = io.StringIO()
    history = ServiceHistory()
    with View(Console(file=output, width=40)) as view:
        for sample in [
            Sample(0.0, mode="stable"),
            Sample(0.5, mode="stable", in_flight=1),  # no change of replicas or mode
            Sample(1.0, mode="stable", requested=1),
            Sample(1.5, mode="panic", requested=1),
            Sample(6.0, mode="panic", requested=1),
            Sample(6.5, mode="panic", requested=1),
        ]:
            history.add(sample)
            view.show(ViewFrame(DemoScenario(), "trace", "", history, []))
    first, _, *lines = output.getvalue().splitlines()
    assert first.startswith("time-scaled")
    assert [line.split()[0] for line in lines] == ["0:00", "0:01", "0:01", "0:06"]


def test_a_terminal_gets_the_picture() -> None:
    output = io.StringIO()
    with View(Console(file=output, width=80, height=24, force_terminal=True)) as view:
        view.show(frame(PANIC))
    assert "╭" in output.getvalue()
    assert "YES" in output.getvalue()
