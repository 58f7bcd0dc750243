"""Leader election: who owns a bucket, agreed on by a Lease that its holder renews.

A lease counts as expired when nobody was seen to renew it for its duration, by our own clock from the moment
we saw the last change: clocks of replicas need not agree. A released lease (no holder) is taken at once.

Source: `kubernetes/client-go tools/leaderelection`, whose replicas may share our leases.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kpa.kube.errors import Conflict, KubeError, NotFound

_log = logging.getLogger(__name__)

_RELEASED_SECONDS = 1
"""Duration that a released lease is left with, as client-go leaves it."""

_RELEASE_DEADLINE = 3.0
"""Seconds; without an API server others wait for the lease's end anyway."""

HANDOVER = "kpa.dev/handover"
"""Annotation of a released lease: who released it, and will tell the next holder what it knew."""

Json = dict[str, Any]


class LeaseStore(Protocol):
    """The three verbs that an elector needs, on Leases of one namespace."""

    async def get(self, name: str) -> Json:
        """Read a lease; raises NotFound."""

    async def create(self, lease: Json) -> Json:
        """Make one that does not exist; raises Conflict if it does."""

    async def replace(self, name: str, lease: Json) -> Json:
        """Write one that was read; raises Conflict if somebody else did meanwhile."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: how long a lease lasts, how long its holder tries to renew it, how often.

    Source: ConfigMap `config-leader-election`, keys `lease-duration`, `renew-deadline`, `retry-period`.
    """

    lease_duration: float = 60.0
    renew_deadline: float = 40.0
    retry_period: float = 10.0


class Elector:
    """One replica's part in the election for one bucket.

    Parameters
    ----------
    store : LeaseStore
    name, identity : str
        The lease's name, and ours: `<POD_NAME>_<POD_IP>`.
    timing : Timing
    on_change : callable (bool)
        Told that we lead, or no longer do.
    clock : callable
        Seconds that only go forward.

    Attributes
    ----------
    predecessor : str
        Who held the lease before us, as far as we know; empty if nobody did.
    """

    def __init__(
        self,
        store: LeaseStore,
        name: str,
        identity: str,
        timing: Timing,
        on_change: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.predecessor = ""
        self._leading = False
        self._store = store
        self._identity = identity
        self._timing = timing
        self._on_change = on_change
        self._clock = clock
        self._lease: Json | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self._wake = asyncio.Event()

    @property
    def leading(self) -> bool:
        """We hold the lease, and nobody else can: it has not run out while this process slept."""
        return self._leading and self._clock() - self._renewed_at < self._timing.lease_duration

    def observe(self, lease: Json | None) -> None:
        """Take what a watch says of the lease; a released or deleted one is tried for at once."""
        if lease is None or not _holder(lease):
            self._wake.set()

    async def run(self) -> None:
        """Take part until cancelled, then release the lease if we hold it."""
        try:
            while True:
                await self.attempt()
                await self._pause()
        finally:
            if self._leading:
                await self._release()

    async def attempt(self) -> None:
        """Try to take or to renew the lease; give up leading when that has failed for too long.

        A slow API server is waited for, as long as a leader may wait for it.
        """
        if self._leading and self._left() <= 0:
            self._set_leading(False)
        try:
            async with asyncio.timeout(self._left() if self._leading else self._timing.renew_deadline):
                held = await self._take_or_renew()
        except (KubeError, TimeoutError) as error:
            _log.warning("lease %s: %s", self.name, str(error) or "no answer in time")
            held = self._leading and self._left() > 0
        if held != self._leading:
            self._set_leading(held)

    def _left(self) -> float:
        """Return the seconds until a leader that cannot renew its lease gives up."""
        return self._renewed_at + self._timing.renew_deadline - self._clock()

    async def _take_or_renew(self) -> bool:
        if self._leading and self._lease is not None:  # as it was when we wrote it, most likely
            with contextlib.suppress(NotFound):
                if await self._written(self._store.replace(self.name, self._claim(self._lease))):
                    return True
        now = self._clock()
        try:
            lease = await self._store.get(self.name)
        except NotFound:
            return await self._written(self._store.create(self._claim(None)))
        if self._lease is None or lease["spec"] != self._lease["spec"]:
            self._lease, self._seen_at = lease, now
        holder = _holder(lease)
        if holder and holder != self._identity and not self._expired(lease, now):
            return False
        if not self._leading:
            self.predecessor = holder or str((lease["metadata"].get("annotations") or {}).get(HANDOVER) or "")
        return await self._written(self._store.replace(self.name, self._claim(lease)))

    async def _written(self, writing: Any) -> bool:
        """Await a write; somebody who was faster than we has the lease."""
        began = self._clock()
        try:
            self._lease = await writing
        except Conflict:
            return False
        self._seen_at = self._renewed_at = began
        return True

    def _expired(self, lease: Json, now: float) -> bool:
        return now - self._seen_at > float(lease["spec"].get("leaseDurationSeconds") or 0)

    def _claim(self, lease: Json | None) -> Json:
        """Return the lease with us as its holder."""
        spec = dict(lease["spec"]) if lease else {}
        renewal = spec.get("holderIdentity") == self._identity
        transitions = int(spec.get("leaseTransitions") or 0)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": _without_handover(lease["metadata"]) if lease else {"name": self.name},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._timing.lease_duration),
                "acquireTime": spec["acquireTime"] if renewal else _now(),
                "renewTime": _now(),
                "leaseTransitions": transitions if renewal or lease is None else transitions + 1,
            },
        }

    async def _release(self) -> None:
        """Let the lease go, so that another replica takes it at once."""
        self._set_leading(False)
        try:
            async with asyncio.timeout(_RELEASE_DEADLINE):
                await self._write_released()
        except (KubeError, TimeoutError) as error:
            _log.warning("lease %s could not be released: %s", self.name, error or "no answer in time")

    async def _write_released(self) -> None:
        lease = await self._store.get(self.name)
        if _holder(lease) == self._identity:
            lease["spec"] |= {
                "holderIdentity": "",
                "leaseDurationSeconds": _RELEASED_SECONDS,
                "acquireTime": _now(),
                "renewTime": _now(),
            }
            annotations = lease["metadata"].get("annotations") or {}
            lease["metadata"]["annotations"] = annotations | {HANDOVER: self._identity}
            await self._store.replace(self.name, lease)

    def _set_leading(self, leading: bool) -> None:
        _log.info("lease %s: %s", self.name, "we lead" if leading else "we do not lead any more")
        self._leading = leading
        self._on_change(leading)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._timing.retry_period):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


def _holder(lease: Json) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "")


def _without_handover(metadata: Json) -> Json:
    annotations = metadata.get("annotations") or {}
    return metadata | {"annotations": {name: annotations[name] for name in annotations if name != HANDOVER}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
