"""How long an activator waits before it connects to the autoscaler again."""

from kpa.runtime.backoff import backoff


def reconnect_delay(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row (0 after a connection that was up).

    First wait, factor and jitter are those of knative/pkg `websocket/connection.go`. Its waits grow to 15 s,
    ours to 2 s: an attempt costs little, an autoscaler without load figures costs much.
    """
    return backoff(failures, first=0.1, factor=1.3, longest=2.0, jitter=0.5)
