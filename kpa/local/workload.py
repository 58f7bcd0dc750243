"""One revision's replicas, kept at a number: what a Deployment is in a cluster."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from config.annotations import read_overrides
from config.autoscaler import AutoscalerConfig
from kpa.controller.revisions import Revision
from kpa.dataplane.routes import Backend
from kpa.local.manifests.spec import ServiceSpec, Template
from kpa.local.processes.environment import QUEUE_PROXY, Identity
from kpa.local.processes.replica import Replica, ReplicaState, pod_name
from metrics.key import Key

Output = Callable[[str, str], None]
"""Called with a pod's name and a line that one of its processes wrote; must not block."""


class Workload:
    """A revision that runs here.

    Parameters
    ----------
    spec : ServiceSpec
    name : str
        Of the revision.
    on_change : callable
        Called with the workload after each change of it or of a replica.
    output : Output
    """

    def __init__(
        self,
        spec: ServiceSpec,
        name: str,
        on_change: "Callable[[Workload], None]",
        output: Output,
        queue_proxy: Sequence[str] = QUEUE_PROXY,
    ) -> None:
        self.key = Key(spec.namespace, name)
        self.template: Template = spec.template
        self.annotations = spec.annotations
        self.reachable = True
        self.was_ready = False
        self.requested = 0
        self._configuration = spec.configuration
        self._on_change = on_change
        self._output = output
        self._queue_proxy = queue_proxy
        self._replicas: list[Replica] = []

    @property
    def revision(self) -> Revision:
        """Everything the autoscaler knows of it."""
        return Revision(
            key=self.key,
            service=self._configuration,
            configuration=self._configuration,
            annotations=self.annotations,
            container_concurrency=self.template.container_concurrency,
            replicas=self.requested,
            pods=tuple(replica.pod for replica in self._replicas),
            reachable=self.reachable,
        )

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Where requests may go now."""
        pods = [replica.pod for replica in self._replicas if replica.ready]
        return tuple(Backend(pod.name, f"{pod.host}:{pod.serving_port}") for pod in pods)

    @property
    def ready_count(self) -> int:
        """Replicas that take requests."""
        return sum(replica.ready for replica in self._replicas)

    @property
    def empty(self) -> bool:
        """Nothing runs and nothing is asked for."""
        return self.requested == 0 and not self._replicas

    def scale(self, replicas: int) -> None:
        """Start or stop replicas to reach a number; returns before they run."""
        self.requested = replicas
        active = [replica for replica in self._replicas if replica.state is not ReplicaState.TERMINATING]
        for _ in range(replicas - len(active)):
            self._replicas.append(self._start())
        for replica in victims(active, len(active) - replicas):
            replica.stop()
        self._on_change(self)

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Replace the annotations of the live revision; it has its minimum at once, as a new one would have.

        The autoscaler enforces a minimum with its first decision only, which one at zero that never had
        a request still waits for.
        """
        if annotations != self.annotations:
            self.annotations = annotations
            self.scale(max(self.requested, int(read_overrides(annotations).get("min_scale", 0))))

    def kill(self) -> None:
        """End all replicas at once."""
        for replica in self._replicas:
            replica.kill()

    async def wait_empty(self) -> None:
        """Wait until every replica that exists now is gone."""
        await asyncio.gather(*(replica.wait_gone() for replica in self._replicas))

    def _start(self) -> Replica:
        identity = Identity(
            self.key.namespace,
            self._configuration,
            self._configuration,
            self.key.name,
            pod_name(self.key.name),
        )
        return Replica(
            self.template,
            identity,
            self._replica_changed,
            lambda line: self._output(identity.pod, line),
            self._queue_proxy,
        )

    def _replica_changed(self) -> None:
        self._replicas = [replica for replica in self._replicas if not replica.gone]
        self.was_ready = self.was_ready or self.ready_count > 0
        self._on_change(self)


def victims(replicas: Sequence[Replica], count: int) -> list[Replica]:
    """Choose replicas to stop: those that do not take requests first, then the youngest.

    Source: `kubernetes/kubernetes pkg/controller/controller_utils.go` (ActivePodsWithRanks).
    """
    if count <= 0:
        return []
    return sorted(replicas, key=lambda replica: (replica.ready, -replica.started_at))[:count]


def first_replicas(annotations: Mapping[str, str], config: AutoscalerConfig) -> int:
    """Replicas a new revision starts with: its initial scale, at least its min scale.

    Source: `knative/serving pkg/reconciler/revision/resources/deploy.go`.
    """
    overrides = read_overrides(annotations)
    initial = int(overrides.get("initial_scale", config.initial_scale))
    return max(initial, int(overrides.get("min_scale", config.min_scale)))
