"""How pods may be reached: what of the ConfigMap `config-network` concerns the collection of load.

The other keys of that map are for Knative's controllers and stay unread.

Source: `knative/networking pkg/config/config.go`. There any other text than the three modes is silently
`auto`, and the map is read once; here it is a problem with a name, and an edit is in force at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from config.problems import ConfigError, Problem
from config.scalars import parse_bool

NAME = "config-network"
"""Name of the ConfigMap."""

MeshMode = Literal["auto", "enabled", "disabled"]
"""Pods are asked themselves (`disabled`), through their service (`enabled`), or as turns out (`auto`)."""

_MODE, _ADDRESSABLE = "mesh-compatibility-mode", "enable-mesh-pod-addressability"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Whether a mesh stands between us and the pods.

    Attributes
    ----------
    mesh_compatibility_mode : "auto", "enabled" or "disabled"
    enable_mesh_pod_addressability : bool
        The mesh lets requests pass to single pods, if they say through which service.
    """

    mesh_compatibility_mode: MeshMode = "auto"
    enable_mesh_pod_addressability: bool = False

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the map's data; a key that is not set has its default.

        Raises
        ------
        ConfigError
            A value cannot be used; all that are wrong are named.

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
