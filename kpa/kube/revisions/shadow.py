"""A look at a cluster that another autoscaler scales: what we decide is compared, never carried out.

KubernetesCluster ── revisions ──> Shadow ──> Reconciler      pods are real: each decision starts from them
PodAutoscaler.status.desiredScale ──┐ ^
                       comparison <─┴─┴──── outcomes

Only pods tell us of load. A revision without ready ones is not seen: nothing is compared then, and once the
other wakes it, it is taken up anew, as a new leader would.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from kpa.controller.cluster import Listener, Outcome
from kpa.controller.revisions import Revision
from kpa.controller.status import Comparison, RevisionStatus
from kpa.kube.objects.podautoscaler import PodAutoscaler
from metrics.key import Key
from scaler.rules.bounds import UNKNOWN

_log = logging.getLogger(__name__)


class Watched(Protocol):
    """What a shadow needs of a cluster."""

    @property
    def podautoscalers(self) -> Mapping[Key, PodAutoscaler]:
        """With the status that the autoscaler in charge wrote."""

    def watch(self, listener: Listener) -> None:
        """Call `listener` with all revisions, then with every change of one."""


@dataclass(slots=True)
class Account:
    """What is known of one revision, and what it came to over time.

    Attributes
    ----------
    revision : Revision
        As the cluster reported it last.
    theirs : int
        What the other wants; -1 if it has not said.
    at : float
        Unix seconds up to which time was counted.
    replicas : int
        What there would be if it were up to us; what there is while we cannot know. A pod that we would have
        kept longer than the other counts until our own plan ends it.
    begin : float
        Unix seconds from which time counts: then our windows and delays know what theirs know.
    requested : int
        What we want; -1 if that is nothing.
    seen : bool
        Pods are ready, and what they say was decided on.
    differ_since : float or None
        Unix seconds.
    last_reported : int or None
        Replicas that the log said last.
    compared, differed, our_pods, their_pods : float
        As of a `Comparison`.
    """

    revision: Revision
    theirs: int
    at: float
    replicas: int
    begin: float = math.inf
    requested: int = UNKNOWN
    seen: bool = False
    differ_since: float | None = None
    last_reported: int | None = None
    compared: float = 0.0
    differed: float = 0.0
    our_pods: float = 0.0
    their_pods: float = 0.0

    @property
    def comparable(self) -> bool:
        """Both have said what they want."""
        return self.seen and self.requested >= 0 and self.theirs >= 0

    def count_until(self, now: float) -> None:
        """Count the time for which everything has been as it is."""
        seconds = max(0.0, now - max(self.at, self.begin))
        self.at = max(now, self.at)
        self.our_pods += seconds * self.replicas
        self.their_pods += seconds * self.revision.replicas
        if self.comparable:
            self.compared += seconds
            self.differed += seconds * (self.requested != self.theirs)

    def note(self, outcome: Outcome, now: float) -> None:
        """Take what we decided."""
        plan, settings, ready = outcome.plan, outcome.settings, len(self.revision.ready_pods)
        if self.begin == math.inf:
            self.begin = now + settings.stable_window + settings.scale_down_delay
        decided = outcome.decision.recommended >= 0
        self.requested, self.seen = plan.requested, ready > 0 and decided
        if not decided or plan.requested < 0:
            self.replicas = self.revision.replicas
        elif plan.replicas is not None:
            self.replicas = plan.replicas
        if not self.comparable or self.requested == self.theirs:
            self.differ_since = None
        elif self.differ_since is None:
            self.differ_since = now

    def comparison(self, now: float) -> Comparison:
        """Return how the two compare, at a time up to which was counted."""
        since = None if self.differ_since is None else max(self.differ_since, self.begin)
        begun = self.comparable and now >= self.begin
        return Comparison(
            ours=self.requested if begun else None,
            theirs=self.theirs if self.theirs >= 0 else None,
            since=since if begun else None,
            compared=self.compared,
            differed=self.differed,
            our_pods=self.our_pods,
            their_pods=self.their_pods,
        )


class Shadow:
    """A cluster that is watched: implements `kpa.controller.cluster.Cluster` without doing anything.

    Parameters
    ----------
    cluster : Watched
    scaled : callable (before, after)
        Called with each number of replicas that we would have requested.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self, cluster: Watched, scaled: Callable[[int, int], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._cluster = cluster
        self._scaled = scaled
        self._clock = clock
        self._accounts: dict[Key, Account] = {}

    def watch(self, listener: Listener) -> None:
        """Report all revisions; one that the other wakes from zero is reported as a new one."""

        def report(key: Key, revision: Revision | None) -> None:
            if revision is None:
                self._accounts.pop(key, None)
            elif self._wakes(key, revision):
                listener(key, None)
            listener(key, revision)

        self._cluster.watch(report)

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        """Compare an outcome with what the other wants."""
        account = self._accounts.get(key)
        if account is None:
            return
        now = self._clock()
        account.count_until(now)
        account.note(outcome, now)
        if account.comparable:
            self._tell(key, account)

    def compared(self, statuses: Iterable[RevisionStatus]) -> Iterable[RevisionStatus]:
        """Add to statuses how they compare."""
        now = self._clock()
        for status in statuses:
            account = self._accounts.get(status.key)
            if account is None:
                yield status
            else:
                account.count_until(now)
                yield replace(status, comparison=account.comparison(now))

    def _tell(self, key: Key, account: Account) -> None:
        """Log what we would scale, each number once."""
        present, requested = account.revision.replicas, account.replicas
        if requested == present:
            account.last_reported = None
        elif requested != account.last_reported:
            account.last_reported = requested
            names = {"namespace": key.namespace, "name": key.name}
            _log.info("would scale %s %d -> %d", key, present, requested, extra={"fields": names})
            self._scaled(present, requested)

    def _wakes(self, key: Key, revision: Revision) -> bool:
        """Take a new state; tells whether the other wakes a revision that we have at zero."""
        now, theirs = self._clock(), self._theirs(key)
        account = self._accounts.get(key)
        if account is None:
            self._accounts[key] = Account(revision, theirs, now, revision.replicas)
            return False
        account.count_until(now)
        woken = account.theirs <= 0 < theirs and account.requested == 0 and not revision.ready_pods
        account.revision, account.theirs = revision, theirs
        return woken

    def _theirs(self, key: Key) -> int:
        pa = self._cluster.podautoscalers.get(key)
        stored = None if pa is None else pa.status.desired_scale
        return UNKNOWN if stored is None else stored
