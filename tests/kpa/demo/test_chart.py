"""Charts of characters.

Covered: replicas ready, requested, zero, unknown; panic marks; sparks of any height; arrivals from totals.
"""

from hypothesis import given
from hypothesis import strategies as st

from kpa.demo.chart import EIGHTHS, arrivals, panic_row, replica_rows, spark
from kpa.demo.history import Sample


def test_replicas_are_columns_of_ready_and_requested_ones() -> None:
    samples = [
        None,
        Sample(0.0, requested=0),
        Sample(1.0, requested=2),
        Sample(2.0, ready=1, requested=3),
        Sample(3.0, ready=3, requested=1),
        Sample(4.0, ready=9, requested=9),
    ]
    assert [row.plain for row in replica_rows(samples, 3)] == [
        "   ░██",
        "  ░░██",
        " ▁░███",
    ]


def test_ready_and_requested_differ_in_colour_too() -> None:
    (row,) = replica_rows([Sample(0.0, ready=1), Sample(1.0, requested=1)], 1)
    assert [(span.start, span.end, span.style) for span in row.spans] == [(0, 1, "green"), (1, 2, "yellow")]


def test_seconds_in_panic_are_marked() -> None:
    samples = [Sample(0.0, mode="stable"), Sample(1.0, mode="panic"), None, Sample(2.0, mode="panic")]
    assert panic_row(samples).plain == " ■ ■"


def test_a_spark_fills_its_height_with_the_largest_value() -> None:
    assert [row.plain for row in spark([0, 1, 8, 16], "cyan", height=2)] == ["   █", " ▁██"]


def test_the_smallest_load_shows() -> None:
    assert spark([0.001, 1000], "cyan")[0].plain == "▁█"


def test_no_load_is_blank() -> None:
    assert spark([0, 0], "cyan")[0].plain == "  "


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 4))
def test_a_larger_value_never_looks_smaller(values: list[float], height: int) -> None:
    rows = [row.plain for row in spark(values, "cyan", height)]
    looks = [sum(EIGHTHS.index(row[column]) for row in rows) for column in range(len(values))]
    ordered = sorted(zip(values, looks, strict=True))
    assert [look for _, look in ordered] == sorted(looks)


def test_arrivals_are_differences_of_totals() -> None:
    samples = [None, Sample(0.0, sent=3), Sample(1.0, sent=10), Sample(2.0, sent=10), Sample(3.0, sent=12)]
    assert arrivals(samples) == [0, 0, 7, 0, 2]


def test_a_missed_second_joins_the_next_one() -> None:
    assert arrivals([Sample(0.0, sent=1), None, Sample(2.0, sent=5)]) == [0, 0, 4]
