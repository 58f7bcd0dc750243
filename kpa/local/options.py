"""What `kpa local` is started with."""

import logging
from dataclasses import dataclass
from pathlib import Path

from config.autoscaler import AutoscalerConfig, unknown_keys
from config.config_map import read_config_map

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class LocalError(Exception):
    """`kpa local` cannot start; the log or the message says why."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What `kpa local` is started with.

    Attributes
    ----------
    files : tuple of Path
        Manifests.
    config : Path or None
        YAML with the ConfigMap config-autoscaler; without, the defaults hold.
    host, port : str, int
        Where requests are taken.
    telemetry_port : int
        Where telemetry and the API are served, on loopback.
    ready_file : Path or None
        Gets both ports as JSON once requests are taken.
    legacy_metrics : bool
        Adds the series names of Knative up to 1.18.
    log_format : str
        `text` or `json`.
    """

    files: tuple[Path, ...]
    config: Path | None = None
    host: str = LOOPBACK
    port: int = 8080
    telemetry_port: int = 9090
    ready_file: Path | None = None
    legacy_metrics: bool = False
    log_format: str = "text"


def read_config(path: Path | None) -> AutoscalerConfig:
    """Read the settings; unknown keys are logged.

    Raises
    ------
    ConfigError, OSError
        They cannot be used.
    """
    data = {} if path is None else read_config_map(path.read_bytes())
    config = AutoscalerConfig.from_config_map(data)
    for unknown in unknown_keys(data):
        log.warning("%s: %s", path, unknown)
    return config
