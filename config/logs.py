"""What the log says and how: what of the ConfigMap `config-logging` concerns us.

That is the level of our component, and what of the JSON under `zap-logger-config` has a meaning here. What is
not said there stays as the process was started.

Source: `knative/pkg logging/config.go`, `uber-go/zap config.go`, `zapcore/encoder.go`. There the JSON is read
once and its level never counts, a JSON that cannot be read is replaced in silence, and an unknown encoder is
`epoch` or `lowercase`; here all of it is live, and what cannot be used is a problem with a name.
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
"""Levels as ConfigMaps name them, and ours; what is graver than an error we have not."""

_ENCODINGS = {"json": "json", "console": "text"}
_TIME_ENCODERS = {
    name: name or "epoch" for name in ("iso8601", "rfc3339", "rfc3339nano", "epoch", "millis", "nanos", "")
}
_LEVEL_ENCODERS = {
    "lowercase": "lowercase",
    "capital": "capital",
    "color": "color",
    "capitalColor": "capitalColor",
    "": "lowercase",
}

_KEYS = {
    "timeKey": "time_key",
    "levelKey": "level_key",
    "nameKey": "name_key",
    "messageKey": "message_key",
    "stacktraceKey": "stacktrace_key",
}
"""Names of the parts of a line in the JSON, and in `Form`."""

_KNOWN = {
    "": (
        *("level", "encoding", "outputPaths", "initialFields", "encoderConfig"),
        *("development", "disableCaller", "disableStacktrace", "sampling", "errorOutputPaths"),
    ),
    "encoderConfig.": (
        *(*_KEYS, "timeEncoder", "levelEncoder"),
        *("callerKey", "functionKey", "callerEncoder", "nameEncoder", "durationEncoder"),
        *("lineEnding", "skipLineEnding", "consoleSeparator"),
    ),
}
"""Keys that zap knows; the second line of each are those that kpa accepts and ignores."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a line of the log looks like.

    Attributes
    ----------
    time_key, level_key, name_key, message_key, stacktrace_key : str
        Names of the parts of a JSON line; a part without a name is left out of every line.
    time_encoder : str
        `iso8601`, `rfc3339`, `rfc3339nano`, or Unix time: `epoch` in seconds, `millis`, `nanos`.
    level_encoder : str
        `lowercase`, `capital`, `color`, `capitalColor`: zap's words; empty for Python's.
    initial_fields : Mapping[str, str or number]
        Stand in every line.
    """

    time_key: str = "time"
    level_key: str = "level"
    name_key: str = "logger"
    message_key: str = "message"
    stacktrace_key: str = "error"
    time_encoder: str = "iso8601"
    level_encoder: str = ""
    initial_fields: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged, and how.

    Attributes
    ----------
    level : str
        Least severity that is logged: `debug`, `info`, `warning` or `error`.
    format : str
        `json` or `text`.
    output : str
        `stdout` or `stderr`. Any of these three may be empty: as the process was started.
    form : Form
    unknown : tuple of UnknownKey
        Keys of the JSON that neither kpa nor zap knows; the other keys of the map are for other programs.
    """

    level: str = ""
    format: str = ""
    output: str = ""
    form: Form = field(default_factory=Form)
    unknown: tuple[UnknownKey, ...] = field(default=(), compare=False)

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the map's data; the level of our component counts before that of the JSON.

        Raises
        ------
        ConfigError
            A value cannot be used; all that are wrong are named.

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
        """Return what holds by key, as an operator writes it; `-` where the process is as it was started."""
        form = self.form
        encodings = {format: encoding for encoding, format in _ENCODINGS.items()}
        return {
            "level": self.level or "-",
            "encoding": encodings.get(self.format, "-"),
            "outputPaths": self.output or "-",
            **{key: getattr(form, ours) or "left out" for key, ours in _KEYS.items()},
            "timeEncoder": form.time_encoder,
            "levelEncoder": form.level_encoder or "-",
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
    """Reads values, and gathers what is wrong with them; what was not said reads as nothing."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def document(self, text: str) -> dict[str, Any]:
        """Parse the JSON object."""
        if not text:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:  # of what is no JSON, or too deeply nested
            self.problems.append(Problem(ZAP, text, f"a JSON object: {error}"))
            return {}
        return self._object(ZAP, found)

    def word(self, key: str, found: Any, words: Mapping[str, str]) -> str:
        """Look up what a word means, in whatever case it is written; empty if there is none."""
        if found is None:
            return ""
        by_case = {word.lower(): meaning for word, meaning in words.items()}
        meaning = by_case.get(found.lower()) if isinstance(found, str) else None
        if meaning is None:
            *others, last = filter(None, words)
            self.problems.append(Problem(key, _written(found), f"{', '.join(others)} or {last}"))
        return meaning or ""

    def output(self, found: Any) -> str:
        """Take the one stream that lines go to."""
        if found is None:
            return ""
        if found in (["stdout"], ["stderr"]):
            return str(found[0])
        self.problems.append(Problem(_path("outputPaths"), _written(found), '["stdout"] or ["stderr"]'))
        return ""

    def form(self, zap: Mapping[str, Any]) -> Form:
        """Read how a line is laid out."""
        encoder = self._object(_path("encoderConfig"), zap.get("encoderConfig"))
        fields = self._object(_path("initialFields"), zap.get("initialFields"))
        plain = {
            key: value if isinstance(value, str | int | float) else _written(value)
            for key, value in fields.items()
        }
        said: dict[str, Any] = {
            ours: self._name(key, encoder[key]) for key, ours in _KEYS.items() if key in encoder
        }
        for key, ours, words in (
            ("timeEncoder", "time_encoder", _TIME_ENCODERS),
            ("levelEncoder", "level_encoder", _LEVEL_ENCODERS),
        ):
            word = self.word(_path(f"encoderConfig.{key}"), encoder.get(key), words)
            if word:
                said[ours] = word
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
    except RecursionError:  # it could be read, just so
        return "..."
