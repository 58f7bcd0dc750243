"""Objects of the cluster, trimmed to what the autoscaler reads and writes back.

Informers keep thousands of them: each is a frozen value with slots, words that repeat are shared, and times
are Unix seconds. `from_json` takes an object as the API sends it.
"""

from kpa.kube.objects.podautoscaler import (
    CLASS_ANNOTATION,
    KPA_CLASS,
    REVISION_LABEL,
    ObjectReference,
    PodAutoscaler,
    PodAutoscalerStatus,
)
from kpa.kube.objects.pods import POD_SELECTOR, PodCounts, PodInfo, ScaleTarget, count_pods
from kpa.kube.objects.serverless import Metric, MetricSpec, ServerlessService, ServerlessServiceSpec

__all__ = [
    "CLASS_ANNOTATION",
    "KPA_CLASS",
    "POD_SELECTOR",
    "REVISION_LABEL",
    "Metric",
    "MetricSpec",
    "ObjectReference",
    "PodAutoscaler",
    "PodAutoscalerStatus",
    "PodCounts",
    "PodInfo",
    "ScaleTarget",
    "ServerlessService",
    "ServerlessServiceSpec",
    "count_pods",
]
