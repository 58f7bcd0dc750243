"""The last hour as JSON: histories and sparklines over real connections, and how hours become lines."""

import aiohttp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpa.web.dashboard.charts import MINUTES, MOST, sparkline
from scaler.engine.history import INTERVAL, SLOTS, Samples
from tests.browser.synthetic import Synthetic

NOW = 1_000_000 * 60.0 + 45.0  # within a minute


def samples(at: list[float], stable: list[float], panic: list[float]) -> Samples:
    pods = np.ones(len(at), np.uint16)
    loads = np.array(stable, np.float32), np.array(panic, np.float32)
    return Samples(np.array(at), *loads, pods, pods, pods, pods, pods, pods, np.zeros(len(at), np.bool_))


async def test_a_history_has_all_columns(fleet: Synthetic, client: aiohttp.ClientSession) -> None:
    key = next(iter(fleet.statuses))
    async with client.get(f"/api/revisions/{key.namespace}/{key.name}/history") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        told = await answer.json()
    assert tuple(told) == Samples._fields
    assert {len(column) for column in told.values()} == {SLOTS}
    assert np.allclose(np.diff(told["at"]), INTERVAL)
    assert True in told["panicking"]


async def test_there_is_no_history_of_others(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/revisions/team-00/nobody/history") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "no revision team-00/nobody"})


async def test_sparklines_of_those_that_exist_come_together(
    fleet: Synthetic, client: aiohttp.ClientSession
) -> None:
    keys = [str(key) for key in fleet.statuses][:30]
    asked = [("of", name) for name in [*keys, "team-00/nobody", "noslash", ""]]
    async with client.get("/api/sparklines", params=asked) as answer:
        told = await answer.json()
    assert list(told) == keys
    assert {len(line) for line in told.values()} == {MINUTES}


async def test_too_many_sparklines_are_refused(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/sparklines", params=[("of", "a")] * (MOST + 1)) as answer:
        error = "201 revisions are asked for, at most 200 are answered at once"
        assert (answer.status, await answer.json()) == (400, {"error": error})


async def test_nothing_asked_is_nothing_answered(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/sparklines") as answer:
        assert await answer.json() == {}


def test_a_line_ends_with_the_present_minute() -> None:
    line = sparkline(samples([NOW - 3600, NOW - 60, NOW], [9.0, 2.0, 3.0], [9.0, 2.5, 1.0]), NOW)
    assert line[-2:].tolist() == [2.5, 3.0]
    assert np.isnan(line[:-2]).all()  # an hour ago is too long ago, and the rest is not known


def test_the_largest_load_of_a_minute_counts_and_no_data_is_none() -> None:
    nothing = float("nan")
    at = [NOW - 85, NOW - 65, NOW - 40, NOW - 20]
    line = sparkline(samples(at, [1.0, 4.0, nothing, nothing], [nothing, 3.0, nothing, 2.0]), NOW)
    assert line[-2:].tolist() == [4.0, 2.0]


def test_samples_of_the_future_are_left_out() -> None:
    assert np.isnan(sparkline(samples([NOW + 3600], [1.0], [1.0]), NOW)).all()


@given(st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 1e6, width=32)), max_size=SLOTS))
def test_a_line_is_what_a_loop_over_minutes_gives(points: list[tuple[float, float]]) -> None:
    at, loads = [NOW - ago for ago, _ in points], [load for _, load in points]
    line = sparkline(samples(at, loads, [0.0] * len(loads)), NOW)
    for place in range(MINUTES):
        minute = NOW // 60 - (MINUTES - 1 - place)
        inside = [load for when, load in zip(at, loads, strict=True) if when // 60 == minute]
        assert line[place] == max(inside) if inside else np.isnan(line[place])
