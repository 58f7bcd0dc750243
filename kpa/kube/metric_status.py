"""Status of a Metric: whether a revision's load can be collected.

Source: `knative/serving pkg/reconciler/metric/metric.go`.
"""

from dataclasses import dataclass
from typing import Any

from kpa.kube.children import METRIC
from kpa.kube.conditions import FALSE, READY, UNKNOWN, Condition, ConditionPass, same_but_for_times
from kpa.kube.meta import unpacked_metadata
from kpa.kube.serverless import Metric


@dataclass(frozen=True, slots=True)
class CollectionFailure:
    """Why there is no load of a revision, as its Metric says it.

    Attributes
    ----------
    status : "False" or "Unknown"
    reason, message : str
    """

    status: str
    reason: str
    message: str


NO_ENDPOINTS = CollectionFailure(UNKNOWN, "NoEndpoints", "failed to get endpoints")
"""The pods could not be told."""


def no_stat(text: str = "did not receive stat from an unscraped pod") -> CollectionFailure:
    """Return the failure of a service that had only pods answer that had answered before."""
    return CollectionFailure(FALSE, "DidNotReceiveStat", text)


def collection_failed(text: str) -> CollectionFailure:
    """Return any other failure."""
    return CollectionFailure(FALSE, "CollectionFailed", f"Failed to reconcile metric collection: {text}")


def metric_conditions(metric: Metric, failure: CollectionFailure | None, now: float) -> tuple[Condition, ...]:
    """Return the conditions of a Metric whose collector was set up, or has last failed.

    Parameters
    ----------
    metric : Metric
        As it is stored.
    failure : CollectionFailure or None
        None before the first scrape too.
    now : float
        Unix seconds; whole ones are written.
    """
    marks = ConditionPass(metric.conditions, (), metric.observed_generation == metric.generation, now)
    if failure is None:
        marks.mark_true(READY)
    elif failure.status == UNKNOWN:
        marks.mark_unknown(READY, failure.reason, failure.message)
    else:
        marks.mark_false(READY, failure.reason, failure.message)
    return marks.result()


def metric_status_body(
    metric: Metric, failure: CollectionFailure | None, now: float
) -> dict[str, Any] | None:
    """Return the object to PUT at `/status`; None if it says what it should, whenever it began to.

    Parameters
    ----------
    metric, failure, now
        As for `metric_conditions`.
    """
    conditions = metric_conditions(metric, failure, now)
    if metric.observed_generation == metric.generation and same_but_for_times(metric.conditions, conditions):
        return None
    return {
        "apiVersion": METRIC[0],
        "kind": METRIC[1],
        "metadata": unpacked_metadata(metric.metadata),
        "status": {
            "observedGeneration": metric.generation,
            "conditions": [each.to_json() for each in conditions],
        },
    }
