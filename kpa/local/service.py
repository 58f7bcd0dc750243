"""One service: its revisions, and which of them its hosts lead to."""

from collections.abc import Callable

from config.autoscaler import AutoscalerConfig
from kpa.local.manifests.spec import ServiceSpec
from kpa.local.workload import Workload, first_replicas

WorkloadMaker = Callable[[ServiceSpec, str], Workload]


class Service:
    """Rolls a service from revision to revision without a moment in which no replica answers.

    A changed template makes a new revision beside the old one; the hosts move to it when it has got its first
    replicas ready. Until then, and for ever if that never happens, the old one serves. Changed annotations
    alone are applied to the live revision. Differs from Knative, where each changed annotation makes a
    revision: here tuning a window would restart every process.

    Parameters
    ----------
    spec : ServiceSpec
    generation : int
        Of the first revision.
    make : WorkloadMaker
        Makes the workload of a spec and revision name.
    config : callable
        Gives the settings in force.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        generation: int,
        make: WorkloadMaker,
        config: Callable[[], AutoscalerConfig],
    ) -> None:
        self._make = make
        self._config = config
        self.spec = spec
        self.generation = generation
        self.latest = make(spec, self._revision_name())
        self.routed = self.latest
        self.workloads = [self.latest]

    def start(self) -> None:
        """Start the first replicas; 0 if the initial scale is 0."""
        self.latest.scale(first_replicas(self.spec.annotations, self._config()))

    def update(self, spec: ServiceSpec) -> None:
        """Move to another spec of the same service."""
        self.spec = spec
        if spec.template == self.latest.template:
            self.latest.annotate(spec.annotations)
            return
        superseded = self.latest
        self.generation += 1
        self.latest = self._make(spec, self._revision_name())
        self.workloads.append(self.latest)
        if superseded is not self.routed:
            retire(superseded)
        self.latest.scale(self._needed)

    def settle(self) -> bool:
        """Move the hosts to the latest revision if it is ready; True if they moved."""
        needed = min(self._needed, max(self.latest.requested, 1))
        if self.routed is self.latest or self.latest.ready_count < needed:
            return False
        old, self.routed = self.routed, self.latest
        retire(old)
        return True

    def drop_empty(self) -> list[Workload]:
        """Forget revisions that nothing leads to and of which nothing runs; returns them."""
        dropped = [workload for workload in self.workloads if workload.empty and not workload.reachable]
        self.workloads = [workload for workload in self.workloads if workload not in dropped]
        return dropped

    @property
    def _needed(self) -> int:
        """Ready replicas that a revision needs before it takes the place of another."""
        return max(1, first_replicas(self.spec.annotations, self._config()))

    def _revision_name(self) -> str:
        return f"{self.spec.configuration}-{self.generation:05d}"


def retire(workload: Workload) -> None:
    """Mark a revision as one that no route leads to; the autoscaler takes it to zero by its windows.

    One that was never ready has no load to wait for and stops at once.
    """
    workload.reachable = False
    workload.scale(workload.requested if workload.was_ready else 0)
