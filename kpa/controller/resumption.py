"""What another process knew of revisions that we begin with, and what the next one will want to know of ours.

The engine's part is a snapshot; the rest, where a revision is on its way, is a note beside it.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from kpa.controller.tracked_revision import TrackedRevision
from metrics.key import Key
from scaler.engine.engine import Engine
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.snapshot import snapshot
from scaler.snapshot.gap_bridge import GapBridge, resume

_BRIDGED = 15.0
"""Seconds for which reports may still be of a bridge: as long as a stat is worth being sent on."""

_OFFERED = 60.0
"""Seconds for which a revision may begin with what was offered: most begin at once."""

_log = logging.getLogger(__name__)


class Resumption:
    """Carries revisions over a change of processes.

    Parameters
    ----------
    engine : Engine
    clock : callable
        Unix time in seconds.

    Attributes
    ----------
    bridging : bool
        Reports have to go through `beyond`.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.bridging = False
        self._engine = engine
        self._clock = clock
        self._offered: dict[str, SnapshotRecord] = {}
        self._offered_until = 0.0
        self._bridges: dict[Key, GapBridge] = {}
        self._bridged_until = 0.0

    def offer(self, saved: Mapping[str, SnapshotRecord]) -> None:
        """Have revisions that begin soon go on from what is newest of them."""
        for name, one in saved.items():
            if name not in self._offered or self._offered[name].time < one.time:
                self._offered[name] = one
        self._offered_until = self._clock() + _OFFERED

    def begin(self, key: Key, tracked: TrackedRevision) -> bool:
        """Continue a new revision from the snapshot that was offered; return whether there was one."""
        saved = self._offered.pop(str(key), None)
        if saved is None:
            return False
        now = self._clock()
        resumed = resume(saved, tracked.scraped, now)
        self._engine.restore(key, resumed.saved, now, resumed.hold)
        _read_note(tracked, saved.note)
        if resumed.bridge is not None:
            self._bridges[key] = resumed.bridge
            self.bridging, self._bridged_until = True, now + _BRIDGED
        return True

    def beyond(self, key: Key, second: int, concurrency: float, requests: float) -> tuple[float, float]:
        """Return what a report says beyond what is known of its second."""
        bridge = self._bridges.get(key)
        return (concurrency, requests) if bridge is None else bridge.beyond(second, concurrency, requests)

    def forget(self, key: Key) -> None:
        """Drop what is kept of a revision."""
        self._bridges.pop(key, None)

    def tidy(self, now: float) -> None:
        """Drop what nobody will ask for any more."""
        if self.bridging and now > self._bridged_until:
            self._bridges.clear()
            self.bridging = False
        if self._offered and now > self._offered_until:
            self._offered.clear()

    def batches(self, keys: Iterable[Key]) -> list[list[Any]]:
        """Divide keys into lists that `payloads` takes milliseconds for."""
        return list(snapshot.batches(self._engine, keys))

    def payloads(self, keys: Iterable[Key], tracked: Mapping[Key, TrackedRevision]) -> list[bytes]:
        """Return what is known of some revisions now, to be sealed (`scaler.snapshot.encoding.seal`)."""
        notes: dict[Hashable, Any] = {key: _note(tracked[key]) for key in keys}
        return snapshot.collect(self._engine, notes, self._clock(), notes.__getitem__)


def _note(tracked: TrackedRevision) -> list[Any]:
    lifecycle, no_traffic_from = tracked.plan.lifecycle, tracked.no_traffic_from
    no_traffic_at = None if no_traffic_from is None else round(no_traffic_from, 3)
    return [lifecycle.activity.value, round(lifecycle.since, 3), lifecycle.initialized, no_traffic_at]


def _read_note(tracked: TrackedRevision, note: Any) -> None:
    """Take over what the cluster does not keep, or in whole seconds only; what it says of activity counts."""
    try:
        activity, since, initialized, no_traffic_from = note
        since, no_traffic_from = float(since), None if no_traffic_from is None else float(no_traffic_from)
    except (TypeError, ValueError):
        _log.warning("%s: %r says nothing of its way", tracked.revision.key, note)
        return
    lifecycle = tracked.plan.lifecycle
    if activity == lifecycle.activity.value:
        lifecycle = replace(lifecycle, since=since, initialized=lifecycle.initialized or bool(initialized))
        tracked.plan = replace(tracked.plan, lifecycle=lifecycle)
    tracked.no_traffic_from = no_traffic_from
