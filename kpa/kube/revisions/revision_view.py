"""Views of revisions by the cluster's objects: the pods of each, and the whole as one value."""

from collections.abc import Callable, Collection

from kpa.controller.revisions import Pod, Revision
from kpa.kube.objects import PodAutoscaler, PodInfo, ScaleTarget, ServerlessService
from kpa.kube.objects.pa_status import lifecycle_from_status
from metrics.key import Key

_METRICS_PORT = 9090
"""Of a queue-proxy, where it reports its load."""

_SERVING_PORTS = {"http1": 8012, "h2c": 8013}
"""Of a queue-proxy, where it takes requests."""

_SERVICE_LABEL = "serving.knative.dev/service"
_CONFIGURATION_LABEL = "serving.knative.dev/configuration"

_ENDED = ("Succeeded", "Failed")


class RevisionPods:
    """Which pods a revision has.

    Parameters
    ----------
    touched : callable (key)
        Called with each revision whose pods have changed.
    """

    def __init__(self, touched: Callable[[Key], None]) -> None:
        self._touched = touched
        self._pods: dict[Key, dict[Key, PodInfo]] = {}
        self._revisions: dict[Key, Key] = {}  # of each pod

    def of(self, pa: PodAutoscaler) -> Collection[PodInfo]:
        """Return the pods of a revision, ended ones included."""
        return self._pods.get(Key(pa.key.namespace, pa.revision), {}).values()

    def change(self, key: Key, pod: PodInfo | None) -> None:
        """Take a new state of a pod; None once it is gone."""
        before = self._revisions.pop(key, None)
        after = Key(pod.key.namespace, pod.revision) if pod is not None and pod.revision else None
        if before is not None and before != after:
            self._pods[before].pop(key, None)
            self._touched(before)
        if after is not None and pod is not None:
            self._pods.setdefault(after, {})[key] = pod
            self._revisions[key] = after
            self._touched(after)

    def forget(self, revision: Key) -> None:
        """Drop what is kept of a revision that is gone, if it has no pods any more."""
        if not self._pods.get(revision, True):
            del self._pods[revision]


def revision_of(
    pa: PodAutoscaler, sks: ServerlessService, target: ScaleTarget, pods: Collection[PodInfo], now: float
) -> Revision:
    """Return a revision as the reconciler sees it.

    Parameters
    ----------
    pa : PodAutoscaler
    sks : ServerlessService
    target : ScaleTarget
    pods : collection of PodInfo
    now : float
        Unix seconds.
    """
    port = _SERVING_PORTS.get(pa.protocol_type, _SERVING_PORTS["http1"])
    return Revision(
        key=pa.key,
        service=pa.labels.get(_SERVICE_LABEL, ""),
        configuration=pa.labels.get(_CONFIGURATION_LABEL, ""),
        annotations=pa.annotations,
        container_concurrency=pa.container_concurrency,
        replicas=target.replicas,
        pods=tuple(_pod(pod, port) for pod in pods if pod.phase not in _ENDED),
        reachable=pa.reachable,
        private_service=sks.private_service_name,
        lifecycle=lifecycle_from_status(pa, sks, now),
    )


def _pod(pod: PodInfo, port: int) -> Pod:
    return Pod(
        name=pod.key.name,
        host=pod.ip,
        metrics_port=_METRICS_PORT,
        serving_port=port,
        ready=pod.takes_requests,
        started_at=pod.start_time,
        terminating=pod.terminating and pod.phase == "Running",
    )
