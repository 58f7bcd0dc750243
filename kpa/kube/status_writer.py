"""Writes the status of PodAutoscalers: only what is new, and over what others wrote meanwhile.

Source: `knative/pkg reconciler/retry.go` and the reconciler that it generates for PodAutoscalers.
"""

import logging
from collections.abc import Callable
from typing import Any

from kpa.kube.client import KubeClient
from kpa.kube.errors import Conflict, KubeError, NotFound, Unreachable, explain
from kpa.kube.events import PA_CONTROLLER, UPDATE_FAILED, Involved
from kpa.kube.podautoscaler import PodAutoscaler, PodAutoscalerStatus
from kpa.kube.recorder import EventRecorder
from kpa.kube.resources import PODAUTOSCALERS, Resource
from kpa.kube.status import equal_but_for_times, status_body

_ATTEMPTS = 5
"""Times that a status is written while somebody else writes the object."""

_log = logging.getLogger(__name__)

Make = Callable[[PodAutoscaler], PodAutoscalerStatus]


class StatusWriter:
    """Writes statuses.

    Parameters
    ----------
    client : KubeClient
    recorder : EventRecorder
        Takes note of a status that cannot be written.
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
        """Write a status if it says anything new; one of a PodAutoscaler that is gone is nobody's.

        Parameters
        ----------
        pa : PodAutoscaler
            As it is known.
        make : callable (PodAutoscaler)
            Gives the status for the object as it is stored.

        Raises
        ------
        KubeError
            It could not be written; an Event says so, unless nobody answers or others write all the time.
        """
        try:
            await self._write(pa, make)
        except NotFound:
            _log.info("%s is gone", pa.key)
        except KubeError as error:
            if not isinstance(error, Conflict | Unreachable):
                text = f'Failed to update status for "{pa.key.name}": {explain(error)}'
                await self._recorder.warn(Involved.pod_autoscaler(pa), UPDATE_FAILED, text, PA_CONTROLLER)
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
