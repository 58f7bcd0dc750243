"""Status of a Metric: whether a revision's load can be collected.

Source: `knative/serving pkg/reconciler/metric/metric.go`. The peer's third reason, pods that
cannot be listed, does not occur here: pods are known from a watch.
"""

from typing import Any

from kpa.kube.api.metadata import unpacked_metadata
from kpa.kube.objects.conditions import READY, Condition, ConditionPass, same_but_for_times
from kpa.kube.objects.owned_resources import METRIC
from kpa.kube.objects.serverless import Metric
from metrics.sampling.failures import ScrapeProblem

_MESSAGES = {
    "CollectionFailed": "Failed to reconcile metric collection: {}",
    "DidNotReceiveStat": "{}",
}
"""Of each reason."""


def metric_conditions(metric: Metric, problem: ScrapeProblem | None, now: float) -> tuple[Condition, ...]:
    """Return the conditions of a Metric, given whether its load is collected.

    Parameters
    ----------
    metric : Metric
        As it is stored.
    problem : ScrapeProblem or None
        None before the first scrape too.
    now : float
        Unix seconds; whole ones are written.
    """
    marks = ConditionPass(metric.conditions, (), metric.observed_generation == metric.generation, now)
    if problem is None:
        marks.mark_true(READY)
    else:
        marks.mark_false(READY, problem.reason, _MESSAGES[problem.reason].format(problem.text))
    return marks.result()


def metric_status_body(metric: Metric, problem: ScrapeProblem | None, now: float) -> dict[str, Any] | None:
    """Return the object to PUT at `/status`; None if only times would change.

    Parameters
    ----------
    metric, problem, now
        As for `metric_conditions`.
    """
    conditions = metric_conditions(metric, problem, now)
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
