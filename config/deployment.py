"""Deployments of revisions: the key of the ConfigMap `config-deployment` that concerns the autoscaler.

The other keys of that ConfigMap are for Knative's controller; kpa does not read them.

Source: `knative/serving pkg/deployment/config.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from config.durations import format_duration, parse_duration
from config.problems import ConfigError, Problem

NAME = "config-deployment"
"""Name of the ConfigMap."""

PROGRESS_DEADLINE = 600.0
"""Seconds in which a revision must get its first pod ready: Knative's default."""

_KEY, _ALTERNATE = "progress-deadline", "progressDeadline"


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """How long a revision may take to become ready.

    Attributes
    ----------
    progress_deadline : float
        Seconds, whole and above 0.
    """

    progress_deadline: float = PROGRESS_DEADLINE

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the data of the ConfigMap; a key that is not set or empty has its default.

        Raises
        ------
        ConfigError
            The value cannot be used.

        Examples
        --------
        >>> DeploymentConfig.from_config_map({"progress-deadline": "2m"}).progress_deadline
        120.0
        """
        text = data.get(_KEY) or data.get(_ALTERNATE)
        if not text:
            return cls()
        try:
            seconds = parse_duration(text)
        except ValueError:
            seconds = 0.0
        if seconds <= 0 or seconds % 1:
            raise ConfigError([Problem(_KEY, text, "a duration of whole seconds above 0")])
        return cls(seconds)

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it."""
        return {_KEY: format_duration(self.progress_deadline)}

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return nothing: a value is used or refused."""
        return []
