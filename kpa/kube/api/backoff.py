"""How long to wait before an API server is asked again."""

import random

from kpa.kube.api.errors import KubeError, Unreachable

FIRST_DELAY = 0.1
"""Seconds."""

LONGEST_DELAY = 2.0
"""Seconds, while there is no answer; a refused connection costs nobody anything, and the restart of a server
should blind us no longer. client-go waits up to 30 s (k8s.io/client-go tools/cache/reflector.go)."""

LONGEST_DELAY_ANSWERED = 10.0
"""Seconds, while the server answers with errors: it may be overloaded, and lists are dear."""


def delay(attempt: int, error: KubeError) -> float:
    """Seconds to wait after so many failures in a row (from 1), at random up to half as much again.

    What the server asks for by Retry-After is the least.
    """
    longest = LONGEST_DELAY if isinstance(error, Unreachable) else LONGEST_DELAY_ANSWERED
    wanted = min(FIRST_DELAY * 2.0 ** min(attempt - 1, 10), longest)
    return max(wanted, error.retry_after or 0.0) * random.uniform(1.0, 1.5)
