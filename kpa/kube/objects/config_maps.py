"""ConfigMaps of the system namespace, watched; a bad one leaves the last good one in force.

Source: `knative/serving cmd/autoscaler/main.go`. There a missing ConfigMap or a bad one ends the process at
its start; here the defaults are in force until it can be read.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from config.autoscaler import EXAMPLE, AutoscalerConfig
from config.deployment import DeploymentConfig
from config.leader_election import LeaderElectionConfig
from config.logs import LogConfig
from config.network import NetworkConfig
from config.problems import ConfigError
from config.readers import Config, Names
from kpa.kube.api.client import KubeClient
from kpa.kube.api.informer import Informer
from kpa.kube.objects.kinds import CONFIGMAPS
from metrics.key import Key

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A ConfigMap that kpa reads, without its example.

    Attributes
    ----------
    data : dict
    uid, version : str
        Of the object, as Events name it; ConfigMaps with the same data are equal.
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
class SettingsValues:
    """The settings in force, from all watched ConfigMaps that have an effect.

    Attributes
    ----------
    autoscaler : AutoscalerConfig
    deployment : DeploymentConfig
    leader_election : LeaderElectionConfig
        Buckets and leases keep what was read at the start; the pace of hand-over follows it.
    logs : LogConfig
    network : NetworkConfig
    """

    autoscaler: AutoscalerConfig = field(default_factory=lambda: AutoscalerConfig.from_config_map({}))
    deployment: DeploymentConfig = field(default_factory=DeploymentConfig)
    leader_election: LeaderElectionConfig = field(default_factory=LeaderElectionConfig)
    logs: LogConfig = field(default_factory=LogConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def with_config(self, config: Config) -> Self:
        """Return the values with those of one ConfigMap replaced."""
        for each in fields(self):
            if type(getattr(self, each.name)) is type(config):
                changed: dict[str, Any] = {each.name: config}
                return replace(self, **changed)
        return self


class ClusterSettings:
    """The operator's settings.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        The system namespace.
    on_change : callable (ConfigMap name)
        Called when a value has changed.
    on_read : callable (ConfigMap name, ConfigMap, texts)
        Called for each new version of a ConfigMap; the texts are its problems, empty if it is valid.
    names : Names
        Of the ConfigMaps.

    Attributes
    ----------
    values : SettingsValues
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
        self._readers = names.readers()
        self.values = SettingsValues()
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
        return self.values.deployment.progress_deadline

    def _kept(self, body: dict[str, Any]) -> ConfigMap | None:
        """Keep the ConfigMaps that kpa reads, without their examples."""
        return ConfigMap.from_json(body) if body["metadata"]["name"] in self._readers else None

    def _changed(self, key: Key, config_map: ConfigMap | None) -> None:
        if config_map is None:
            return  # a deleted ConfigMap leaves its settings in force
        before, problems = self.values, []
        try:
            config = self._readers[key.name].from_config_map(config_map.data)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
        else:
            self.values = before.with_config(config)
            for warning in config.warnings(config_map.data):
                _log.warning("%s: %s", key.name, warning)
        self._on_read(key.name, config_map, problems)
        if before != self.values:
            self._on_change(key.name)
            _log.info("settings of %s are in force", key.name)
