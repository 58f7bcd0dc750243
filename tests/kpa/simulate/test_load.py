"""Loads of every source.

Covered: which reader a source gets, work of requests, levels in requests in flight, cutting a load.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.errors import InputError
from kpa.simulate.load import Reading, read_load


def test_a_csv_says_when_requests_come_and_what_they_take(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("time,service_time\n10,0.5\n11.5,2\n")
    load = read_load(str(path), Reading(), seed=1)
    assert load.arrivals.tolist() == [0.0, 1.5]
    assert load.service.tolist() == [0.5, 2.0]
    assert (load.name, load.length, load.concurrency) == ("load.csv", 2.0, 1.25)


@pytest.mark.parametrize(("given", "work"), [(None, 1.0), (TimeDistribution(3.0), 3.0)])
def test_work_that_is_not_in_the_file_is_that_of_the_option(
    tmp_path: Path, given: TimeDistribution | None, work: float
) -> None:
    path = tmp_path / "load.csv"
    path.write_text("time\n10\n11.5\n")
    assert read_load(str(path), Reading(service=given), seed=1).service.tolist() == [work, work]


def test_the_option_takes_the_place_of_the_file_s_work(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("time,service_time\n10,0.5\n")
    assert read_load(str(path), Reading(service=TimeDistribution(3.0)), seed=1).service.tolist() == [3.0]


def test_a_saved_answer_of_prometheus_is_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "range.json"
    values = [[1000, "10"], [1100, "10"]]
    path.write_text(json.dumps({"data": {"resultType": "matrix", "result": [{"values": values}]}}))
    load = read_load(str(path), Reading(even=True), seed=1)
    assert (len(load.arrivals), load.length) == (1000, 100.0)


def test_levels_may_be_requests_in_flight() -> None:
    load = read_load("hold 8 1h", Reading(service=TimeDistribution(2.0), unit="concurrency"), seed=1)
    assert load.concurrency == pytest.approx(
        8, rel=0.06
    )  # 3.8 standard errors of 14,400 requests, and a half


def test_requests_in_flight_need_work() -> None:
    with pytest.raises(InputError, match="needs a --service-time above 0"):
        read_load("hold 8 1h", Reading(service=TimeDistribution(0.0), unit="concurrency"), seed=1)


@pytest.mark.parametrize("source", ["", "nope.csv", "climb 1..2 5m", "/"])
def test_what_is_no_source_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="is neither a file nor phases, which begin with ramp, hold"):
        read_load(source, Reading(), seed=1)


def test_a_url_needs_a_query() -> None:
    with pytest.raises(InputError, match="--query, --start and --end must say what Prometheus is asked"):
        read_load("http://127.0.0.1:1", Reading(), seed=1)


def test_a_part_of_a_load_begins_at_its_own_start() -> None:
    load = read_load("hold 1 100s", Reading(even=True), seed=1)
    part = load.between(90.0, 200.0)
    np.testing.assert_allclose(part.arrivals, np.arange(10.0))
    assert part.length == 10.0
