"""Observe, decide, apply: one loop for all revisions.

    cluster ── revisions, pods ──> Reconciler <── stats ── collector, stat server
                                      │ engine.tick, plan
    cluster <────── replicas ─────────┘

Each tick decides for the whole fleet in one pass; only revisions whose answer, pods or settings changed, or
whose time has come, are looked at one by one.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from config.autoscaler import AutoscalerConfig
from config.network import NetworkConfig
from config.provenance import provenance
from config.resolve import PROGRESS_DEADLINE, RevisionSettings, resolve
from kpa.cluster import Cluster, Outcome
from kpa.deadlines import Deadlines
from kpa.explain import Explanation, explain
from kpa.logs import log_decision
from kpa.member import Member
from kpa.resumption import Resumption
from kpa.revisions import Key, Revision
from kpa.slices import LENGTH, Slice
from kpa.status import RevisionStatus
from metrics.collector import Collector, Target
from metrics.resolver import LookUp, look_up
from metrics.route import Access
from metrics.stat import Stat, StatMessage
from scaler.bounds import UNKNOWN
from scaler.engine import Engine
from scaler.history import INTERVAL, Samples
from scaler.plan import Plan, plan
from scaler.zero import Activity, Life

_log = logging.getLogger(__name__)

_RETRY = 1.0
"""Seconds until a replica count that the cluster did not take is asked for again."""

_LONGEST_WAIT = 1.0
"""Seconds; a step of the wall clock delays no tick for longer."""

_PHASE = 0.92
"""Part of a wall-clock second at which a tick is due: all that the collector (by 0.9) and the activators (at
0.75) have to say of this second is there, and nothing of the next one is.

A tick in the middle would read a second with part of its load: 60 requests in flight would count as 45 in a
panic window of 4 s, and get 7 pods instead of 8. The peer's ticks begin whenever a decider was made.
"""


@dataclass(slots=True)
class Observers:
    """What the reconciler reports to telemetry."""

    tick: Callable[[float], None] = lambda seconds: None
    scrape: Callable[[tuple[str, str], float], None] = lambda key, seconds: None
    scale: Callable[[int, int], None] = lambda before, after: None
    stats: Callable[[int, int], None] = lambda received, unknown: None


class Reconciler:
    """Keeps the replicas of all revisions of a cluster in step with their load.

    Parameters
    ----------
    cluster : Cluster
    config : AutoscalerConfig
    activator_answers : callable (key)
        Tells whether an activator stands ready to hold requests of a revision.
    observers : Observers
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
        cluster: Cluster,
        config: AutoscalerConfig,
        *,
        activator_answers: Callable[[Key], bool],
        observers: Observers | None = None,
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
        self._observers = observers or Observers()
        self.collector = Collector(
            self._record_scrape,
            self.engine.forget_data,
            clock=clock,
            observe=self._observers.scrape,
            on_problem=lambda key: self._touch(Key(*key)),
            look_up=look_up,
        )
        self._cluster = cluster
        self._activator_answers = activator_answers
        self._clock = clock
        self._members: dict[Key, Member] = {}
        self._dirty: set[Key] = set()
        self._outdated: set[Key] = set()
        self._pokes: set[Key] = set()
        self._deadlines = Deadlines()
        self._next_tick = 0.0
        self._next_sample = 0.0
        self._wake = asyncio.Event()

    # What comes in.

    def on_revision(self, key: Key, revision: Revision | None) -> None:
        """Take a new state of a revision, or its end (the cluster's listener)."""
        if revision is None:
            self._forget(key)
        elif key not in self._members:
            self._begin(key, revision)
        else:
            member = self._members[key]
            before, member.revision = member.revision, revision
            if before.replicas != revision.replicas:
                member.asked = None
            if revision.life is not None:
                life = replace(member.plan.life, proxied_since=revision.life.proxied_since)
                member.plan = replace(member.plan, life=life)
            if _resolved_from(before) != _resolved_from(revision):
                self._reconfigure(key, member)
            elif _collected_from(before) != _collected_from(revision):
                self._follow_pods(key, member)
            self._touch(key)

    def on_stats(self, messages: list[StatMessage]) -> None:
        """Take what activators report (the stat server's listener)."""
        unknown = 0
        for namespace, name, stat in messages:
            key = Key(namespace, name)
            unknown += key not in self._members
            self._record(key, stat, stat.timestamp)
        self._observers.stats(len(messages), unknown)

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
        self._outdated.update(self._members)
        self._wake.set()

    def _begin(self, key: Key, revision: Revision) -> None:
        now = self._clock()
        life = revision.life or Life(Activity.ACTIVATING, now)
        first = Plan(UNKNOWN, None, None, True, life)
        member = Member(revision, self._resolve(revision), first, in_charge=self._in_charge)
        self._members[key] = member
        served_before = revision.life is not None and revision.life.activity is Activity.ACTIVE
        self.engine.add(
            key, member.settings, now, len(revision.ready_pods), member.scraped, hold=served_before
        )
        if self.resumption.begin(key, member):
            self._pokes.add(key)
        self._follow_pods(key, member)
        self._touch(key)

    def _forget(self, key: Key) -> None:
        member = self._members.pop(key, None)
        if member is None:
            return
        self.engine.remove(key)
        self.resumption.forget(key)
        self._dirty.discard(key)
        self._outdated.discard(key)
        self._pokes.discard(key)
        self._deadlines.set(key, None)
        if member.scraped:
            self.collector.unwatch(key)

    def _reconfigure(self, key: Key, member: Member) -> None:
        was_scraped, member.settings = member.scraped, self._resolve(member.revision)
        self.engine.update(key, member.settings, self._clock(), member.scraped)
        if was_scraped and not member.scraped:
            self.collector.unwatch(key)
        self._follow_pods(key, member)

    def _follow_pods(self, key: Key, member: Member) -> None:
        """Let engine and collector know the ready pods."""
        pods = member.revision.ready_pods
        self.engine.set_ready(key, len(pods))
        if not self._in_charge:  # no pod, no load: whoever is in charge would have asked for one
            self.engine.update(key, member.settings, self._clock(), scraped=bool(pods))
        if member.scraped:
            self.collector.watch(
                key,
                [Target(pod.name, pod.host, pod.metrics_port, pod.started_at) for pod in pods],
                stable_window=member.settings.stable_window,
                panic_window=member.settings.panic_window,
                missing_stats=member.settings.missing_stats,
                access=self._access(member.revision),
            )

    def _access(self, revision: Revision) -> Access:
        """Return the ways to a revision's pods."""
        network = self._network
        service = f"{revision.private_service}.{revision.key.namespace}" if revision.private_service else ""
        return Access(service, network.mesh_compatibility_mode, network.enable_mesh_pod_addressability)

    def _resolve(self, revision: Revision) -> RevisionSettings:
        return resolve(
            self.config,
            revision.annotations,
            revision.container_concurrency,
            revision.reachable,
            self._progress_deadline,
        )

    def _record_scrape(self, key: tuple[str, str], stat: Stat, second: int) -> None:
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

    # The loop.

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        self._cluster.watch(self.on_revision)
        while True:
            self.step(self._clock(), Slice(LENGTH))
            await self._sleep()
            await asyncio.sleep(0)

    def step(self, now: float, slice: Slice | None = None) -> None:
        """Do all that is due at a unix time: decide, and ask the cluster for what the decisions say.

        Revisions at zero that have load now are decided on and looked at first, all others are decided on
        at the next tick. What a slice has no time for is due at the next step.
        """
        slice = slice or Slice()
        while self._outdated:
            key = self._outdated.pop()
            self._reconfigure(key, self._members[key])
            self._touch(key)
            if slice.over:
                break
        if not self._next_tick - self.config.tick_interval <= now < self._next_tick:
            self._tick(now)
        elif self._pokes:
            self._decide(now, self._pokes)
        urgent, self._pokes = self._pokes & self._dirty, set()
        due, self._dirty = self._dirty.union(self._deadlines.take_due(now)) - urgent, set()
        for key in urgent:
            self._look_at(key, now)
        while due:
            self._look_at(due.pop(), now)
            if slice.over:
                break
        self._dirty |= due
        if due or self._outdated:
            self._wake.set()

    def _tick(self, now: float) -> None:
        """Decide for the whole fleet."""
        started = time.perf_counter()
        self.resumption.tidy(now)
        self._decide(now)
        if not self._next_sample - INTERVAL <= now < self._next_sample:
            self.engine.sample(now)
            self._next_sample = now + INTERVAL
        self._next_tick = following_tick(now, self.config.tick_interval)
        self._observers.tick(time.perf_counter() - started)

    def _decide(self, now: float, keys: Iterable[Key] | None = None) -> None:
        self._dirty.update(key for key in self.engine.tick(now, keys) if isinstance(key, Key))

    def _look_at(self, key: Key, now: float) -> None:
        """Make a revision's plan anew and have it carried out."""
        member = self._members.get(key)
        if member is None:
            return
        decision = self.engine.decision(key)
        member.dark = member.is_dark(decision, now)
        member.plan = plan(
            member.settings,
            member.plan.life,
            0 if member.dark else decision.desired,
            decision.excess,
            len(member.revision.ready_pods),
            self._activator_answers(key),
            now,
        )
        dark_from = member.dark_from if member.dark_from is not None and member.dark_from > now else None
        self._deadlines.set(key, _earlier(member.plan.again_at, dark_from))
        before, told = member.tell(decision, now)
        log_decision(_log, before, told)
        self.engine.note_wanted(key, told.wanted if told.wanted >= 0 else told.replicas)
        outcome = Outcome(member.plan, decision, member.settings, self.collector.problem(key))
        self._carry_out(key, member, outcome, now)

    def _carry_out(self, key: Key, member: Member, outcome: Outcome, now: float) -> None:
        """Hand an outcome to the cluster; a failure is logged and tried again."""
        before, wanted = member.revision.replicas, outcome.plan.replicas
        try:
            self._cluster.carry_out(key, outcome)
        except Exception:
            _log.exception("%s: could not be scaled to %s", key, wanted)
            self._deadlines.set(key, now + _RETRY)
            return
        if self._in_charge and wanted not in (None, before, member.asked):
            member.asked = wanted
            names = {"namespace": key.namespace, "name": key.name}
            _log.info("replicas %d -> %d", before, wanted, extra={"fields": names})
            self._observers.scale(before, wanted)

    def due_at(self) -> float:
        """Return the unix time of the next tick or the next due plan: the next `step`, if nothing happens."""
        earliest = self._deadlines.earliest()
        return self._next_tick if earliest is None else min(self._next_tick, earliest)

    async def _sleep(self) -> None:
        """Wait for the next tick, the next due plan, or something to happen."""
        seconds = min(max(self.due_at() - self._clock(), 0.0), _LONGEST_WAIT)
        try:
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    # What goes out.

    def revisions(self) -> list[Key]:
        """Return the revisions that we look after."""
        return list(self._members)

    def payloads(self, keys: Iterable[Key]) -> list[bytes]:
        """Return what another process needs to go on with some of them (`kpa.resumption`)."""
        return self.resumption.payloads([key for key in keys if key in self._members], self._members)

    def statuses(self) -> Iterator[RevisionStatus]:
        """Give what is known of all revisions that there are now, each as it is when it is asked for."""
        for key in list(self._members):
            if key in self._members:
                yield self._members[key].status(self.engine.decision(key))

    def history(self, key: Key) -> Samples | None:
        """Return the last hour of a revision; None if there is no such revision."""
        return self.engine.history(key) if key in self._members else None

    def explain(self, key: Key) -> Explanation | None:
        """Say in words why a revision has the pods it has; None if there is no such revision."""
        member, now = self._members.get(key), self._clock()
        if member is None:
            return None
        decision = self.engine.decision(key)
        return explain(
            member.status(decision),
            member.settings,
            decision,
            self.engine.held_until(key),
            now,
            member.past,
            tuple(provenance(self.config, member.revision.annotations)),
        )


def following_tick(now: float, interval: float) -> float:
    """Return the time of the first tick after a unix time.

    Examples
    --------
    >>> following_tick(1000.5, 2.0), following_tick(1000.92, 2.0), following_tick(1002.91, 2.0)
    (1000.92, 1002.92, 1002.92)
    """
    return (math.floor((now - _PHASE) / interval) + 1) * interval + _PHASE


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _resolved_from(revision: Revision) -> tuple[object, ...]:
    """What a revision's settings are made of."""
    return revision.annotations, revision.container_concurrency, revision.reachable


def _collected_from(revision: Revision) -> tuple[object, ...]:
    """Where a revision's load is found."""
    return revision.ready_pods, revision.private_service
