"""`kpa serve`: the autoscaler of a cluster, put together.

API server ──> KubernetesCluster ── revisions ──> Reconciler <── Collector <── queue-proxies
^              ^                                  │  ^
└── writes ────┴────────── outcomes ──────────────┘  └── StatServer :8080 <── activators
"""

import asyncio
import logging
import os
import signal
import socket

from config.leader_election import LeaderElectionConfig
from config.problems import ConfigError
from kpa.controller.reconciler import Reconciler
from kpa.kube.api.client import KubeClient
from kpa.kube.api.credentials import CredentialsError
from kpa.kube.api.errors import KubeError
from kpa.kube.api.read_only import ReadOnlyClient
from kpa.kube.election.bucket_endpoints import BucketEndpoints
from kpa.kube.election.buckets import BUCKET_PREFIX
from kpa.kube.election.leadership import Leadership
from kpa.kube.election.settings import fetch_config_map
from kpa.kube.events.config_map_events import ConfigMapEvents
from kpa.kube.forwarding.forwarder import Forwarder
from kpa.kube.handover.handover import Handover
from kpa.kube.handover.pages import PATH
from kpa.kube.objects.config_maps import ConfigMap
from kpa.kube.revisions.activator_probes import ActivatorProbes
from kpa.runtime.interpreter import new_event_loop, raise_file_limit, use_small_pages
from kpa.runtime.logs import configure
from kpa.runtime.time_budget import LENGTH, TimeBudget
from kpa.serve.fleet_app import FleetApp
from kpa.serve.options import ServeError, ServeOptions
from kpa.serve.shadow_app import ShadowApp
from kpa.telemetry.wiring import follow_failures, follow_forwarding, hooks
from metrics.key import Key
from metrics.stat import StatMessage
from metrics.stat_server import StatServer

log = logging.getLogger(__name__)

_AT_ONCE = 50
"""Revisions that are taken over at a time: some 20 ms."""


class ServeApp(FleetApp):
    """The autoscaler in charge."""

    def __init__(self, options: ServeOptions, client: KubeClient) -> None:
        self._leadership: Leadership | None = None
        self._election: LeaderElectionConfig | None = None  # in force since the start
        self._config_map_events = ConfigMapEvents(client, options.namespace, options.pod_name)
        self._ours: set[str] = set()  # buckets whose revisions we scale
        self._changes: dict[str, asyncio.Task[None]] = {}  # take-overs and releases by bucket
        super().__init__(options, client)
        self._handover = Handover(
            self._reconciler,
            options.identity,
            self._bucket_of,
            self._is_ours,
            options.state_folder,
            options.stat_port,
        )
        self._stat_server = StatServer(
            self._on_stats, accepts=self._accepts, pages={PATH: self._handover.pages.answer}
        )
        follow_failures(self._telemetry, self._reconciler, self._stat_server)
        self._forwarder = Forwarder(
            options.identity, options.domain, options.namespace, port=options.stat_port
        )
        follow_forwarding(self._telemetry, self._forwarder.outcomes)
        self._endpoints = BucketEndpoints(client, options.namespace, options.pod_ip)

    def _make_reconciler(self) -> Reconciler:
        cluster = self._cluster
        self._probes = ActivatorProbes(cluster.podautoscalers, self._options.domain, cluster.touch)
        return Reconciler(
            cluster,
            self._settings.autoscaler,
            activator_answers=self._probes.answer,
            hooks=hooks(self._telemetry, self._heartbeat, lambda: self._stat_server.dropped),
            look_up=self._look_up,
        )

    async def _begin(self) -> None:
        """Decide once the caches have synced; activators find us only from then on."""
        self._leadership = await self._make_leadership()
        await self._wait_synced()
        await self._stat_server.start(self._options.host, self._options.stat_port)
        self._is_ready()
        parts = [
            self._leadership.run(),
            self._reconciler.collector.run(),
            self._reconciler.run(),
            self._config_map_events.run(),
            self._handover.run(),
        ]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)

    async def _before_end(self) -> None:
        """Make the last snapshot for a successor; after a signal from a terminal there will be none."""
        await super()._before_end()
        if self._signal == signal.SIGTERM:
            await self._handover.finish(list(self._ours))

    async def _close(self) -> None:
        for change in self._changes.values():
            change.cancel()
        await self._stat_server.farewell()
        await self._handover.linger()
        await self._stat_server.close()
        await self._handover.close()
        await self._forwarder.close()
        await self._endpoints.close()
        await self._probes.close()

    async def _make_leadership(self) -> Leadership:
        options, name = self._options, self._options.config_maps.leader_election
        config_map = await fetch_config_map(self._client, options.namespace, name)
        try:
            election = LeaderElectionConfig.from_config_map(config_map.data)
        except ConfigError as error:
            problems = "; ".join(map(str, error.problems))
            await self._config_map_events.refuse(name, config_map, problems)
            raise ServeError(f"ConfigMap {name}: {problems}") from error
        self._handover.pace.keep(election.timing.lease_duration)
        self._election = election
        return Leadership(
            self._client,
            options.namespace,
            options.identity,
            election.buckets,
            election.timing,
            self._led,
            self._held,
            self._handover.pages.refresh,
        )

    # Callbacks of the parts.

    def _settings_changed(self, name: str) -> None:
        """Apply settings; of leader election only the pace of hand-over follows them."""
        super()._settings_changed(name)
        if name == self._options.config_maps.leader_election:
            election = self._settings.values.leader_election
            self._handover.pace.keep(election.timing.lease_duration)
            if self._election not in (None, election):
                log.warning("ConfigMap %s: buckets and leases change with the next restart", name)

    def _settings_read(self, name: str, config_map: ConfigMap, problems: list[str]) -> None:
        super()._settings_read(name, config_map, problems)
        self._config_map_events.read(name, config_map, problems)

    def _bucket_of(self, key: Key) -> str:
        return "" if self._leadership is None else self._leadership.buckets.owner(key)

    def _is_ours(self, bucket: str) -> bool:
        return self._leadership is not None and bucket in self._ours and self._leadership.leads(bucket)

    def _owns(self, key: Key) -> bool:
        return self._is_ours(self._bucket_of(key))

    def _held(self, bucket: str, identity: str) -> None:
        """Take the holder of a bucket: stats go there, and snapshots come from there."""
        self._forwarder.set_holder(bucket, identity)
        self._handover.follower.set_holder(bucket, identity)

    def _led(self, bucket: str, leading: bool) -> None:
        """Take a bucket over, or give it up."""
        change = self._changes.pop(bucket, None)
        if change is not None:
            change.cancel()
        if leading:
            self._endpoints.hold(bucket)
            self._changes[bucket] = asyncio.create_task(self._take_over(bucket))
        else:
            self._ours.discard(bucket)
            self._endpoints.release(bucket)
            self._changes[bucket] = asyncio.create_task(self._leave(bucket))

    async def _take_over(self, bucket: str) -> None:
        """Restore the revisions of a bucket and begin to scale them; stats that waited for it are ours."""
        assert self._leadership is not None
        try:
            await self._handover.inherit(bucket, self._leadership.predecessor(bucket))
        except Exception:
            log.exception("bucket %s: no state restored; windows start empty", bucket)
        self._ours.add(bucket)
        await self._touch(bucket)
        self._reconciler.on_stats(self._forwarder.reclaim(bucket))

    async def _leave(self, bucket: str) -> None:
        """Forget revisions that are no longer ours, but keep their snapshot."""
        try:
            await self._handover.lost(bucket)
        except Exception:
            log.exception("bucket %s: last snapshot failed", bucket)
        await self._touch(bucket)

    async def _touch(self, bucket: str) -> None:
        """Reconcile the revisions of a bucket, which are ours now, or no longer."""
        touched, budget = 0, TimeBudget(LENGTH)
        for key in list(self._cluster.podautoscalers):
            if self._bucket_of(key) == bucket:
                self._cluster.touch(key)
                touched += 1
            if touched == _AT_ONCE or budget.over:
                await asyncio.sleep(0)
                touched, budget = 0, TimeBudget(LENGTH)
        await asyncio.sleep(0)

    def _accepts(self, host: str) -> bool:
        """Refuse stats that were sent to a bucket's name, unless the bucket is ours."""
        bucket = host.partition(".")[0]
        mine = self._leadership is not None and self._leadership.leads(bucket)
        return mine or not bucket.startswith(BUCKET_PREFIX)

    def _on_stats(self, messages: list[StatMessage]) -> None:
        """Take stats of our revisions; others go to the replica that leads them."""
        leadership = self._leadership
        if leadership is None:
            return
        others: dict[str, list[StatMessage]] = {}
        ours = []
        for message in messages:
            bucket = leadership.buckets.owner(Key(message.namespace, message.name))
            if self._is_ours(bucket):
                ours.append(message)
            else:
                others.setdefault(bucket, []).append(message)
        if ours:
            self._reconciler.on_stats(ours)
        for bucket, some in others.items():
            self._forwarder.forward(bucket, some)


def run(
    *,
    legacy_metrics: bool = False,
    log_format: str = "json",
    log_level: str = "info",
    host: str | None = None,
    dry_run: bool = False,
) -> int:
    """Run `kpa serve` in this process and return its exit code."""
    writer = configure(log_format, log_level)
    try:
        options = ServeOptions.from_environment(
            os.environ, legacy_metrics=legacy_metrics, host=host, log_format=log_format, log_level=log_level
        )
        raise_file_limit()
        use_small_pages()
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_dry_run(options) if dry_run else _run(options))
    except (ServeError, CredentialsError, KubeError, OSError) as error:
        log.error("%s", error)
        return 2
    finally:
        writer.close()
    return 0


async def _run(options: ServeOptions) -> None:
    client = KubeClient.from_environment()
    try:
        log.info("kpa serves as %s on %s", options.pod_name, socket.gethostname())
        await ServeApp(options, client).run()
    finally:
        await client.close()


async def _dry_run(options: ServeOptions) -> None:
    client = ReadOnlyClient.from_environment()
    try:
        log.info("dry run as %s: nothing is written", options.pod_name)
        await ShadowApp(options, client).run()
    finally:
        await client.close()
