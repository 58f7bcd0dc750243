"""Events on ConfigMaps: one is invalid, or valid again.

Knative's autoscaler writes no such Events; it logs a bad ConfigMap.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import AlreadyExists, KubeError
from kpa.kube.events.events import Involved, event
from kpa.kube.objects.config_maps import ConfigMap
from kpa.kube.objects.kinds import EVENTS

COMPONENT = "autoscaler"
INVALID, VALID = "InvalidConfiguration", "ValidConfiguration"

_log = logging.getLogger(__name__)


class ConfigMapEvents:
    """Writes one Event for each invalid version of a ConfigMap, however often it is read.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        The system namespace.
    instance : str
        Our pod's name.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self, client: KubeClient, namespace: str, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._instance = instance
        self._clock = clock
        self._bad: set[str] = set()
        self._news: asyncio.Queue[tuple[str, ConfigMap, list[str]]] = asyncio.Queue()

    def read(self, name: str, config_map: ConfigMap, problems: list[str]) -> None:
        """Take a ConfigMap that was read, and its problems."""
        if problems or name in self._bad:
            self._news.put_nowait((name, config_map, problems))
        if problems:
            self._bad.add(name)
        else:
            self._bad.discard(name)

    async def run(self) -> None:
        """Write Events until cancelled."""
        while True:
            name, config_map, problems = await self._news.get()
            if problems:
                text = f"{'; '.join(problems)}; the last good settings stay in force"
                await self._write(name, config_map, "Warning", INVALID, text)
            else:
                await self._write(name, config_map, "Normal", VALID, "its settings are in force")

    async def refuse(self, name: str, config_map: ConfigMap, problem: str) -> None:
        """Write at once that kpa cannot start with a ConfigMap."""
        await self._write(name, config_map, "Warning", INVALID, f"{problem}; the autoscaler cannot start")

    async def _write(
        self,
        name: str,
        config_map: ConfigMap,
        severity: Literal["Warning", "Normal"],
        reason: str,
        text: str,
    ) -> None:
        involved = Involved("v1", "ConfigMap", self._namespace, name, config_map.uid, config_map.version)
        body = event(involved, severity, reason, text, COMPONENT, self._instance, self._clock())
        body["metadata"]["name"] = f"{name}.{config_map.version}"
        try:
            await self._client.create(EVENTS, self._namespace, body)
        except AlreadyExists:  # another replica said so, or we did before a restart
            pass
        except KubeError as error:
            _log.info("Event %s for %s not written: %s", reason, name, error)
