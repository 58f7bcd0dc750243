"""ConfigMaps in a YAML text: finding them among other documents, and their keys and texts.

A ConfigMap is a document, an item of a `kind: List`, or a key of `spec.config` of a KnativeServing: the name
of the ConfigMap with or without the prefix `config-`.

Source: `knative/operator pkg/reconciler/common/config_maps.go` for `spec.config`.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from config.autoscaler import NAME, AutoscalerConfig
from config.documents import Document, describe, load, written
from config.problems import ConfigError, DocumentError, Problem, nearest
from config.readers import Config

_PREFIX = "config-"

_OTHERS = frozenset(
    _PREFIX + name
    for name in (
        *("certmanager", "contour", "defaults", "domain", "features", "gateway", "gc"),
        *("istio", "kourier", "tracing"),
    )
)
"""ConfigMaps of Knative that an autoscaler does not read."""


@dataclass(frozen=True, slots=True)
class Found:
    """The ConfigMaps of a text.

    Attributes
    ----------
    maps : Mapping[str, Any]
        The data of each that was looked for, by name, as YAML has it: most often a mapping.
    others : tuple of str
        Kind and name of Knative's other ConfigMaps, and of objects of other kinds.
    problems : tuple of str
        Unknown ConfigMaps, documents that are no object, and ConfigMaps that are there more than once.
    content : str
        Kind and name of all documents.
    """

    maps: Mapping[str, Any]
    others: tuple[str, ...]
    problems: tuple[str, ...]
    content: str


def read_config_map(text: str | bytes) -> dict[str, str]:
    """Keys and texts of the ConfigMap `config-autoscaler` in a YAML text of one or more documents.

    A ConfigMap without a name counts, one with another name does not. One without data has no keys.

    Raises
    ------
    DocumentError
        No YAML, or not exactly one such ConfigMap in it.
    ConfigError
        Some values are no strings; it names them along with all other bad keys.

    Examples
    --------
    >>> read_config_map('{kind: ConfigMap, data: {stable-window: 2m}}')
    {'stable-window': '2m'}
    """
    found = find_config_maps(text, [NAME])
    if NAME not in found.maps:
        raise DocumentError(f"no ConfigMap {NAME}: found {found.content}")
    twice = _more_than_one(NAME)
    if twice in found.problems:
        raise DocumentError(f"{twice}: found {found.content}")
    return read_strings(NAME, AutoscalerConfig, found.maps[NAME])


def find_config_maps(text: str | bytes, names: Collection[str]) -> Found:
    """Find the ConfigMaps of some names; one without a name is `config-autoscaler`.

    Raises
    ------
    DocumentError
        No YAML.
    """
    documents = load(text)
    others, problems, maps = [], [], []
    for document in documents:
        try:
            maps += _config_maps(document)
        except DocumentError as error:
            problems.append(str(error))
        if document.is_object and document.kind not in ("ConfigMap", "KnativeServing"):
            others.append(str(document))
    others += [f"ConfigMap {name}" for name, _ in maps if name in _OTHERS and name not in names]
    counts = Counter(name for name, _ in maps if name in names)
    problems += [_unknown(name, names) for name, _ in maps if name not in names and name not in _OTHERS]
    problems += [_more_than_one(name) for name, count in counts.items() if count > 1]
    return Found(
        {name: data for name, data in maps if name in names},
        tuple(others),
        tuple(problems),
        ", ".join(map(str, documents)) or "nothing",
    )


def read_strings(name: str, reader: type[Config], data: Any) -> dict[str, str]:
    """Keys and texts of a ConfigMap; no data are no keys.

    Raises
    ------
    DocumentError
        The data are no mapping.
    ConfigError
        Some values are no strings; it names them along with all other bad keys.
    """
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise DocumentError(f"data of ConfigMap {name} must be keys with strings: found {describe(data)}")
    strings = {key: value for key, value in data.items() if isinstance(key, str) and isinstance(value, str)}
    no_strings = [_no_string(key, value) for key, value in data.items() if key not in strings]
    if no_strings:
        raise ConfigError(no_strings + _problems(reader, strings))
    return strings


def _config_maps(document: Document) -> list[tuple[str, Any]]:
    """Return names and data of the ConfigMaps of a document."""
    if document.kind == "ConfigMap":
        return [(document.name or NAME, document.body.get("data"))]
    if not document.is_object:
        raise DocumentError(f"{document}: must be a ConfigMap, a List of ConfigMaps, or a KnativeServing")
    if document.kind != "KnativeServing":
        return []
    spec = document.body.get("spec")
    config = spec.get("config") if isinstance(spec, Mapping) else None
    if not isinstance(config, Mapping | None):
        raise DocumentError(f"{document}: spec.config must be names of ConfigMaps: found {describe(config)}")
    return [(_PREFIX + written(key).removeprefix(_PREFIX), data) for key, data in (config or {}).items()]


def _unknown(name: str, names: Collection[str]) -> str:
    similar = nearest(name, names)
    hint = f"; did you mean {similar}?" if similar else f"; kpa reads {', '.join(names)}"
    return f"ConfigMap {name}: unknown{hint}"


def _more_than_one(name: str) -> str:
    return f"more than one ConfigMap {name}"


def _no_string(key: Any, value: Any) -> Problem:
    if not isinstance(key, str):
        return Problem(written(key), written(value), "under a key that is a string: put the key in quotes")
    hint = "" if isinstance(value, dict | list | set) else ": put it in quotes"
    return Problem(key, written(value), f"a string, not {describe(value)}{hint}")


def _problems(reader: type[Config], data: Mapping[str, str]) -> list[Problem]:
    try:
        reader.from_config_map(data)
    except ConfigError as error:
        return list(error.problems)
    return []
