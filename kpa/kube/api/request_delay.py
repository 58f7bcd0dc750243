"""How long to wait before the next request to an API server."""

from kpa.kube.api.errors import KubeError, Unreachable
from kpa.runtime.backoff import backoff

FIRST_DELAY = 0.1
"""Seconds."""

LONGEST_DELAY = 2.0
"""Seconds, while the server is unreachable: a refused connection costs little, and after a restart of the
server we should see changes again soon. client-go waits up to 30 s (`tools/cache/reflector.go`)."""

LONGEST_DELAY_ANSWERED = 10.0
"""Seconds, while the server responds with errors: it may be overloaded, and lists are expensive."""

_FACTOR = 2.0  # so that an overloaded server soon gets few requests

_JITTER = 0.5
"""Many informers and replicas lose the server at the same moment and should not return at the same moment."""


def request_delay(attempt: int, error: KubeError) -> float:
    """Return the seconds to wait after a failed request.

    Parameters
    ----------
    attempt : int
        Failures in a row, this one included.
    error : KubeError
        The wait is at least its `retry_after`; at random it is up to half as much again.
    """
    return backoff(
        attempt - 1,
        first=FIRST_DELAY,
        factor=_FACTOR,
        longest=LONGEST_DELAY if isinstance(error, Unreachable) else LONGEST_DELAY_ANSWERED,
        jitter=_JITTER,
        least=error.retry_after or 0.0,
    )
