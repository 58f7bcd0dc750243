"""The parts that every autoscaler of a cluster has, in charge or in a dry run.

API server ──> KubernetesCluster ── revisions ──> Reconciler <── Collector <── queue-proxies
    └────────> ClusterSettings in force ─────────────┘ └── statuses ──> Server :9090
"""

import asyncio
import logging
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from aiohttp import web

from config.resolve import RevisionSettings, resolve
from kpa.controller.explain import Explanation
from kpa.controller.reconciler import Reconciler
from kpa.controller.status import RevisionStatus
from kpa.kube.api.client import KubeClient
from kpa.kube.objects import PodAutoscaler
from kpa.kube.objects.config_maps import ClusterSettings, ConfigMap
from kpa.kube.revisions.cluster import KubernetesCluster
from kpa.runtime.heartbeat import Heartbeat
from kpa.runtime.interpreter import settle_memory
from kpa.runtime.logs import follow
from kpa.serve.options import ServeOptions
from kpa.serve.profiling import serve_no_profiles
from kpa.telemetry.telemetry import Telemetry
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from metrics.key import Key
from metrics.scraping.resolver import look_up

_log = logging.getLogger(__name__)


class FleetApp(ABC):
    """Parts and their life: start in order, run, stop in the opposite order."""

    in_charge: ClassVar[bool] = True
    """Outcomes are carried out."""

    def __init__(self, options: ServeOptions, client: KubeClient) -> None:
        self._options = options
        self._client = client
        self._telemetry = Telemetry(legacy=options.legacy_metrics)
        self._profiles: web.AppRunner | None = None
        self._problems: dict[str, int] = {}  # of each ConfigMap
        self._settings = ClusterSettings(
            client, options.namespace, self._settings_changed, self._settings_read, options.config_maps
        )
        self._synced = False
        self._look_up = partial(look_up, suffix=f".svc.{options.domain}.")
        self._signal = 0  # that ends us
        self._cluster = KubernetesCluster(
            client, options.pod_name, self._resolve, self._owns, in_charge=self.in_charge
        )
        interval = self._settings.autoscaler.tick_interval
        self._heartbeat = Heartbeat(asyncio.get_running_loop().time(), interval)
        self._reconciler = self._make_reconciler()
        self._server = Server(
            self._telemetry,
            self._statuses,
            self._explain,
            self._reconciler.history,
            heartbeat=self._heartbeat,
            ready=lambda: None if self._synced else "the caches of the cluster's objects have not synced yet",
            profile=lambda: self._settings.autoscaler.defaults,
            routes=RouteFeed('{"routes": []}'),
        )

    @abstractmethod
    def _make_reconciler(self) -> Reconciler:
        """Make the reconciler; settings, cluster, telemetry and heartbeat exist."""

    @abstractmethod
    def _owns(self, key: Key) -> bool:
        """Tell whether a revision is ours to scale."""

    @abstractmethod
    async def _begin(self) -> None:
        """Decide, once the caches have synced, until cancelled."""

    @abstractmethod
    async def _close(self) -> None:
        """Close what others connect to."""

    def _statuses(self) -> Iterable[RevisionStatus]:
        return self._reconciler.statuses()

    def _explain(self, key: Key) -> Explanation | None:
        return self._reconciler.explain(key)

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM; then the buckets are released at once.

        A second signal ends the process with exit code 1, whatever it waits for.
        """
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, stop, number)
        try:
            await self._server.start(self._options.host, self._options.telemetry_port)
            self._profiles = await serve_no_profiles(self._options.host, self._options.profiling_port)
            parts = [
                self._settings.informer.run(),
                self._cluster.run(),
                self._telemetry.watch_event_loop(),
                self._begin(),
            ]
            await self._until_stopped([asyncio.create_task(part) for part in parts], stop)
        finally:
            await self._close()
            await self._reconciler.collector.close()
            await self._server.close()
            if self._profiles is not None:
                await self._profiles.cleanup()

    async def _wait_synced(self) -> None:
        """Wait until the caches of settings and revisions have synced."""
        await self._settings.informer.synced.wait()
        await self._cluster.wait_synced()

    def _is_ready(self) -> None:
        settle_memory()
        self._synced = True
        _log.info("caches synced: %d PodAutoscalers", len(self._cluster.podautoscalers))

    # Callbacks of the parts.

    def _resolve(self, pa: PodAutoscaler) -> RevisionSettings:
        settings = self._settings
        return resolve(
            settings.autoscaler,
            pa.annotations,
            pa.container_concurrency,
            pa.reachable,
            settings.progress_deadline,
        )

    def _settings_changed(self, name: str) -> None:
        settings, options = self._settings, self._options
        if name == options.config_maps.logging:
            follow(settings.values.logs, options.log_format, options.log_level)
            return
        if name == options.config_maps.leader_election:
            return
        self._heartbeat.interval = settings.autoscaler.tick_interval
        self._reconciler.apply_config(
            settings.autoscaler, settings.progress_deadline, settings.values.network
        )
        self._cluster.touch_all()

    def _settings_read(self, name: str, config_map: ConfigMap, problems: list[str]) -> None:
        for problem in problems:
            _log.error("ConfigMap %s: %s; the last good settings stay in force", name, problem)
        self._problems[name] = len(problems)
        self._telemetry.set_config_problems(sum(self._problems.values()))

    # The end.

    async def _before_end(self) -> None:
        """Prepare the end while everything still runs."""
        if self._signal:
            _log.info("asked to end by %s", signal.Signals(self._signal).name)

    def _stop(self, stop: asyncio.Event, number: int) -> None:
        """Take a signal; the second one waits for nothing (`knative/pkg signals/signal.go`)."""
        if stop.is_set():
            os._exit(1)
        self._signal = number
        stop.set()

    async def _until_stopped(self, tasks: list["asyncio.Task[None]"], stop: asyncio.Event) -> None:
        """Wait until asked to stop, or until a part ends that should not; what it raised is raised."""
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await self._before_end()
        finally:
            for waiting in (stopping, *tasks):
                waiting.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
