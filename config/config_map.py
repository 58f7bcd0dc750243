"""ConfigMaps in a YAML text: finding them among other documents, and their keys and texts."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import yaml

from config.autoscaler import NAME
from config.problems import ConfigError, DocumentError, Problem
from config.readers import READERS


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
    return read_strings(NAME, find_config_maps(text, [NAME])[NAME])


def find_config_maps(text: str | bytes, names: Sequence[str]) -> dict[str, Mapping[Any, Any]]:
    """Data of the ConfigMaps of some names in a YAML text, by name; one without a name is the autoscaler's.

    Raises
    ------
    DocumentError
        No YAML, none of the ConfigMaps in it, or one of them twice.
    """
    documents = [(_kind(document), _name(document), document) for document in _documents(text)]
    found: dict[str, Mapping[Any, Any]] = {}
    told = ", ".join(f"{kind} {name}" if name else kind for kind, name, _ in documents) or "nothing"
    for kind, written, document in documents:
        name = written or NAME
        if kind != "ConfigMap" or name not in names:
            continue
        if name in found:
            raise DocumentError(f"more than one ConfigMap {name}: found {told}")
        found[name] = _data(name, document)
    if not found:
        raise DocumentError(f"no ConfigMap {' or '.join(names)}: found {told}")
    return found


def read_strings(name: str, data: Mapping[Any, Any]) -> dict[str, str]:
    """Keys and texts of a ConfigMap.

    Raises
    ------
    ConfigError
        Some values are no strings; it names them along with all other bad keys.
    """
    strings = {key: value for key, value in data.items() if isinstance(key, str) and isinstance(value, str)}
    no_strings = [_no_string(key, value) for key, value in data.items() if key not in strings]
    if no_strings:
        raise ConfigError(no_strings + _problems(name, strings))
    return strings


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, as Kubernetes does; by itself the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def _documents(text: str | bytes) -> list[Any]:
    try:
        return [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"not YAML: {place}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that cannot be
        raise DocumentError(f"not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise DocumentError("not YAML for a ConfigMap: nested too deeply") from error


def _data(name: str, config_map: Mapping[Any, Any]) -> Mapping[Any, Any]:
    data = config_map.get("data")
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise DocumentError(f"data of ConfigMap {name} must be keys with strings: found {_sort(data)}")
    return data


def _kind(document: Any) -> str:
    if not isinstance(document, Mapping):
        return _sort(document)
    kind = document.get("kind")
    return kind if isinstance(kind, str) and kind else "a document without kind"


def _name(document: Any) -> str | None:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return None if name is None else _written(name)


def _no_string(key: Any, value: Any) -> Problem:
    if not isinstance(key, str):
        return Problem(_written(key), _written(value), "under a key that is a string: put the key in quotes")
    hint = "" if isinstance(value, dict | list | set) else ": put it in quotes"
    return Problem(key, _written(value), f"a string, not {_sort(value)}{hint}")


def _problems(name: str, data: Mapping[str, str]) -> list[Problem]:
    try:
        READERS[name].from_config_map(data)
    except ConfigError as error:
        return list(error.problems)
    return []


def _written(value: Any) -> str:
    """Short text of a YAML value; what it holds stays out, for that may be large or contain itself."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return _sort(value) if isinstance(value, list | dict | set) else str(value)


def _sort(value: Any) -> str:
    return _SORTS.get(type(value), f"a {type(value).__name__}")


_SORTS = {
    dict: "a mapping",
    list: "a list",
    set: "a set",
    str: "a text",
    bool: "a bool",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
