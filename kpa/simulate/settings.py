"""Settings as an operator gives them: a ConfigMap, keys set over it, and a revision's annotations."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from config.annotations import PREFIX, unknown_annotations, validate
from config.autoscaler import SETTINGS, AutoscalerConfig, unknown_keys
from config.config_map import read_config_map
from config.problems import ConfigError, nearest
from kpa.runtime.files import read_given
from kpa.simulate.errors import InputError


class SimulationSettings(NamedTuple):
    """What was read: the settings, their keys and texts, and warnings about keys that nothing reads."""

    config: AutoscalerConfig
    data: dict[str, str]
    warnings: list[str]


def read_settings(file: str | None, assignments: Iterable[str]) -> SimulationSettings:
    """Read a ConfigMap and set keys over it.

    Parameters
    ----------
    file : str or None
        YAML with the ConfigMap `config-autoscaler`; `-` is standard input, None a ConfigMap without keys.
    assignments : iterable of str
        Each `key=value`.

    Raises
    ------
    InputError
        The file or an assignment cannot be used.
    """
    try:
        data = {} if file is None else read_config_map(read_given(file))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    except ConfigError as error:
        raise InputError(f"{file}: {_one_line(error)}") from error
    warnings = [f"{file}: {unknown}" for unknown in unknown_keys(data)]
    given = {}
    for key, value in _pairs(assignments, "--set"):
        if key not in SETTINGS:
            raise InputError(f"--set {key}={value}: unknown key{_hint(key, SETTINGS)}")
        given[key] = value
    try:
        return SimulationSettings(AutoscalerConfig.from_config_map(data | given), data | given, warnings)
    except ConfigError as error:
        place = f"{file}, --set" if file and given else file or "--set"
        raise InputError(f"{place}: {_one_line(error)}") from error


def read_annotations(assignments: Iterable[str], config: AutoscalerConfig) -> dict[str, str]:
    """Read annotations, each `name=value`; `autoscaling.knative.dev/` may be left out.

    Raises
    ------
    InputError
        One is not known, or Knative would refuse it.
    """
    annotations = {
        key if "/" in key else PREFIX + key: value for key, value in _pairs(assignments, "--annotation")
    }
    for unknown in unknown_annotations(annotations):
        hint = f"; did you mean {unknown.nearest}?" if unknown.nearest else ""
        raise InputError(f"--annotation {unknown.key}={unknown.value}: unknown annotation{hint}")
    problems = validate(annotations, config)
    if problems:
        raise InputError(f"--annotation {'; '.join(map(str, problems))}")
    return annotations


def _pairs(assignments: Iterable[str], option: str) -> Iterable[tuple[str, str]]:
    for text in assignments:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise InputError(f"{option} {text!r} must be key=value")
        yield key, value


def _hint(key: str, known: Mapping[str, object]) -> str:
    found = nearest(key, known)
    return f"; did you mean {found}?" if found else "; known are those of kpa check-config"


def _one_line(error: ConfigError) -> str:
    return "; ".join(str(error).splitlines())
