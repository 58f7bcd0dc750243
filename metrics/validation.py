"""Validation of stats: one NaN or infinity would spoil a revision's window for minutes.

Knative accepts any number (`knative/serving pkg/autoscaler/metrics/collector.go`). Numbers that no pod and no
activator can report are rejected and counted here.
"""

from metrics.stat import Stat

_LARGEST = 1e15
"""Requests; sums below this times the seconds of any window stay finite and exact."""


def is_plausible(stat: Stat) -> bool:
    """Say whether all four loads are finite, not negative and at most 1e15.

    Arrivals may be negative: an activator reports the first request to an idle revision before it counts it,
    and subtracts it in its next report (`knative/serving pkg/activator/handler`).

    Examples
    --------
    >>> is_plausible(Stat("pod", average_concurrent_requests=float("nan")))
    False
    """
    return are_plausible(*stat[1:5])


def are_plausible(concurrency: float, proxied: float, requests: float, proxied_requests: float) -> bool:
    """Say the same for the four loads alone."""
    return (
        0.0 <= concurrency <= _LARGEST
        and 0.0 <= proxied <= _LARGEST
        and -_LARGEST <= requests <= _LARGEST
        and 0.0 <= proxied_requests <= _LARGEST
    )
