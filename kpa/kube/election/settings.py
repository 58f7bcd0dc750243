"""ConfigMap of the leader election: how many buckets there are, and how long their leases last.

It is read once, at the start: replicas with other numbers of buckets would lead the same revisions.

Source: `knative/pkg leaderelection/config.go`.
"""

import asyncio
import logging
from collections.abc import Mapping

from config.durations import format_duration, parse_duration
from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import KubeError, NotFound
from kpa.kube.election.buckets import MOST_BUCKETS
from kpa.kube.election.lease import Timing
from kpa.kube.objects.config_maps import ConfigMap
from kpa.kube.objects.kinds import CONFIGMAPS
from kpa.runtime.outage_logger import OutageLogger

_RETRY = 1.0
"""Seconds before the API server is asked again."""

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


def read_leader_election(data: Mapping[str, str]) -> tuple[int, Timing]:
    """Return the number of buckets and the timing of leases; what is not set has Knative's defaults.

    Raises
    ------
    ValueError
        A value cannot be used; the message names the key, the value and what is allowed.
    """
    usual = Timing()
    seconds = {
        key: _duration(data, key, old, default)
        for key, old, default in (
            ("lease-duration", "leaseDuration", usual.lease_duration),
            ("renew-deadline", "renewDeadline", usual.renew_deadline),
            ("retry-period", "retryPeriod", usual.retry_period),
        )
    }
    timing = Timing(*seconds.values())
    if not timing.lease_duration > timing.renew_deadline > timing.retry_period:
        shown = ", ".join(f"{key} {format_duration(value)}" for key, value in seconds.items())
        raise ValueError(f"lease-duration must be above renew-deadline, and that above retry-period: {shown}")
    text = data.get("buckets", "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_BUCKETS:
        raise ValueError(f"buckets must be a whole number from 1 to {MOST_BUCKETS}, not {text!r}")
    return int(text), timing


def _duration(data: Mapping[str, str], key: str, old: str, default: float) -> float:
    text = data.get(key, data.get(old))
    if text is None:
        return default
    try:
        found = parse_duration(text)
    except ValueError:
        found = 0.0
    if found <= 0:
        raise ValueError(f"{key} must be a duration above 0, not {text!r}")
    return found
