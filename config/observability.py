"""Metrics, traces and profiles: the keys of the ConfigMap `config-observability` that kpa checks.

No key has an effect: kpa always serves Prometheus metrics, and neither pushes metrics nor writes traces nor
serves Go's profiles. A value that asks for one of these is a warning, so that an operator does not wait for
it.

Source: `knative/pkg observability`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from config.problems import ConfigError, Problem

NAME = "config-observability"
"""Name of the ConfigMap, unless `CONFIG_OBSERVABILITY_NAME` names another one."""

_PUSHED = ("http/protobuf", "grpc")


class _Key(NamedTuple):
    """Values that ask for nothing, the first of them the default; values without effect; what kpa does."""

    plain: tuple[str, ...]
    without_effect: tuple[str, ...]
    instead: str


_KEYS: Mapping[str, _Key] = {
    "metrics-protocol": _Key(("none", "prometheus"), _PUSHED, "/metrics is served on port 9090 always"),
    "tracing-protocol": _Key(("none",), (*_PUSHED, "stdout"), "nothing is traced"),
    "runtime-profiling": _Key(("disabled",), ("enabled",), "port 8008 answers 404 always"),
}


@dataclass(frozen=True, slots=True)
class ObservabilityConfig:
    """What the operator asks for.

    Attributes
    ----------
    metrics_protocol, tracing_protocol, runtime_profiling : str
        Knative's words.
    """

    metrics_protocol: str = "none"
    tracing_protocol: str = "none"
    runtime_profiling: str = "disabled"

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the data of the ConfigMap; a key that is not set or empty has its default.

        Raises
        ------
        ConfigError
            Knative does not know a value; the error names every such value.
        """
        texts = {key: data.get(key) or known.plain[0] for key, known in _KEYS.items()}
        problems = [
            Problem(key, text, " or ".join(_KEYS[key].plain + _KEYS[key].without_effect))
            for key, text in texts.items()
            if text not in _KEYS[key].plain + _KEYS[key].without_effect
        ]
        if problems:
            raise ConfigError(problems)
        return cls(*texts.values())

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it."""
        return {key: getattr(self, key.replace("-", "_")) for key in _KEYS}

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return a line for each value that has no effect.

        Examples
        --------
        >>> ObservabilityConfig(tracing_protocol="grpc").warnings({})
        ["tracing-protocol = 'grpc' has no effect: nothing is traced"]
        """
        return [
            f"{key} = {text!r} has no effect: {_KEYS[key].instead}"
            for key, text in self.texts().items()
            if text in _KEYS[key].without_effect
        ]
