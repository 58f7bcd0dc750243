"""How long to wait before the next attempt to reach a peer."""

import random

FIRST_DELAY = 0.1  # seconds; with factor and jitter: knative/pkg websocket/connection.go
FACTOR = 1.3
JITTER = 0.5  # as much again at random, so that many activators do not return in step
MAX_DELAY = 2.0
"""Seconds. The peer's grow to 15 s; an attempt costs nothing, a blind autoscaler costs a lot."""


def delay(attempt: int) -> float:
    """Seconds to wait after so many failed attempts in a row (0 after a connection that was up)."""
    return min(FIRST_DELAY * FACTOR ** min(attempt, 20), MAX_DELAY) * (1 + JITTER * random.random())
