"""One value per revision: cluster, annotations and spec joined, in internal units.

Source: `knative/serving pkg/reconciler/autoscaling/resources/target.go`, `resources/metric.go`,
`kpa/resources/decider.go`; the bounds of `pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from config.annotations import read_overrides
from config.autoscaler import AutoscalerConfig
from config.deployment import PROGRESS_DEADLINE
from config.durations import NANOSECONDS, nanoseconds
from config.rules import SMALLEST_TARGET

RPS_UTILIZATION = 0.7
"""Target utilization for requests per second; Knative has no key for it."""

LONGEST_WINDOW, LONGEST_DELAY = 3600.0, 86_400.0
"""Seconds of load and of recommendations that are kept; longer windows and delays count as these."""

LARGEST_NUMBER = 1e9
"""Targets, burst capacities and rates beyond count as this, so that their products with pods (32 bits) stay
whole numbers of 64 bits. No load of one revision comes near it."""


@dataclass(frozen=True, slots=True)
class RevisionSettings:
    """What decides the number of pods of one revision.

    Attributes
    ----------
    metric : "concurrency" or "rps"
    aggregation : "linear" or "weighted-exponential"
    stable_window, panic_window : float
        Seconds; the panic window is whole seconds, at least 1.
    target_value, total_value : float
        Requests in flight or a second that a pod is aimed at, and that it takes.
    panic_threshold : float
        Pods asked for per ready pod from which it is a panic; 2.0 is twice.
    max_scale_up_rate, max_scale_down_rate : float
        Ratios, above 1.
    scale_rate_period : float
        Seconds whose decisions share the rates; 0 limits each decision alone.
    scale_down_delay : float
        Seconds; 0 is none.
    target_burst_capacity : float
        Requests in flight; -1 is unlimited, 0 is off.
    activation_scale : int
        Fewest pods that are not none; 0 is off.
    initial_scale, min_scale, max_scale : int
        Pods; a `max_scale` of 0 is no limit.
    container_concurrency : int
        Requests in flight that a pod lets in; 0 is no limit.
    reachable : bool
        Some route points at the revision; without one, `min_scale` does not hold.
    activator_capacity : float
        Requests that one activator holds.
    enable_scale_to_zero : bool
    scale_to_zero_grace_period, scale_to_zero_pod_retention_period, progress_deadline : float
        Seconds.
    missing_stats : "hold" or "zero"
        What a second without any report counts.
    """

    metric: Literal["concurrency", "rps"]
    aggregation: Literal["linear", "weighted-exponential"]
    stable_window: float
    panic_window: float
    target_value: float
    total_value: float
    panic_threshold: float
    max_scale_up_rate: float
    max_scale_down_rate: float
    scale_rate_period: float
    scale_down_delay: float
    target_burst_capacity: float
    activation_scale: int
    initial_scale: int
    min_scale: int
    max_scale: int
    container_concurrency: int
    reachable: bool
    activator_capacity: float
    enable_scale_to_zero: bool
    scale_to_zero_grace_period: float
    scale_to_zero_pod_retention_period: float
    progress_deadline: float
    missing_stats: Literal["hold", "zero"]


def resolve(
    config: AutoscalerConfig,
    annotations: Mapping[str, str],
    container_concurrency: int,
    reachable: bool = True,
    progress_deadline: float = PROGRESS_DEADLINE,
) -> RevisionSettings:
    """Join the cluster's settings with those of one revision.

    Parameters
    ----------
    config : AutoscalerConfig
    annotations : Mapping[str, str]
        Of the revision, as written; those that do not parse count as absent.
    container_concurrency : int
        Requests in flight that a pod lets in; 0 is no limit.
    reachable : bool
        Some route points at the revision.
    progress_deadline : float
        Seconds that the cluster gives a revision to become ready, unless it is annotated.

    Examples
    --------
    Ten requests in flight per pod, of which 85 % are aimed at:

    >>> settings = resolve(AutoscalerConfig(), {}, container_concurrency=10)
    >>> settings.target_value, settings.panic_window
    (8.5, 23.0)
    """
    own = read_overrides(annotations)
    stable_window = min(own.get("stable_window", config.stable_window), LONGEST_WINDOW)
    total = min(_total(config, own, container_concurrency), LARGEST_NUMBER)
    threshold = own.get("panic_threshold_percentage", config.panic_threshold_percentage)
    burst = own.get("target_burst_capacity", config.target_burst_capacity)
    delay = own.get("scale_down_delay", config.scale_down_delay)
    activation = own.get("activation_scale", 0)
    return RevisionSettings(
        metric="rps" if own.get("metric") == "rps" else "concurrency",
        aggregation=_aggregation(own),
        stable_window=stable_window,
        panic_window=_panic_window(
            stable_window, own.get("panic_window_percentage", config.panic_window_percentage)
        ),
        target_value=_target(total, _utilization(config, own)),
        total_value=total,
        panic_threshold=threshold / 100.0,
        max_scale_up_rate=min(config.max_scale_up_rate, LARGEST_NUMBER),
        max_scale_down_rate=min(config.max_scale_down_rate, LARGEST_NUMBER),
        scale_rate_period=config.scale_rate_period,
        scale_down_delay=min(delay, LONGEST_DELAY),
        target_burst_capacity=min(burst, LARGEST_NUMBER),
        activation_scale=activation if activation > 1 else 0,
        initial_scale=_initial_scale(config, own),
        min_scale=own.get("min_scale", config.min_scale),
        max_scale=own.get("max_scale", config.max_scale),
        container_concurrency=container_concurrency,
        reachable=reachable,
        activator_capacity=config.activator_capacity,
        enable_scale_to_zero=config.enable_scale_to_zero,
        scale_to_zero_grace_period=config.scale_to_zero_grace_period,
        scale_to_zero_pod_retention_period=own.get(
            "scale_to_zero_pod_retention_period", config.scale_to_zero_pod_retention_period
        ),
        progress_deadline=own.get("progress_deadline", progress_deadline),
        missing_stats=config.missing_stats,
    )


def _aggregation(own: Mapping[str, Any]) -> Literal["linear", "weighted-exponential"]:
    weighted = own.get("metric_aggregation_algorithm") in ("weighted-exponential", "weightedExponential")
    return "weighted-exponential" if weighted else "linear"


def _panic_window(stable_window: float, percentage: float) -> float:
    """Seconds, rounded half away from zero: 60 s at 10 % give 6, 60 s at 51 % give 31, 10 s at 1 % give 1.

    As in Knative: the order of the operations, and the cut to nanoseconds before rounding.
    """
    exact = int(min(nanoseconds(stable_window) * percentage / 100.0, LONGEST_WINDOW * NANOSECONDS))
    return float(max(1, (exact + NANOSECONDS // 2) // NANOSECONDS))


def _total(config: AutoscalerConfig, own: Mapping[str, Any], container_concurrency: int) -> float:
    """What a pod takes: the annotation first, but a limit of concurrency is never exceeded."""
    metric = own.get("metric", "concurrency")
    if "target" in own:
        limited = metric == "concurrency" and container_concurrency != 0
        return float(min(own["target"], container_concurrency) if limited else own["target"])
    if metric == "rps":
        return config.requests_per_second_target_default
    return float(container_concurrency or config.container_concurrency_target_default)


def _utilization(config: AutoscalerConfig, own: Mapping[str, Any]) -> float:
    if "target_utilization_percentage" in own:
        return float(own["target_utilization_percentage"] / 100.0)
    return RPS_UTILIZATION if own.get("metric") == "rps" else config.container_concurrency_target_fraction


def _target(total: float, utilization: float) -> float:
    return min(max(SMALLEST_TARGET, total * utilization), LARGEST_NUMBER)


def _initial_scale(config: AutoscalerConfig, own: Mapping[str, Any]) -> int:
    """A revision's zero counts only where the cluster allows it."""
    scale: int = own.get("initial_scale", config.initial_scale)
    return config.initial_scale if scale == 0 and not config.allow_zero_initial_scale else scale
