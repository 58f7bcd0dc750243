"""`kpa serve --dry-run`: everything but the writes, beside the autoscaler in charge.

It has no lease and no address that activators know, and a client that cannot write. It owns every
revision, and scrapes pods for all their load. It does not probe activators: they are taken to answer.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from kpa.controller.explain import Explanation
from kpa.controller.reconciler import Reconciler
from kpa.controller.status import RevisionStatus
from kpa.kube.revisions.shadow import Shadow
from kpa.serve.fleet_app import FleetApp
from kpa.telemetry.wiring import follow_scrapes, hooks
from metrics.key import Key


class ShadowApp(FleetApp):
    """The autoscaler of a dry run."""

    in_charge = False

    def _make_reconciler(self) -> Reconciler:
        self._shadow = Shadow(self._cluster, self._telemetry.count_scale)
        reconciler = Reconciler(
            self._shadow,
            self._settings.autoscaler,
            activator_answers=lambda key: True,
            hooks=hooks(self._telemetry, self._heartbeat, Counter),
            in_charge=self.in_charge,
            look_up=self._look_up,
        )
        follow_scrapes(self._telemetry, reconciler)
        return reconciler

    def _owns(self, key: Key) -> bool:
        return True

    def _statuses(self) -> Iterable[RevisionStatus]:
        return self._shadow.compared(super()._statuses())

    def _explain(self, key: Key) -> Explanation | None:
        explanation = super()._explain(key)
        if explanation is None:
            return None
        (status,) = self._shadow.compared([explanation.status])
        return replace(explanation, status=status)

    async def _begin(self) -> None:
        await self._wait_synced()
        self._is_ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.collector.run())
            group.create_task(self._reconciler.run())

    async def _close(self) -> None:
        """There is nothing that others connect to."""
