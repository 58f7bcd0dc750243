"""How long to wait before the next attempt."""

import random

_MOST_STEPS = 100
"""Keeps the power finite; even a factor of 1.3 has made 2 x 10^11 of the first wait by then."""


def backoff(
    failures: int, *, first: float, factor: float, longest: float, jitter: float, least: float = 0.0
) -> float:
    """Return the seconds to wait before the next attempt.

    Parameters
    ----------
    failures : int
        Earlier failures in a row; with 0 the wait is `first`.
    first : float
        Seconds.
    factor : float
        Each failure multiplies the wait by this; at least 1.
    longest : float
        Seconds at which the wait stops growing, before the jitter.
    jitter : float
        The wait is longer by up to this fraction at random, so that many clients do not return at one moment.
    least : float
        Seconds that the peer asked us to wait, before the jitter; may exceed `longest`.

    Examples
    --------
    >>> [backoff(n, first=0.1, factor=2.0, longest=2.0, jitter=0.0) for n in (0, 1, 2, 5, 10_000)]
    [0.1, 0.2, 0.4, 2.0, 2.0]
    """
    wait = min(first * factor ** min(failures, _MOST_STEPS), longest)
    return max(wait, least) * (1.0 + jitter * random.random())
