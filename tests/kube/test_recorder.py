"""What counts as the same over time; needs no API server."""

import pytest

from tests.kube.recorder import Series, bare


def series(*steps: tuple[float, int | str]) -> Series:
    return Series(list(steps))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (series((0, 1), (10, 4)), series((0, 1), (12, 4)), True),
        (series((0, 1), (10, 4)), series((0, 1), (14, 4)), False),
        (series((0, 1), (10, 2), (11, 4)), series((0, 1), (12, 4)), True),
        (series((0, 1), (10, 5), (11, 4)), series((0, 1), (12, 4)), False),
        (series((0, "Serve"), (10, "Proxy"), (11, "Serve")), series((0, "Serve")), False),
        (series((0, 1)), series(), False),
    ],
    ids=["a tick later", "two ticks later", "in two steps", "too far", "a flicker", "never"],
)
def test_values_are_the_same_within_a_tick(one: Series, other: Series, same: bool) -> None:
    assert (not one.strays(other, 1.0, 30.0, 3.0)) == same


def test_only_values_that_lasted_are_steps() -> None:
    seen = series((0, 1), (12, 2), (13, 3), (20, 4), (21, 3), (40, 1))
    assert seen.held(5.0, 10.0, 50.0) == [1, 3, 1]
    assert seen.held(5.0, 12.5, 50.0) == [2, 3, 1]  # 2 is where it begins
    assert seen.held(5.0, 14.0, 20.5) == [3, 4]


def test_what_chance_put_into_an_object_is_left_out() -> None:
    document = {
        "metadata": {"uid": "a", "generation": 3},
        "status": {"observedGeneration": 2, "x": [{"uid": 1}]},
    }
    assert bare(document) == {"metadata": {}, "status": {"x": [{}], "isAboutTheLastChange": False}}
