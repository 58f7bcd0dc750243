"""How pods are reached: the keys of the ConfigMap `config-network` that concern scraping.

The other keys are for Knative's controllers; kpa does not read them.

Source: `knative/networking pkg/config/config.go`. Knative reads the ConfigMap once and takes an unknown
mode as `auto`. kpa applies an edit at once and rejects an unknown mode.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from config.problems import ConfigError, Problem
from config.scalars import parse_bool

NAME = "config-network"
"""Name of the ConfigMap."""

MeshMode = Literal["auto", "enabled", "disabled"]
"""kpa scrapes pods directly (`disabled`), through their service (`enabled`), or whichever works (`auto`)."""

_MODE, _ADDRESSABLE = "mesh-compatibility-mode", "enable-mesh-pod-addressability"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Whether a mesh is between kpa and the pods.

    Attributes
    ----------
    mesh_compatibility_mode : "auto", "enabled" or "disabled"
    enable_mesh_pod_addressability : bool
        The mesh routes requests to single pods, if they name the service.
    """

    mesh_compatibility_mode: MeshMode = "auto"
    enable_mesh_pod_addressability: bool = False

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the data of the ConfigMap; a key that is not set has its default.

        Raises
        ------
        ConfigError
            A value cannot be used; the error names every such value.

        Examples
        --------
        >>> NetworkConfig.from_config_map({"mesh-compatibility-mode": "Enabled"}).mesh_compatibility_mode
        'enabled'
        """
        problems = []
        modes = {mode: mode for mode in get_args(MeshMode)}
        mode = modes.get(data.get(_MODE, "auto").lower())
        if mode is None:
            problems.append(Problem(_MODE, data[_MODE], "auto, enabled or disabled"))
        addressable = None
        try:
            addressable = parse_bool(data.get(_ADDRESSABLE, "false"))
        except ValueError:
            problems.append(Problem(_ADDRESSABLE, data[_ADDRESSABLE], "true or false"))
        if mode is None or addressable is None:
            raise ConfigError(problems)
        return cls(mode, addressable)

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it."""
        addressable = "true" if self.enable_mesh_pod_addressability else "false"
        return {_MODE: self.mesh_compatibility_mode, _ADDRESSABLE: addressable}

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return nothing: a value is used or refused."""
        return []
