"""The six ConfigMaps of Knative that kpa reads: the reader of each, and the names that they may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from config import autoscaler, deployment, leader_election, logs, network, observability
from config.autoscaler import AutoscalerConfig
from config.deployment import DeploymentConfig
from config.leader_election import LeaderElectionConfig
from config.logs import LogConfig
from config.network import NetworkConfig
from config.observability import ObservabilityConfig

Config = (
    AutoscalerConfig
    | DeploymentConfig
    | LeaderElectionConfig
    | LogConfig
    | NetworkConfig
    | ObservabilityConfig
)
"""What a ConfigMap says. Each has `from_config_map(data)`, which raises ConfigError; `texts()`, the value of
each key as an operator writes it; and `warnings(data)`, lines about what is not used."""

READERS: Mapping[str, type[Config]] = {
    autoscaler.NAME: AutoscalerConfig,
    deployment.NAME: DeploymentConfig,
    network.NAME: NetworkConfig,
    logs.NAME: LogConfig,
    observability.NAME: ObservabilityConfig,
    leader_election.NAME: LeaderElectionConfig,
}
"""What reads the data of a ConfigMap, by the usual name of the ConfigMap."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the ConfigMaps that may have another name, each from an environment variable.

    Attributes
    ----------
    autoscaler : str
        `CONFIG_AUTOSCALER_NAME`, which Knative does not have.
    leader_election : str
        `CONFIG_LEADERELECTION_NAME`.
    logging : str
        `CONFIG_LOGGING_NAME`.
    observability : str
        `CONFIG_OBSERVABILITY_NAME`.
    """

    autoscaler: str = autoscaler.NAME
    leader_election: str = leader_election.NAME
    logging: str = logs.NAME
    observability: str = observability.NAME

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; one that is missing or empty leaves the usual name."""
        variables = {each: f"CONFIG_{each.upper().replace('_', '')}_NAME" for each in cls.__slots__}
        return cls(**{each: environment[name] for each, name in variables.items() if environment.get(name)})

    def readers(self) -> dict[str, type[Config]]:
        """Return what reads the data of a ConfigMap, by the name that the ConfigMap has here.

        Examples
        --------
        >>> Names(logging="config-logging-kpa").readers()["config-logging-kpa"].__name__
        'LogConfig'
        """
        here = {
            autoscaler.NAME: self.autoscaler,
            leader_election.NAME: self.leader_election,
            logs.NAME: self.logging,
            observability.NAME: self.observability,
        }
        return {here.get(usual, usual): reader for usual, reader in READERS.items()}
