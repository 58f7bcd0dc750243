"""Times that vary.

Covered: every form of text, its refusals, mean and spread of what is drawn.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.simulate.distributions import TimeDistribution, parse_times
from kpa.simulate.errors import InputError


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("2s", TimeDistribution(2.0)),
        ("fixed 1m30s", TimeDistribution(90.0)),
        ("0s", TimeDistribution(0.0)),
        ("exponential 500ms", TimeDistribution(0.5, "exponential")),
        ("lognormal 2s 0.5", TimeDistribution(2.0, "lognormal", 0.5)),
    ],
)
def test_every_form_is_read(text: str, times: TimeDistribution) -> None:
    assert parse_times(text, "--service-time") == times
    assert parse_times(str(times), "--service-time") == times


@pytest.mark.parametrize(
    "text",
    ["", "2", "-1s", "lognormal 2s", "lognormal 2s -1", "lognormal 2s nan", "normal 2s", "2s 3s", "25h"],
)
def test_others_are_refused_by_option_and_text(text: str) -> None:
    with pytest.raises(
        InputError, match=r"^--start-up-time '.*' must be 2s, or exponential 2s, or lognormal"
    ):
        parse_times(text, "--start-up-time")


@pytest.mark.parametrize(
    ("times", "deviation"),
    [
        pytest.param(TimeDistribution(2.0), 0.0, id="fixed"),
        pytest.param(TimeDistribution(2.0, "exponential"), 2.0, id="exponential"),
        pytest.param(TimeDistribution(2.0, "lognormal", 0.5), 1.0, id="lognormal"),
    ],
)
def test_what_is_drawn_has_the_mean_and_the_deviation(times: TimeDistribution, deviation: float) -> None:
    drawn = times.sample(np.random.default_rng(1), 200_000)
    assert drawn.mean() == pytest.approx(2.0, rel=0.02)  # 5 standard errors of the exponential one
    assert drawn.std() == pytest.approx(deviation, rel=0.05)


@given(st.floats(0, 1000), st.sampled_from(["fixed", "exponential", "lognormal"]), st.floats(0, 10))
def test_no_time_is_negative(mean: float, kind: str, variation: float) -> None:
    assert (TimeDistribution(mean, kind, variation).sample(np.random.default_rng(1), 50) >= 0).all()
