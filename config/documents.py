"""Documents of a YAML text, and words for the values in them."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import yaml

from config.problems import DocumentError


class Document(NamedTuple):
    """One document.

    Attributes
    ----------
    kind : str
        Of an object; of any other value what it is, such as "a list".
    name : str
        `metadata.name`; empty if there is none.
    body : mapping, or any other value
    """

    kind: str
    name: str
    body: Any

    @property
    def is_object(self) -> bool:
        """A mapping with a kind, as all objects of Kubernetes are."""
        return isinstance(self.body, Mapping) and self.body.get("kind") == self.kind

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


def load(text: str | bytes) -> list[Document]:
    """Read a YAML text; the items of a `kind: List` count as documents, empty documents do not count.

    Raises
    ------
    DocumentError
        No YAML.
    """
    return [
        Document(_kind(each), _name(each), each)
        for body in _bodies(text)
        for each in (_items(body) if _kind(body) == "List" else [body])
    ]


def written(value: Any) -> str:
    """Return a short text of a YAML value, without the items of a collection, which may contain itself."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return describe(value) if isinstance(value, list | dict | set) else str(value)


def describe(value: Any) -> str:
    """Say what a YAML value is, without its content."""
    return _NOUNS.get(type(value), f"a {type(value).__name__}")


class _Loader(yaml.SafeLoader):
    """Rejects a key that a mapping has twice, as Kubernetes does; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def _bodies(text: str | bytes) -> list[Any]:
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


def _items(body: Mapping[Any, Any]) -> list[Any]:
    items = body.get("items")
    return [each for each in items if each is not None] if isinstance(items, list) else []


def _kind(body: Any) -> str:
    if not isinstance(body, Mapping):
        return describe(body)
    kind = body.get("kind")
    return kind if isinstance(kind, str) and kind else "a document without kind"


def _name(body: Any) -> str:
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return "" if name is None else written(name)


_NOUNS = {
    dict: "a mapping",
    list: "a list",
    set: "a set",
    str: "a text",
    bool: "a bool",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
