"""Arrivals from a rate over time.

Covered: order, bounds, numbers per stretch, even spacing, chance by seed, the limit.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.simulate.arrivals import draw_arrivals
from kpa.simulate.errors import InputError
from kpa.simulate.phases import Stretch

STRETCHES = st.lists(
    st.builds(Stretch, st.floats(0.1, 100), st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=5
)


@given(STRETCHES, st.booleans(), st.integers(0, 5))
def test_arrivals_are_in_order_and_within_the_load(stretches: list[Stretch], even: bool, seed: int) -> None:
    arrivals = draw_arrivals(stretches, np.random.default_rng(seed), even=even)
    assert (np.diff(arrivals) >= 0).all()
    assert not len(arrivals) or (arrivals[0] >= 0 and arrivals[-1] <= sum(one.length for one in stretches))


@given(STRETCHES)
def test_even_arrivals_are_as_many_as_the_rate_adds_up_to(stretches: list[Stretch]) -> None:
    arrivals = draw_arrivals(stretches, np.random.default_rng(1), even=True)
    mass = passed = 0.0
    for length, begin, end in stretches:
        mass, passed = mass + length * (begin + end) / 2, passed + length
        assert abs((arrivals < passed).sum() - mass) <= 1 + 1e-6


def test_chance_gives_a_poisson_process() -> None:
    arrivals = draw_arrivals([Stretch(10_000, 5, 5)], np.random.default_rng(1))
    counts = np.histogram(arrivals, 10_000)[0]
    assert counts.mean() == pytest.approx(5, abs=0.1)  # 4.5 standard errors
    assert counts.var() == pytest.approx(5, rel=0.1)  # 7 standard errors


def test_a_ramp_has_its_arrivals_where_the_rate_is() -> None:
    arrivals = draw_arrivals([Stretch(1000, 0, 20)], np.random.default_rng(1))
    assert (arrivals < 500).mean() == pytest.approx(0.25, abs=0.02)  # 4.6 standard errors


def test_the_same_seed_gives_the_same_arrivals() -> None:
    one, same, other = (draw_arrivals([Stretch(60, 5, 5)], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_more_arrivals_than_memory_holds_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^the load has 1e\+09 requests; at most 20000000 can be simulated$"
    ):
        draw_arrivals([Stretch(1000, 1e6, 1e6)], np.random.default_rng(1))
