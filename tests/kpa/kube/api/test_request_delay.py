"""How long a failed request waits for its next attempt."""

import pytest

from kpa.kube.api.errors import KubeError, TooManyRequests, Unreachable
from kpa.kube.api.request_delay import FIRST_DELAY, LONGEST_DELAY, LONGEST_DELAY_ANSWERED, request_delay


@pytest.mark.parametrize(
    ("attempt", "error", "least"),
    [
        (1, Unreachable("away"), FIRST_DELAY),
        (2, Unreachable("away"), 2 * FIRST_DELAY),
        (1000, Unreachable("away"), LONGEST_DELAY),
        (1000, KubeError("broken"), LONGEST_DELAY_ANSWERED),
        (1, TooManyRequests("busy", retry_after=7.0), 7.0),
    ],
    ids=["first", "second", "away for long", "broken for long", "asked to wait"],
)
def test_attempts_become_rarer_up_to_a_bound(attempt: int, error: KubeError, least: float) -> None:
    for _ in range(20):
        assert least <= request_delay(attempt, error) <= 1.5 * least
