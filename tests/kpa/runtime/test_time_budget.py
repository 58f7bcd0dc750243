"""Long work in slices."""

from kpa.runtime.time_budget import TimeBudget


def test_a_slice_ends_with_its_time_and_one_without_a_length_never() -> None:
    assert TimeBudget(0.0).over
    assert not TimeBudget(60.0).over
    assert not TimeBudget().over
