"""How many pods are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sampling.sample_size import sample_size


@pytest.mark.parametrize(
    ("pods", "asked"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (10, 7), (25, 10), (100, 14), (1000, 16), (10**9, 16)],
)
def test_sample_sizes_are_those_of_the_peer(pods: int, asked: int) -> None:
    assert sample_size(pods) == asked


@given(st.integers(0, 10**7))
def test_a_sample_is_never_larger_than_all_and_never_shrinks(pods: int) -> None:
    assert sample_size(pods) <= pods
    assert sample_size(pods) <= sample_size(pods + 1)
