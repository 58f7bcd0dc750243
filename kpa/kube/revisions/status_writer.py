"""Writes the statuses of PodAutoscalers, only if they differ and on top of concurrent writes, and of Metrics.

Source: `knative/pkg reconciler/retry.go` and the reconciler that it generates for PodAutoscalers.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import Conflict, KubeError, NotFound, Unreachable, explain
from kpa.kube.events.events import METRIC_CONTROLLER, PA_CONTROLLER, UPDATE_FAILED, Involved
from kpa.kube.events.recorder import EventRecorder
from kpa.kube.objects.kinds import METRICS, PODAUTOSCALERS, Resource
from kpa.kube.objects.pa_status import equal_but_for_times, status_body
from kpa.kube.objects.podautoscaler import PodAutoscaler, PodAutoscalerStatus
from metrics.key import Key

_ATTEMPTS = 5
"""Attempts to write a status while others write the object."""

_log = logging.getLogger(__name__)

Make = Callable[[PodAutoscaler], PodAutoscalerStatus]


class StatusWriter:
    """Writes statuses.

    Parameters
    ----------
    client : KubeClient
    recorder : EventRecorder
        Writes an Event if a status cannot be written.
    learn : callable (Resource, dict)
        Takes the object as it is then.
    """

    def __init__(
        self, client: KubeClient, recorder: EventRecorder, learn: Callable[[Resource, dict[str, Any]], None]
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._learn = learn

    async def write(self, pa: PodAutoscaler, make: Make) -> None:
        """Write a status if it differs; that of a PodAutoscaler that is gone is dropped.

        Parameters
        ----------
        pa : PodAutoscaler
            As it is known.
        make : callable (PodAutoscaler)
            Gives the status for the object as it is stored.

        Raises
        ------
        KubeError
            It could not be written; an Event says so, unless the API server cannot be reached or others
            write all the time.
        """
        try:
            async with self._event_on_failure(Involved.pod_autoscaler(pa), PA_CONTROLLER):
                await self._write(pa, make)
        except NotFound:
            _log.info("%s is gone", pa.key)

    async def write_metric(self, key: Key, body: dict[str, Any]) -> None:
        """Write the status of a Metric.

        Parameters
        ----------
        key : Key
        body : dict
            The object with its status.

        Raises
        ------
        KubeError
            It could not be written; an Event says so, unless the API server cannot be reached, others write,
            or it is gone.
        """
        async with self._event_on_failure(Involved.of(body), METRIC_CONTROLLER):
            self._learn(METRICS, await self._client.replace_status(METRICS, *key, body))

    @asynccontextmanager
    async def _event_on_failure(self, involved: Involved, component: str) -> AsyncIterator[None]:
        """Write an Event if the status of an object cannot be written."""
        try:
            yield
        except KubeError as error:
            if not isinstance(error, Conflict | Unreachable | NotFound):
                text = f'Failed to update status for "{involved.name}": {explain(error)}'
                await self._recorder.warn(involved, UPDATE_FAILED, text, component)
            raise

    async def _write(self, pa: PodAutoscaler, make: Make) -> None:
        namespace, name = pa.key
        for attempt in range(_ATTEMPTS):
            status = make(pa)
            if equal_but_for_times(pa.status, status):
                return
            try:
                body = status_body(pa, status)
                self._learn(PODAUTOSCALERS, await self._client.replace_status(PODAUTOSCALERS, *pa.key, body))
                return
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                stored = await self._client.get(PODAUTOSCALERS, namespace, name)
                pa = PodAutoscaler.from_json(stored)
