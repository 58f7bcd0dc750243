"""ConfigMaps of the system namespace, applied live; a bad one leaves the last good one in force.

Source: `knative/serving cmd/autoscaler/main.go` for the maps, `pkg/deployment/config.go` for
`progress-deadline`, `knative/pkg logging/config.go`, `observability`. There a
missing map or a bad one ends the process at its start; here the defaults hold until it can be read.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from config import logs, network
from config.autoscaler import EXAMPLE, AutoscalerConfig, unknown_keys
from config.durations import parse_duration
from config.logs import LogConfig, unknown_log_keys
from config.network import NetworkConfig
from config.problems import ConfigError, Problem, UnknownKey
from config.resolve import PROGRESS_DEADLINE
from kpa.kube.api.client import KubeClient
from kpa.kube.api.informer import Informer
from kpa.kube.objects.kinds import CONFIGMAPS
from metrics.key import Key

_log = logging.getLogger(__name__)

AUTOSCALER, DEPLOYMENT, LEADER_ELECTION = "config-autoscaler", "config-deployment", "config-leader-election"
LOGGING, NETWORK, OBSERVABILITY = logs.NAME, network.NAME, "config-observability"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the ConfigMaps that may have others, each from a variable of the environment.

    Attributes
    ----------
    autoscaler : str
        Settings of the autoscaler; `CONFIG_AUTOSCALER_NAME`, which is ours.
    leader_election : str
        The buckets and their leases; `CONFIG_LEADERELECTION_NAME`.
    logging : str
        What the log says and how; `CONFIG_LOGGING_NAME`.
    observability : str
        What we have otherwise; `CONFIG_OBSERVABILITY_NAME`.
    """

    autoscaler: str = AUTOSCALER
    leader_election: str = LEADER_ELECTION
    logging: str = LOGGING
    observability: str = OBSERVABILITY

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; one that is missing or empty leaves the usual name."""
        variables = {each: f"CONFIG_{each.upper().replace('_', '')}_NAME" for each in cls.__slots__}
        return cls(**{each: environment[name] for each, name in variables.items() if environment.get(name)})


Data = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A map that is read, without its example.

    Attributes
    ----------
    data : dict
    uid, version : str
        Of the object, as Events name it; a map with the same data is the same map.
    """

    data: dict[str, str]
    uid: str = field(default="", compare=False)
    version: str = field(default="", compare=False)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Self:
        """Read an object of the API server."""
        metadata = body["metadata"]
        data = {key: text for key, text in (body.get("data") or {}).items() if key != EXAMPLE}
        return cls(data, metadata.get("uid", ""), metadata.get("resourceVersion", ""))


@dataclass(frozen=True, slots=True)
class Values:
    """What all maps together say.

    Attributes
    ----------
    autoscaler : AutoscalerConfig
    progress_deadline : float
        Seconds.
    logs : LogConfig
    network : NetworkConfig
    """

    autoscaler: AutoscalerConfig = field(default_factory=lambda: AutoscalerConfig.from_config_map({}))
    progress_deadline: float = PROGRESS_DEADLINE
    logs: LogConfig = field(default_factory=LogConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)


class Settings:
    """What the operator set up.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        The system namespace.
    on_change : callable (ConfigMap name)
        Told that some of the values are others now.
    on_read : callable (ConfigMap name, ConfigMap, texts)
        Told what is wrong with a map whenever there is a new one; nothing if it is good.
    names : Names
        Of the maps.

    Attributes
    ----------
    values : Values
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        on_change: Callable[[str], None],
        on_read: Callable[[str, ConfigMap, list[str]], None],
        names: Names | None = None,
    ) -> None:
        names = names or Names()
        self._readers: dict[str, Callable[[str, Values, Data], Values]] = {
            DEPLOYMENT: _read_deployment,
            NETWORK: _read_network,
            names.autoscaler: _read_autoscaler,
            names.logging: _read_logging,
            names.observability: _read_observability,
        }
        self.values = Values()
        self._on_change = on_change
        self._on_read = on_read
        self.informer: Informer[ConfigMap] = Informer(
            client, CONFIGMAPS, self._kept, namespace=namespace, on_change=self._changed
        )

    @property
    def autoscaler(self) -> AutoscalerConfig:
        """Of `config-autoscaler`."""
        return self.values.autoscaler

    @property
    def progress_deadline(self) -> float:
        """Seconds that a revision gets to become ready."""
        return self.values.progress_deadline

    def _kept(self, body: dict[str, Any]) -> ConfigMap | None:
        """Keep the maps that are read, and of those what is not an example."""
        return ConfigMap.from_json(body) if body["metadata"]["name"] in self._readers else None

    def _changed(self, key: Key, config_map: ConfigMap | None) -> None:
        if config_map is None:
            return  # deleted maps leave their settings in force
        before, problems = self.values, []
        try:
            self.values = self._readers[key.name](key.name, before, config_map.data)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
        except ValueError as error:
            problems = [str(error)]
        self._on_read(key.name, config_map, problems)
        if before != self.values:
            self._on_change(key.name)
            _log.info("settings of %s are in force", key.name)


# A reader for each map: its name, values as they were and data give values as they are, or an error that says
# why not.


def _read_autoscaler(name: str, values: Values, data: Data) -> Values:
    read = AutoscalerConfig.from_config_map(data)
    _warn(name, unknown_keys(data))
    return replace(values, autoscaler=read)


def _read_deployment(name: str, values: Values, data: Data) -> Values:
    text = data.get("progress-deadline") or data.get("progressDeadline")
    if not text:
        return replace(values, progress_deadline=PROGRESS_DEADLINE)
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0 or seconds % 1:
        raise ValueError(f"progress-deadline must be a duration of whole seconds above 0, not {text!r}")
    return replace(values, progress_deadline=seconds)


def _read_logging(name: str, values: Values, data: Data) -> Values:
    read = LogConfig.from_config_map(data)
    _warn(name, unknown_log_keys(data))
    return replace(values, logs=read)


def _warn(name: str, unknown: Iterable[UnknownKey]) -> None:
    for each in unknown:
        _log.warning("%s: %s", name, each)


def _read_network(name: str, values: Values, data: Data) -> Values:
    return replace(values, network=NetworkConfig.from_config_map(data))


_PUSHED = ("http/protobuf", "grpc")

_UNSUPPORTED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "metrics-protocol": (("none", "prometheus"), _PUSHED, "/metrics is served on port 9090 always"),
    "tracing-protocol": (("none",), (*_PUSHED, "stdout"), "nothing is traced"),
    "runtime-profiling": (("disabled",), ("enabled",), "port 8008 answers 404 always"),
}
"""Keys, the values that ask nothing of us, the others that Knative knows, and what there is instead."""


def _read_observability(name: str, values: Values, data: Data) -> Values:
    """Nothing of it changes what we do; who expects otherwise is told."""
    said = {key: data[key] for key in _UNSUPPORTED if data.get(key)}
    problems = []
    for key, text in said.items():
        without, others, instead = _UNSUPPORTED[key]
        if text in others:
            _log.warning("%s: %s = %r has no effect: %s", name, key, text, instead)
        elif text not in without:
            problems.append(Problem(key, text, " or ".join(without + others)))
    if problems:
        raise ConfigError(problems)
    return values
