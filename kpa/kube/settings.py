"""ConfigMaps of the system namespace, applied live; a bad one leaves the last good one in force.

Source: `knative/serving cmd/autoscaler/main.go` for the maps, `pkg/deployment/config.go` for
`progress-deadline`, `knative/pkg leaderelection/config.go`. There a missing map or a bad one ends the process
at its start; here the defaults hold until it can be read.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from config.autoscaler import EXAMPLE, AutoscalerConfig, unknown_keys
from config.durations import format_duration, parse_duration
from config.problems import ConfigError
from kpa.kube.client import KubeClient
from kpa.kube.informer import Informer
from kpa.kube.leases import Timing
from kpa.kube.resources import CONFIGMAPS
from kpa.revisions import Key

_log = logging.getLogger(__name__)

AUTOSCALER, DEPLOYMENT, LEADER_ELECTION = "config-autoscaler", "config-deployment", "config-leader-election"

_PROGRESS_DEADLINE = 600.0

Data = Mapping[str, str]


class Settings:
    """What the operator set up.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        The system namespace.
    on_change : callable
        Told that `autoscaler` or `progress_deadline` is another one now.
    on_problems : callable (ConfigMap name, texts)
        Told of what is wrong with a map; of nothing once it is good.

    Attributes
    ----------
    autoscaler : AutoscalerConfig
    progress_deadline : float
        Seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        on_change: Callable[[], None],
        on_problems: Callable[[str, list[str]], None],
    ) -> None:
        self.autoscaler = AutoscalerConfig.from_config_map({})
        self.progress_deadline = _PROGRESS_DEADLINE
        self._on_change = on_change
        self._on_problems = on_problems
        self.informer: Informer[dict[str, str]] = Informer(
            client, CONFIGMAPS, _data, namespace=namespace, on_change=self._changed
        )

    def _changed(self, key: Key, data: dict[str, str] | None) -> None:
        if data is None:
            return  # deleted maps leave their settings in force
        before = self.autoscaler, self.progress_deadline
        problems = self._read_autoscaler(data) if key.name == AUTOSCALER else self._read_deployment(data)
        self._on_problems(key.name, problems)
        if before != (self.autoscaler, self.progress_deadline):
            _log.info("settings of %s are in force", key.name)
            self._on_change()

    def _read_autoscaler(self, data: Data) -> list[str]:
        try:
            self.autoscaler = AutoscalerConfig.from_config_map(data)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        for unknown in unknown_keys(data):
            _log.warning("%s: %s", AUTOSCALER, unknown)
        return []

    def _read_deployment(self, data: Data) -> list[str]:
        text = data.get("progress-deadline") or data.get("progressDeadline") or "600s"
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = 0.0
        if seconds <= 0 or seconds % 1:
            return [f"progress-deadline must be a duration of whole seconds above 0, not {text!r}"]
        self.progress_deadline = seconds
        return []


def read_leader_election(data: Data) -> tuple[int, Timing]:
    """Return the number of buckets and the timing of leases; what is not set has Knative's defaults.

    Raises
    ------
    ValueError
        A value cannot be used; the message names the key, the value and what is allowed.
    """
    seconds = {
        key: _duration(data, key, old, default)
        for key, old, default in (
            ("lease-duration", "leaseDuration", 60.0),
            ("renew-deadline", "renewDeadline", 40.0),
            ("retry-period", "retryPeriod", 10.0),
        )
    }
    timing = Timing(seconds["lease-duration"], seconds["renew-deadline"], seconds["retry-period"])
    if not timing.lease_duration > timing.renew_deadline > timing.retry_period:
        shown = ", ".join(f"{key} {format_duration(value)}" for key, value in seconds.items())
        raise ValueError(f"lease-duration must be above renew-deadline, and that above retry-period: {shown}")
    text = data.get("buckets", "1")
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"buckets must be a whole number, at least 1, not {text!r}")
    return int(text), timing


def _duration(data: Data, key: str, old: str, default: float) -> float:
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


def _data(body: dict[str, Any]) -> dict[str, str] | None:
    """Keep the maps that are read, and of those what is not an example."""
    if body["metadata"]["name"] not in (AUTOSCALER, DEPLOYMENT):
        return None
    return {key: text for key, text in (body.get("data") or {}).items() if key != EXAMPLE}
