"""Leader election: the leader of a bucket is the holder of its Lease, which it renews.

A lease counts as expired when no renewal was observed for its duration. A released lease (no holder) is free
at once. A standby sends no requests as long as a watch delivers renewals (`observe`).

A holder may give its lease to another replica, which is then the holder before it knows.

Source: `kubernetes/client-go tools/leaderelection`, whose replicas may share our leases.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from config.leader_election import Timing
from kpa.kube.api.errors import Conflict, KubeError, NotFound
from kpa.kube.election.lease import HANDOVER, Json, annotation, claimed, given, holder_of, requested
from kpa.kube.election.lease_store import LeaseStore
from kpa.kube.election.observed_lease import ObservedLease
from kpa.runtime.outage_logger import OutageLogger

_log = logging.getLogger(__name__)

_RELEASE_DEADLINE = 3.0
"""Seconds; without an API server others wait for the lease's end anyway."""

_LOOK_SHARE = 0.1
"""Part of the retry period after which a free lease that is assigned to another replica is checked again."""


class Elector:
    """One replica's part in the election for one bucket.

    Parameters
    ----------
    store : LeaseStore
    name, identity : str
        The lease's name, and ours: `<POD_NAME>_<POD_IP>`.
    timing : Timing
    on_change : callable (bool)
        Called when we begin to lead, or stop.
    clock : callable
        Seconds that only go forward.
    patience : callable
        Returns the seconds for which others may take the lease first, once it is free.

    Attributes
    ----------
    predecessor : str
        Who held the lease before us, as far as we know; empty if there was no holder.
    observed : ObservedLease
        The lease as we saw it last.
    """

    def __init__(
        self,
        store: LeaseStore,
        name: str,
        identity: str,
        timing: Timing,
        on_change: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.name = name
        self.predecessor = ""
        self._leading = False
        self._store = store
        self._identity = identity
        self._timing = timing
        self._on_change = on_change
        self._clock = clock
        self._patience = patience
        self.observed = ObservedLease(clock)
        self._renewed_at = 0.0
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()  # one that writes
        self._outage = OutageLogger(_log, f"request for lease {name}", "failed", "succeeded again")

    @property
    def leading(self) -> bool:
        """We hold the lease, and no other replica can: it has not expired while this process slept."""
        return self._leading and self._clock() - self._renewed_at < self._timing.lease_duration

    def observe(self, lease: Json | None) -> None:
        """Take a state of the lease from a watch; a lease that is ours to take is tried for at once."""
        if self._leading:
            if holder_of(lease) != self._identity:
                self._wake.set()
            return
        self.observed.update(lease, self._clock())
        if not holder_of(lease) or self._is_ours:
            self._wake.set()

    async def run(self) -> None:
        """Take part until cancelled, then release the lease if we hold it."""
        pause = 0.0
        try:
            while True:
                await self._sleep(pause)
                was_leading = self._leading
                reached = await self.attempt()
                pause = self._pause(reached)
                if self._leading and not was_leading:
                    pause *= random.uniform(0.5, 1.0)  # many leases are not renewed at one moment
        finally:
            if self._is_ours:
                await self._release()

    async def attempt(self) -> bool:
        """Try to take or to renew the lease; give up leading when that has failed for too long.

        A slow API server is waited for, as long as a leader may wait for it.

        Returns
        -------
        bool
            The API server answered, or no request was needed.
        """
        async with self._lock:
            if self._leading and self._left() <= 0:
                self._set_leading(False)
            if not self._leading and not self._may_take():
                return True
            reached = True
            try:
                async with asyncio.timeout(self._left() if self._leading else self._timing.renew_deadline):
                    held = await self._take_or_renew()
            except (KubeError, TimeoutError) as error:
                self._outage.failed(str(error) or "request timed out")
                held, reached = self._leading and self._left() > 0, False
            else:
                self._outage.succeeded()
            if held != self._leading:
                self._set_leading(held)
            return reached

    async def request(self) -> None:
        """Write on the lease that we request it; retried while its holder renews it."""
        while True:
            lease = await self._store.get(self.name)
            with contextlib.suppress(Conflict):
                await self._store.replace(self.name, requested(lease, self._identity))
                return

    async def give(self, heir: str) -> None:
        """Lead no longer, and make another replica the holder; if that fails the lease is ours again."""
        async with self._lock:
            if self._leading:
                self._set_leading(False)
                await self._let_go(heir)
                if self._is_ours:
                    self._wake.set()

    def _claim(self, lease: Json | None) -> Json:
        return claimed(lease, self.name, self._identity, self._timing)

    def _left(self) -> float:
        """Return the seconds until a leader that cannot renew its lease gives up."""
        return self._renewed_at + self._timing.renew_deadline - self._clock()

    @property
    def _is_ours(self) -> bool:
        return self.observed.holder == self._identity

    def _may_take(self) -> bool:
        """Tell whether the lease is ours to take, by what we observed."""
        now = self._clock()
        return self._is_ours or (self.observed.free and now >= self.observed.free_from + self._patience())

    async def _take_or_renew(self) -> bool:
        if self._leading and self.observed.lease is not None:  # as it was when we wrote it, most likely
            with contextlib.suppress(NotFound):
                if await self._written(self._store.replace(self.name, self._claim(self.observed.lease))):
                    return True
        now = self._clock()
        try:
            lease = await self._store.get(self.name)
        except NotFound:
            return await self._written(self._store.create(self._claim(None)))
        self.observed.update(lease, now)
        if not self._may_take():
            return False
        if not self._leading:
            holder = holder_of(lease)
            self.predecessor = annotation(lease, HANDOVER) or (holder if holder != self._identity else "")
        return await self._written(self._store.replace(self.name, self._claim(lease)))

    async def _written(self, writing: Any) -> bool:
        """Await a write; if another replica was faster, it has the lease."""
        began = self._clock()
        try:
            self.observed.change(await writing, began)
        except Conflict:
            return False
        self._renewed_at = began
        return True

    async def _release(self) -> None:
        """Release the lease, so that another replica takes it at once."""
        if self._leading:
            self._set_leading(False)
        await self._let_go("")

    async def _let_go(self, heir: str) -> None:
        try:
            async with asyncio.timeout(_RELEASE_DEADLINE):
                await self._write_released(heir)
        except (KubeError, TimeoutError) as error:
            _log.warning("lease %s could not be released: %s", self.name, error or "request timed out")

    async def _write_released(self, heir: str) -> None:
        """Write and retry on conflicts: a replica may request the lease meanwhile."""
        while holder_of(lease := await self._store.get(self.name)) == self._identity:
            with contextlib.suppress(Conflict):
                released = given(lease, heir, self._identity, self._timing)
                self.observed.change(await self._store.replace(self.name, released), self._clock())
                return

    def _set_leading(self, leading: bool) -> None:
        _log.info("lease %s: %s", self.name, "we lead" if leading else "we no longer lead")
        self._leading = leading
        self._on_change(leading)

    def _pause(self, reached: bool) -> float:
        """Return the seconds until the lease is to be looked at again, unless something happens."""
        period = self._timing.retry_period
        if self._leading:
            return min(period, max(self._left(), 0.0))
        if self._is_ours or not reached:
            return period
        return max(self.observed.free_from - self._clock(), _LOOK_SHARE * period)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
