"""Fetches a ConfigMap once, at the start, when the API server may not be ready yet."""

import asyncio
import logging

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import KubeError, NotFound
from kpa.kube.objects.config_maps import ConfigMap
from kpa.kube.objects.kinds import CONFIGMAPS
from kpa.runtime.outage_logger import OutageLogger

_RETRY = 1.0
"""Seconds before a retry."""

_log = logging.getLogger(__name__)


async def fetch_config_map(client: KubeClient, namespace: str, name: str) -> ConfigMap:
    """Read the ConfigMap once there is an API server; one that does not exist is empty."""
    outage = OutageLogger(_log, f"ConfigMap {namespace}/{name}", "cannot be read", "read")
    while True:
        try:
            return ConfigMap.from_json(await client.get(CONFIGMAPS, namespace, name))
        except NotFound:
            return ConfigMap({})
        except KubeError as error:  # one that has just started may not know our role yet
            outage.failed(error, _RETRY)
        await asyncio.sleep(_RETRY)
