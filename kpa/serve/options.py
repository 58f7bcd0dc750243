"""What `kpa serve` is started with, read from the environment of its pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.readers import Names

_RESOLV_CONF = Path("/etc/resolv.conf")


class ServeError(Exception):
    """`kpa serve` cannot start; the message says what is wrong and what was expected."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `kpa serve` is started with.

    Attributes
    ----------
    pod_name, pod_ip : str
        Our identity; `POD_NAME` and `POD_IP` of the environment.
    namespace : str
        Of ConfigMaps and leases; `SYSTEM_NAMESPACE`.
    domain : str
        Suffix of the cluster's names.
    host : str or None
        Address on which all ports listen; None is all that the pod has, of IPv4 and of IPv6.
    stat_port, telemetry_port, profiling_port : int
        For activators, for Prometheus (`METRICS_PROMETHEUS_PORT`), and for profiles (`PROFILING_PORT`).
    legacy_metrics : bool
        Adds the series names of Knative up to 1.18.
    state_folder : Path or None
        Where the state of our revisions outlives a container; `KPA_STATE_DIR` of the environment.
    log_format, log_level : str
        Format and lowest level of log lines, unless the ConfigMap sets them.
    config_maps : Names
    """

    pod_name: str
    pod_ip: str
    namespace: str
    domain: str
    host: str | None = None
    stat_port: int = 8080
    telemetry_port: int = 9090
    profiling_port: int = 8008
    legacy_metrics: bool = False
    log_format: str = "json"
    log_level: str = "info"
    state_folder: Path | None = None
    config_maps: Names = field(default_factory=Names)

    @property
    def identity(self) -> str:
        """How Leases name us: `<POD_NAME>_<POD_IP>`."""
        return f"{self.pod_name}_{self.pod_ip}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **others: Any) -> "ServeOptions":
        """Read identity and names from the environment of our pod; other attributes are given.

        Raises
        ------
        ServeError
            A variable is missing, or a port is none.
        """
        names = ("POD_NAME", "POD_IP", "SYSTEM_NAMESPACE")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise ServeError(f"{' and '.join(missing)} must be set in the environment")
        pod_name, pod_ip, namespace = (environment[name] for name in names)
        domain = environment.get("CLUSTER_DOMAIN") or cluster_domain()
        folder = environment.get("KPA_STATE_DIR")
        return cls(
            *(pod_name, pod_ip, namespace, domain),
            telemetry_port=_port(environment, "METRICS_PROMETHEUS_PORT", 9090, 1024),
            profiling_port=_port(environment, "PROFILING_PORT", 8008, 1),
            config_maps=Names.from_environment(environment),
            state_folder=Path(folder) if folder else None,
            **others,
        )


def _port(environment: Mapping[str, str], name: str, default: int, lowest: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and lowest <= int(text) < 65536):
        raise ServeError(f"{name} must be a port from {lowest} to 65535, not {text!r}")
    return int(text)


def cluster_domain(resolv_conf: Path = _RESOLV_CONF) -> str:
    """Return the suffix of the cluster's names: the first search domain below `svc`, or `cluster.local`.

    Source: `knative/pkg network/domain.go`.
    """
    try:
        lines = resolv_conf.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        for domain in line.split()[1:] if line.startswith("search") else ():
            if domain.startswith("svc."):
                return domain.removeprefix("svc.").rstrip(".")
    return "cluster.local"
