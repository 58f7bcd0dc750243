"""A machine as a place where pods run."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from config.autoscaler import AutoscalerConfig
from kpa.controller.cluster import Listener, Outcome
from kpa.controller.revisions import Revision
from kpa.dataplane.routes import Route, RoutingTable
from kpa.local.manifests.spec import ServiceSpec
from kpa.local.processes.environment import QUEUE_PROXY
from kpa.local.service import Service
from kpa.local.workload import Output, Workload
from metrics.key import Key

log = logging.getLogger(__name__)

ServiceName = tuple[str, str]
"""Namespace and configuration."""

PATIENCE = 10.0
"""Seconds that `close` gives requests in flight."""


def log_line(pod: str, line: str) -> None:
    """Write a process's line to the log."""
    log.info("%s: %s", pod, line)


class LocalCluster:
    """Services as processes: implements `kpa.controller.cluster.Cluster`, and says where requests go.

    Use it on one event loop, in the main thread.

    Parameters
    ----------
    output : Output
        Gets each line that a process writes.
    queue_proxy : sequence of str
        Command line of the queue-proxy.

    Attributes
    ----------
    config : AutoscalerConfig
        Settings in force, for the first replicas of new revisions.
    """

    def __init__(self, output: Output = log_line, queue_proxy: Sequence[str] = QUEUE_PROXY) -> None:
        self.config = AutoscalerConfig()
        self._output = output
        self._queue_proxy = queue_proxy
        self._services: dict[ServiceName, Service] = {}
        self._generations: dict[ServiceName, int] = {}
        self._departing: set[Workload] = set()
        self._listeners: list[Listener] = []
        self._told: dict[Key, Revision] = {}
        self._table = RoutingTable()
        self._version = 0
        self._moved = asyncio.Event()
        self._publishing = False

    @property
    def services(self) -> tuple[ServiceSpec, ...]:
        """Specs in force."""
        return tuple(service.spec for service in self._services.values())

    def apply(self, specs: Iterable[ServiceSpec]) -> None:
        """Make these the services that exist: add, change and remove; returns before processes run."""
        wanted = {(spec.namespace, spec.configuration): spec for spec in specs}
        for name in [name for name in self._services if name not in wanted]:
            self._remove(name)
        for name, spec in wanted.items():
            if name in self._services:
                self._services[name].update(spec)
            else:
                self._add(name, spec)
        self._publish()

    def watch(self, listener: Listener) -> None:
        """Tell `listener` of all revisions that exist now, then of every change of one."""
        self._listeners.append(listener)
        for key, revision in self._told.items():
            listener(key, revision)

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        """Start or stop replicas as an outcome asks."""
        replicas = outcome.plan.replicas
        for workload in self._workloads():
            if workload.key == key and replicas not in (None, workload.requested):
                workload.scale(replicas)

    def routes(self) -> RoutingTable:
        """Where requests go now: only ready replicas that do not terminate."""
        return self._table

    async def wait_routes(self, version: int) -> int:
        """Wait until the routes are no longer those of a version (start with -1); returns their version."""
        while self._version == version:
            await self._moved.wait()
        return self._version

    async def close(self, patience: float = PATIENCE) -> None:
        """End everything: requests in flight get `patience` seconds, then all that is left is killed."""
        self.apply(())
        ending = asyncio.gather(*(workload.wait_empty() for workload in self._departing))
        done, _ = await asyncio.wait([ending], timeout=patience)
        if not done:
            for workload in list(self._departing):
                workload.kill()
        await ending

    def _add(self, name: ServiceName, spec: ServiceSpec) -> None:
        generation = self._generations.get(name, 0) + 1
        service = self._services[name] = Service(spec, generation, self._make, lambda: self.config)
        service.start()

    def _remove(self, name: ServiceName) -> None:
        service = self._services.pop(name)
        self._generations[name] = service.generation  # a service of that name later gets new revision names
        for workload in service.workloads:
            self._departing.add(workload)
            workload.scale(0)

    def _make(self, spec: ServiceSpec, name: str) -> Workload:
        return Workload(spec, name, self._changed, self._output, self._queue_proxy)

    def _workloads(self) -> list[Workload]:
        return [workload for service in self._services.values() for workload in service.workloads]

    def _changed(self, workload: Workload) -> None:
        """Publish soon: many changes of one moment are published as one."""
        if workload.empty:
            self._departing.discard(workload)
        if not self._publishing:
            self._publishing = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        """Move hosts that can move, notify listeners of changes, make the new routing table."""
        self._publishing = False
        for service in self._services.values():
            if service.settle():
                log.info("service %s: traffic moved to %s", service.spec.name, service.routed.key)
            service.drop_empty()
        self._tell()
        table = routing_table(self._services.values())
        if table != self._table:
            self._table = table
            self._version += 1
            self._moved.set()
            self._moved = asyncio.Event()

    def _tell(self) -> None:
        revisions = {workload.key: workload.revision for workload in self._workloads()}
        changed: dict[Key, Revision | None] = {
            key: revision for key, revision in revisions.items() if self._told.get(key) != revision
        }
        changed |= {key: None for key in self._told if key not in revisions}
        self._told = revisions
        for listener in self._listeners:
            for key, revision in changed.items():
                listener(key, revision)


def routing_table(services: Iterable[Service]) -> RoutingTable:
    """Make the table of all revisions; hosts lead to the routed revision of each service.

    A service answers at NAME.localhost and NAME.NAMESPACE.localhost. Of several with one name, NAME.localhost
    is that of namespace default, else of the first namespace by alphabet.
    """
    routes: list[Route] = []
    taken: set[str] = set()
    for service in sorted(services, key=lambda one: (one.spec.namespace != "default", one.spec.namespace)):
        for workload in service.workloads:
            hosts: list[str] = []
            if workload is service.routed:
                hosts = [host for host in host_names(service.spec) if host not in taken]
                taken.update(hosts)
            routes.append(workload_route(workload, hosts))
    return RoutingTable(tuple(routes))


def host_names(spec: ServiceSpec) -> list[str]:
    """Hosts a service would like to answer at."""
    names = spec.host_names
    return [f"{name}.localhost" for name in names] + [f"{name}.{spec.namespace}.localhost" for name in names]


def workload_route(workload: Workload, hosts: Iterable[str]) -> Route:
    """Make the route of one revision."""
    return Route(
        namespace=workload.key.namespace,
        name=workload.key.name,
        hosts=tuple(hosts),
        container_concurrency=workload.template.container_concurrency,
        timeout_seconds=workload.template.timeout,
        backends=workload.backends,
    )
