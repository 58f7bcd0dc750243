"""What is known of all revisions, and where load, pods and settings come in.

    cluster ── revisions, pods ──> Fleet <── stats ── collector, stat server
                                     │
    pages, commands, telemetry <─────┘

The reconciler's loop goes on from here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from config.autoscaler import AutoscalerConfig
from config.deployment import PROGRESS_DEADLINE
from config.network import NetworkConfig
from config.provenance import provenance
from config.resolve import RevisionSettings, resolve
from kpa.controller.deadlines import Deadlines
from kpa.controller.explain import Explanation, explain
from kpa.controller.hooks import Hooks
from kpa.controller.resumption import Resumption
from kpa.controller.revisions import Revision
from kpa.controller.status import RevisionStatus
from kpa.controller.tracked_revision import TrackedRevision
from metrics.key import Key
from metrics.sampling.routing import PodAccess
from metrics.scraping.collector import Collector, PodTarget
from metrics.scraping.resolver import LookUp, look_up
from metrics.stat import Stat, StatMessage
from scaler.engine.engine import Engine
from scaler.engine.history import Samples
from scaler.rules.bounds import UNKNOWN
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState


class Fleet:
    """All revisions that we look after: their windows, deciders and plans.

    Parameters
    ----------
    config : AutoscalerConfig
    hooks : Hooks
    clock : callable
        Unix time in seconds.
    in_charge : bool
        Whether activators report to us and the cluster does what we say. Else another autoscaler scales the
        revisions and we look on: pods are asked for all their load, that from activators included.
    look_up : callable
        Finds the addresses of a service, `name.namespace`, in a thread.
    """

    def __init__(
        self,
        config: AutoscalerConfig,
        *,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.time,
        in_charge: bool = True,
        look_up: LookUp = look_up,
    ) -> None:
        self._in_charge = in_charge
        self.config = config
        self._network = NetworkConfig()
        self._progress_deadline = PROGRESS_DEADLINE
        self.engine = Engine(history=True)
        self.resumption = Resumption(self.engine, clock)
        self._hooks = hooks or Hooks()
        self.collector = Collector(
            self._record_scrape,
            self.engine.forget_data,
            clock=clock,
            observe=self._hooks.scrape,
            on_problem=self._touch,
            look_up=look_up,
        )
        self._clock = clock
        self._tracked: dict[Key, TrackedRevision] = {}
        self._dirty: set[Key] = set()
        self._outdated: set[Key] = set()
        self._pokes: set[Key] = set()
        self._deadlines = Deadlines()
        self._wake = asyncio.Event()

    # What comes in.

    def on_revision(self, key: Key, revision: Revision | None) -> None:
        """Take a new state of a revision, or its end (the cluster's listener)."""
        if revision is None:
            self._forget(key)
        elif key not in self._tracked:
            self._begin(key, revision)
        else:
            tracked = self._tracked[key]
            before, tracked.revision = tracked.revision, revision
            if before.replicas != revision.replicas:
                tracked.asked = None
            if revision.lifecycle is not None:
                lifecycle = replace(tracked.plan.lifecycle, proxied_since=revision.lifecycle.proxied_since)
                tracked.plan = replace(tracked.plan, lifecycle=lifecycle)
            if _resolved_from(before) != _resolved_from(revision):
                self._reconfigure(key, tracked)
            elif _collected_from(before) != _collected_from(revision):
                self._follow_pods(key, tracked)
            self._touch(key)

    def on_stats(self, messages: list[StatMessage]) -> None:
        """Take what activators report (the stat server's listener)."""
        unknown = 0
        for namespace, name, stat in messages:
            key = Key(namespace, name)
            unknown += key not in self._tracked
            self._record(key, stat, stat.timestamp)
        self._hooks.stats(len(messages), unknown)

    def apply_config(
        self,
        config: AutoscalerConfig,
        progress_deadline: float = PROGRESS_DEADLINE,
        network: NetworkConfig | None = None,
    ) -> None:
        """Put other settings in force, from the next step on, on live revisions too.

        Parameters
        ----------
        config : AutoscalerConfig
        progress_deadline : float
            Seconds that a revision gets to become ready.
        network : NetworkConfig, optional
            Without, as on a machine without a mesh.
        """
        self.config, self._progress_deadline = config, progress_deadline
        self._network = network or NetworkConfig()
        self._outdated.update(self._tracked)
        self._wake.set()

    def _begin(self, key: Key, revision: Revision) -> None:
        now = self._clock()
        lifecycle = revision.lifecycle or LifecycleState(Activity.ACTIVATING, now)
        first = Plan(UNKNOWN, None, None, True, lifecycle)
        tracked = TrackedRevision(revision, self._resolve(revision), first, in_charge=self._in_charge)
        self._tracked[key] = tracked
        served_before = revision.lifecycle is not None and revision.lifecycle.activity is Activity.ACTIVE
        self.engine.add(
            key, tracked.settings, now, len(revision.ready_pods), tracked.scraped, hold=served_before
        )
        if self.resumption.begin(key, tracked):
            self._pokes.add(key)
        self._follow_pods(key, tracked)
        self._touch(key)

    def _forget(self, key: Key) -> None:
        tracked = self._tracked.pop(key, None)
        if tracked is None:
            return
        self.engine.remove(key)
        self.resumption.forget(key)
        self._dirty.discard(key)
        self._outdated.discard(key)
        self._pokes.discard(key)
        self._deadlines.set(key, None)
        if tracked.scraped:
            self.collector.unwatch(key)

    def _reconfigure(self, key: Key, tracked: TrackedRevision) -> None:
        was_scraped, tracked.settings = tracked.scraped, self._resolve(tracked.revision)
        self.engine.update(key, tracked.settings, self._clock(), tracked.scraped)
        if was_scraped and not tracked.scraped:
            self.collector.unwatch(key)
        self._follow_pods(key, tracked)

    def _follow_pods(self, key: Key, tracked: TrackedRevision) -> None:
        """Let engine and collector know the ready pods."""
        pods = tracked.revision.ready_pods
        self.engine.set_ready(key, len(pods))
        if not self._in_charge:  # no pod, no load: whoever is in charge would have asked for one
            self.engine.update(key, tracked.settings, self._clock(), scraped=bool(pods))
        if tracked.scraped:
            self.collector.watch(
                key,
                [PodTarget(pod.name, pod.host, pod.metrics_port, pod.started_at) for pod in pods],
                stable_window=tracked.settings.stable_window,
                panic_window=tracked.settings.panic_window,
                missing_stats=tracked.settings.missing_stats,
                access=self._access(tracked.revision),
            )

    def _access(self, revision: Revision) -> PodAccess:
        """Return the ways to a revision's pods."""
        network = self._network
        service = f"{revision.private_service}.{revision.key.namespace}" if revision.private_service else ""
        return PodAccess(service, network.mesh_compatibility_mode, network.enable_mesh_pod_addressability)

    def _resolve(self, revision: Revision) -> RevisionSettings:
        return resolve(
            self.config,
            revision.annotations,
            revision.container_concurrency,
            revision.reachable,
            self._progress_deadline,
        )

    def _record_scrape(self, key: Key, stat: Stat, second: int) -> None:
        assert isinstance(key, Key)  # the collector hands back what `watch` was given
        self._record(key, stat if self._in_charge else stat.in_full(), second)

    def _record(self, key: Key, stat: Stat, second: int) -> None:
        concurrency, requests = stat.concurrency, stat.requests
        if self.resumption.bridging:
            concurrency, requests = self.resumption.beyond(key, second, concurrency, requests)
        if self.engine.record(key, second, concurrency, requests):
            self._pokes.add(key)
            self._wake.set()

    def _touch(self, key: Key) -> None:
        """Look at a revision soon."""
        self._dirty.add(key)
        self._wake.set()

    # What goes out.

    def revisions(self) -> list[Key]:
        """Return the revisions that we look after."""
        return list(self._tracked)

    def payloads(self, keys: Iterable[Key]) -> list[bytes]:
        """Return what another process needs to go on with some of them (`kpa.controller.resumption`)."""
        return self.resumption.payloads([key for key in keys if key in self._tracked], self._tracked)

    def statuses(self) -> Iterator[RevisionStatus]:
        """Give what is known of all revisions that there are now, each as it is when it is asked for."""
        for key in list(self._tracked):
            if key in self._tracked:
                yield self._tracked[key].status(self.engine.decision(key))

    def history(self, key: Key) -> Samples | None:
        """Return the last hour of a revision; None if there is no such revision."""
        return self.engine.history(key) if key in self._tracked else None

    def explain(self, key: Key) -> Explanation | None:
        """Say in words why a revision has the pods it has; None if there is no such revision."""
        tracked, now = self._tracked.get(key), self._clock()
        if tracked is None:
            return None
        decision = self.engine.decision(key)
        return explain(
            tracked.status(decision),
            tracked.settings,
            decision,
            self.engine.held_until(key),
            now,
            tracked.past,
            tuple(provenance(self.config, tracked.revision.annotations)),
        )


def _resolved_from(revision: Revision) -> tuple[object, ...]:
    """What a revision's settings are made of."""
    return revision.annotations, revision.container_concurrency, revision.reachable


def _collected_from(revision: Revision) -> tuple[object, ...]:
    """Where a revision's load is found."""
    return revision.ready_pods, revision.private_service
