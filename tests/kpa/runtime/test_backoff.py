"""Waits between attempts: growth, bounds, jitter."""

import pytest

from kpa.runtime.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "wait"),
    [(0, 0.1), (1, 0.3), (2, 0.9), (3, 2.0), (4, 2.0), (100_000, 2.0)],
)
def test_waits_grow_by_the_factor_up_to_the_longest(failures: int, wait: float) -> None:
    assert backoff(failures, first=0.1, factor=3.0, longest=2.0, jitter=0.0) == pytest.approx(wait)


@pytest.mark.parametrize(("least", "wait"), [(0.05, 0.1), (0.5, 0.5), (7.0, 7.0)])
def test_a_wait_is_not_shorter_than_the_peer_asked(least: float, wait: float) -> None:
    assert backoff(0, first=0.1, factor=2.0, longest=2.0, jitter=0.0, least=least) == wait


@pytest.mark.parametrize("least", [0.0, 7.0])
def test_jitter_spreads_waits_over_its_range(least: float) -> None:
    base = max(2.0, least)
    waits = [backoff(50, first=0.1, factor=2.0, longest=2.0, jitter=0.5, least=least) for _ in range(300)]
    assert base <= min(waits) < 1.1 * base
    assert 1.4 * base < max(waits) <= 1.5 * base
