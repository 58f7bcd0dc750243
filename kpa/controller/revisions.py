"""A revision and its pods as plain values: made by the cluster, read everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metrics.key import Key

if TYPE_CHECKING:  # the activator reads routes by `Key` and must not wait for numpy
    from scaler.rules.scale_to_zero import LifecycleState


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica as the autoscaler sees it.

    Attributes
    ----------
    name : str
        Unique within the revision.
    host, metrics_port : str, int
        Where its queue-proxy answers `GET /metrics`; `serving_port` takes requests.
    ready : bool
        It takes requests now.
    started_at : float
        Unix time in seconds at which it started; young pods are sampled last.
    terminating : bool
        It drains: no new requests, not counted as ready.
    """

    name: str
    host: str
    metrics_port: int
    serving_port: int
    ready: bool
    started_at: float
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable version of a service and its pods: the unit that is scaled.

    Attributes
    ----------
    key : Key
    service, configuration : str
        Labels of telemetry; the service may be empty.
    annotations : Mapping[str, str]
        As written by the user, unparsed.
    container_concurrency : int
        Hard limit of requests in flight per pod; 0 is unlimited.
    replicas : int
        Replicas asked of the cluster (`spec.replicas`), whoever asked.
    pods : tuple of Pod
        All that exist, terminating ones included.
    reachable : bool
        Some route points here.
    private_service : str
        Name of the service that leads to the ready pods and nowhere else; empty if there is none.
    lifecycle : LifecycleState or None
        Where the cluster knows the revision to be on its way: a new process goes on from there. Its
        `proxied_since` counts in every new state. None where the cluster keeps no such record.
    """

    key: Key
    service: str
    configuration: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    container_concurrency: int = 0
    replicas: int = 0
    pods: tuple[Pod, ...] = ()
    reachable: bool = True
    private_service: str = ""
    lifecycle: "LifecycleState | None" = None

    @property
    def ready_pods(self) -> tuple[Pod, ...]:
        """Pods that take requests and do not terminate."""
        return tuple(pod for pod in self.pods if pod.ready and not pod.terminating)
