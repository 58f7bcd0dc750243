"""The ConfigMap `config-logging`: what is logged, and the layout of a line.

kpa reads the level of its component, and of the JSON under `zap-logger-config` what Knative's example names.
A key that is not set keeps the value that the process was started with.

Source: `knative/pkg logging/config.go`, `uber-go/zap config.go`, `zapcore/encoder.go`. Knative reads the JSON
once, ignores its level, replaces unreadable JSON without a message, and an unknown encoder by `epoch`. kpa
applies all of it live, and reports what it cannot use.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from config.problems import ConfigError, Problem, UnknownKey, nearest

NAME = "config-logging"
"""Name of the ConfigMap."""

LEVEL, ZAP = "loglevel.autoscaler", "zap-logger-config"

_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "dpanic": "error",
    "panic": "error",
    "fatal": "error",
}
"""Levels as ConfigMaps name them, and as kpa does; it logs nothing more severe than an error."""

_ENCODINGS = {"json": "json", "console": "text"}
_TIME_ENCODERS = {
    name: name or "epoch" for name in ("iso8601", "rfc3339", "rfc3339nano", "epoch", "millis", "nanos", "")
}
_KEYS = {
    "timeKey": "time_key",
    "levelKey": "level_key",
    "nameKey": "name_key",
    "messageKey": "message_key",
    "stacktraceKey": "stacktrace_key",
}
"""Names of the parts of a line: in the JSON, and in `Form`."""

_KNOWN = {
    "": (
        *("level", "encoding", "outputPaths", "initialFields", "encoderConfig"),
        *("development", "errorOutputPaths"),
    ),
    "encoderConfig.": (
        *(*_KEYS, "timeEncoder", "levelEncoder"),
        *("callerKey", "callerEncoder", "durationEncoder", "lineEnding"),
    ),
}
"""Keys that kpa reads, and those of Knative's example that it ignores."""


@dataclass(frozen=True, slots=True)
class Form:
    """Layout of a line of the log.

    Attributes
    ----------
    time_key, level_key, name_key, message_key, stacktrace_key : str
        Names of the parts of a JSON line; a part with an empty name is left out of every line.
    time_encoder : str
        `iso8601`, `rfc3339`, `rfc3339nano`, or Unix time: `epoch` in seconds, `millis`, `nanos`.
    zap_levels : bool
        Levels have zap's names (`warn`, `fatal`), not Python's (`warning`, `critical`).
    initial_fields : Mapping[str, str or number]
        Fields of every line.
    """

    time_key: str = "time"
    level_key: str = "level"
    name_key: str = "logger"
    message_key: str = "message"
    stacktrace_key: str = "error"
    time_encoder: str = "iso8601"
    zap_levels: bool = False
    initial_fields: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged, and how.

    Attributes
    ----------
    level : str
        Lowest severity that is logged: `debug`, `info`, `warning` or `error`.
    format : str
        `json` or `text`.
    output : str
        `stdout` or `stderr`. Each of these three may be empty: as the process was started.
    form : Form
    unknown : tuple of UnknownKey
        Keys of the JSON without effect; the other keys of the ConfigMap are for other programs.
    """

    level: str = ""
    format: str = ""
    output: str = ""
    form: Form = field(default_factory=Form)
    unknown: tuple[UnknownKey, ...] = field(default=(), compare=False)

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the data of the ConfigMap; the level of the component overrides that of the JSON.

        Raises
        ------
        ConfigError
            A value cannot be used; the error names every such value.

        Examples
        --------
        >>> LogConfig.from_config_map({"loglevel.autoscaler": "warn"}).level
        'warning'
        """
        reader = _Reader()
        own = reader.word(LEVEL, data.get(LEVEL) or None, _LEVELS)
        zap = reader.document(data.get(ZAP, ""))
        found = cls(
            level=own or reader.word(_path("level"), zap.get("level") or None, _LEVELS),
            format=reader.word(_path("encoding"), zap.get("encoding"), _ENCODINGS),
            output=reader.output(zap.get("outputPaths")),
            form=reader.form(zap),
            unknown=_unknown(zap),
        )
        if reader.problems:
            raise ConfigError(reader.problems)
        return found

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return a line for each unknown key.

        Examples
        --------
        >>> data = {"zap-logger-config": '{"levl": "info"}'}
        >>> LogConfig.from_config_map(data).warnings(data)
        ["zap-logger-config levl = 'info': unknown key, ignored; did you mean level?"]
        """
        return [str(unknown) for unknown in self.unknown]

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it; `-` if it is not set."""
        form = self.form
        encodings = {format: encoding for encoding, format in _ENCODINGS.items()}
        return {
            "level": self.level or "-",
            "encoding": encodings.get(self.format, "-"),
            "outputPaths": self.output or "-",
            **{key: getattr(form, ours) or "left out" for key, ours in _KEYS.items()},
            "timeEncoder": form.time_encoder,
            "levelEncoder": "lowercase" if form.zap_levels else "-",
            "initialFields": json.dumps(form.initial_fields) if form.initial_fields else "-",
        }


def _unknown(zap: Mapping[str, Any]) -> tuple[UnknownKey, ...]:
    encoder = zap.get("encoderConfig")
    parts = {"": zap, "encoderConfig.": encoder if isinstance(encoder, dict) else {}}
    return tuple(
        UnknownKey(_path(prefix + key), _written(value), nearest(key, _KNOWN[prefix]))
        for prefix, part in parts.items()
        for key, value in part.items()
        if key not in _KNOWN[prefix]
    )


class _Reader:
    """Reads values and collects their problems; a value that is not set reads as empty."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def document(self, text: str) -> dict[str, Any]:
        """Parse the JSON object."""
        if not text:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:  # not JSON, or nested too deeply
            self.problems.append(Problem(ZAP, text, f"a JSON object: {error}"))
            return {}
        return self._object(ZAP, found)

    def word(self, key: str, found: Any, words: Mapping[str, str]) -> str:
        """Look up a word, in any case; empty if there is none."""
        if found is None:
            return ""
        by_case = {word.lower(): meaning for word, meaning in words.items()}
        meaning = by_case.get(found.lower()) if isinstance(found, str) else None
        if meaning is None:
            *others, last = filter(None, words)
            self.problems.append(Problem(key, _written(found), f"{', '.join(others)} or {last}"))
        return meaning or ""

    def output(self, found: Any) -> str:
        """Read the stream that lines go to."""
        if found is None:
            return ""
        if found in (["stdout"], ["stderr"]):
            return str(found[0])
        self.problems.append(Problem(_path("outputPaths"), _written(found), '["stdout"] or ["stderr"]'))
        return ""

    def form(self, zap: Mapping[str, Any]) -> Form:
        """Read the layout of a line."""
        encoder = self._object(_path("encoderConfig"), zap.get("encoderConfig"))
        fields = self._object(_path("initialFields"), zap.get("initialFields"))
        plain = {
            key: value if isinstance(value, str | int | float) else _written(value)
            for key, value in fields.items()
        }
        said: dict[str, Any] = {
            ours: self._name(key, encoder[key]) for key, ours in _KEYS.items() if key in encoder
        }
        time_encoder = self.word(
            _path("encoderConfig.timeEncoder"), encoder.get("timeEncoder"), _TIME_ENCODERS
        )
        if time_encoder:
            said["time_encoder"] = time_encoder
        if encoder.get("levelEncoder") is not None:
            self._name("levelEncoder", encoder["levelEncoder"])
            said["zap_levels"] = True
        return Form(**said, initial_fields=plain)

    def _name(self, key: str, found: Any) -> str:
        if isinstance(found, str):
            return found
        self.problems.append(Problem(_path(f"encoderConfig.{key}"), _written(found), "a string"))
        return ""

    def _object(self, key: str, found: Any) -> dict[str, Any]:
        if found is None or isinstance(found, dict):
            return found or {}
        self.problems.append(Problem(key, _written(found), "a JSON object"))
        return {}


def _path(key: str) -> str:
    return f"{ZAP} {key}"


def _written(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:  # a depth that json can read but not write
        return "..."
