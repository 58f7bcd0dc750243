"""Settings of the autoscaler: ConfigMap `config-autoscaler`, a field for each key.

Source: `knative/serving pkg/autoscaler/config/config.go` for keys, texts and rules. Unlike Knative, kpa
limits the panic threshold to a range, rejects an unknown class, infinity and NaN, and reports all bad keys.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from config.load_settings import LoadSettings
from config.problems import ConfigError, Problem, UnknownKey, nearest
from config.rules import broken_rules, target_fraction
from config.scale_settings import ScaleSettings
from config.settings import Setting, Value, one_of

NAME = "config-autoscaler"
"""Name of the ConfigMap, unless `CONFIG_AUTOSCALER_NAME` names another one."""

EXAMPLE = "_example"
"""Key of the block that documents the other keys; no program reads it."""


class _Profile(BaseModel):
    """Comes first in the order of the fields."""

    defaults: Annotated[
        Literal["inference", "knative"],
        Setting(
            kind=one_of("inference", "knative"),
            meaning="Profile that gives the value of each key that is not set: `inference` for "
            "slow-starting, expensive pods, `knative` for the behaviour of Knative's autoscaler.",
            knative="knative",
            reason="This autoscaler exists for model servers.",
        ),
    ] = "inference"


class AutoscalerConfig(ScaleSettings, LoadSettings, _Profile):
    """Settings of the whole cluster; `resolve` joins them with those of a revision.

    Durations are seconds; percentages are kept as the operator writes them. Fields that are not given take
    the default of the profile that `defaults` names.

    Raises
    ------
    ConfigError
        A value is out of its bounds, or two do not fit together; it names them all.

    Examples
    --------
    >>> AutoscalerConfig.from_config_map({"stable-window": "2m"}).stable_window
    120.0
    >>> AutoscalerConfig(defaults="knative").stable_window
    60.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pod_autoscaler_class: Annotated[
        Literal["kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"],
        Setting(
            kind=one_of("kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"),
            meaning="Autoscaler of revisions that do not name one. kpa serves kpa.autoscaling.knative.dev.",
            knative="kpa.autoscaling.knative.dev",
            reason="As in Knative.",
            annotation="class",
        ),
    ] = "kpa.autoscaling.knative.dev"

    @property
    def container_concurrency_target_fraction(self) -> float:
        """Share of a pod's concurrency that is aimed at, in (0, 1]."""
        return target_fraction(self.container_concurrency_target_percentage)

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Settings from a ConfigMap's data; keys that are not known do not count.

        Raises
        ------
        ConfigError
            With a problem for each bad key, and for each two that do not fit together.
        """
        values: dict[str, Value] = {}
        problems = []
        for key, setting in SETTINGS.items():
            if key in data:
                try:
                    values[key] = setting.kind.parse(data[key])
                except ValueError:
                    problems.append(Problem(key, data[key], setting.allowed))
        unreadable = {problem.key for problem in problems}
        readable = {
            key: value
            for key, value in (profile(str(values.get("defaults"))) | values).items()
            if key not in unreadable
        }
        problems += _problems(readable, data)
        if problems:
            order = list(SETTINGS)
            raise ConfigError(sorted(problems, key=lambda problem: order.index(problem.key)))
        return cls.model_validate({field_name(key): value for key, value in values.items()})

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it."""
        return {key: setting.kind.format(self.value_of(key)) for key, setting in SETTINGS.items()}

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return a line for each key of the data that nothing reads."""
        return [str(unknown) for unknown in unknown_keys(data)]

    def value_of(self, key: str) -> Value:
        """Value of a ConfigMap key."""
        value: Value = getattr(self, field_name(key))
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            field_name(key): value for key, value in profile(given.get("defaults", "inference")).items()
        } | given

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = _problems({key: self.value_of(key) for key in SETTINGS}, {})
        if problems:
            raise ConfigError(problems)
        return self


def field_name(key: str) -> str:
    """Field of a ConfigMap key."""
    return key.replace("-", "_")


def profile(name: str) -> dict[str, Value]:
    """Default of each key in a profile; those of `inference` for a name that is not known."""
    if name == "knative":
        return {key: setting.knative for key, setting in SETTINGS.items()}
    return dict(_INFERENCE)


def unknown_keys(data: Mapping[str, str]) -> list[UnknownKey]:
    """Keys of a ConfigMap that nothing reads; Knative ignores such keys, so they are no error.

    Examples
    --------
    >>> [str(unknown) for unknown in unknown_keys({"stable-windw": "60s"})]
    ["stable-windw = '60s': unknown key, ignored; did you mean stable-window?"]
    """
    unknown = [key for key in data if key not in SETTINGS and key != EXAMPLE]
    return [UnknownKey(key, data[key], nearest(key, SETTINGS)) for key in unknown]


def _problems(values: Mapping[str, Value], texts: Mapping[str, str]) -> list[Problem]:
    """Problems of values by key, shown as they were written where that is known."""
    bad = {key: SETTINGS[key].allowed for key, value in values.items() if not SETTINGS[key].holds(value)}
    bad.update(broken_rules({key: value for key, value in values.items() if key not in bad}))
    return [Problem(key, texts.get(key, SETTINGS[key].kind.format(values[key])), bad[key]) for key in bad]


def _setting(metadata: Iterable[object]) -> Setting:
    return next(note for note in metadata if isinstance(note, Setting))


_FIELDS = {name.replace("_", "-"): field for name, field in AutoscalerConfig.model_fields.items()}
_INFERENCE: Mapping[str, Value] = {key: field.default for key, field in _FIELDS.items()}

SETTINGS: Mapping[str, Setting] = {key: _setting(field.metadata) for key, field in _FIELDS.items()}
"""What is known of each key, in the order in which they are documented."""
