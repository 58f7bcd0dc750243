"""Reading of untyped manifests: each value is checked where it is read, and unread keys can be named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """One value that cannot be used; prints as a line for the user."""

    file: str
    document: int
    path: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}, document {self.document}" if self.document else self.file
        return f"{place}: {self.path + ': ' if self.path else ''}{self.what}"


class DocumentsError(ValueError):
    """Manifests that cannot be used; `problems` names every reason at once."""

    def __init__(self, problems: tuple[ManifestProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class Report:
    """What reading one document found: problems, and paths that a process cannot honour."""

    file: str
    document: int
    problems: list[ManifestProblem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def refuse(self, path: str, value: object, allowed: str) -> None:
        """Note that a value is not allowed at a path, and what is."""
        self.say(path, f"{shown(value)} is not allowed; allowed: {allowed}")

    def say(self, path: str, what: str) -> None:
        """Note a problem in own words."""
        self.problems.append(ManifestProblem(self.file, self.document, path, what))


def shown(value: object) -> str:
    """Write a value for a message: as JSON-like text, cut at 60 characters."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Fields:
    """A mapping of a manifest at a path; remembers which of its keys were read."""

    def __init__(self, data: Mapping[str, Any], path: str, report: Report) -> None:
        self._data = data
        self._read: set[str] = set()
        self.path = path
        self.report = report

    def at(self, key: str) -> str:
        """Path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def skip(self, *keys: str) -> None:
        """Count keys as read that change nothing for a process."""
        self._read.update(keys)

    def raw(self, key: str) -> Any:
        """Value of a key as it stands, None if absent."""
        self._read.add(key)
        return self._data.get(key)

    def refuse(self, key: str, allowed: str) -> None:
        """Note that the value of a key is not allowed, and what is."""
        self.report.refuse(self.at(key), self._data.get(key), allowed)

    def text(self, key: str, default: str = "") -> str:
        """Text of a key."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(key, "a text (put it in quotes)")
            return default
        return value

    def whole(self, key: str, least: int = 0) -> int | None:
        """Whole number of at least `least`; None if absent or refused."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.refuse(key, f"a whole number of at least {least}")
            return None
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """List of texts."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(key, "a list of texts (put numbers in quotes)")
            return ()
        return tuple(value)

    def text_map(self, key: str) -> dict[str, str]:
        """Mapping of text to text; each bad value is refused by its own path and left out."""
        section = self.section(key)
        if section is None:
            return {}
        texts = {name: section.text(name) for name in section}
        return {name: text for name, text in texts.items() if isinstance(section.raw(name), str)}

    def section(self, key: str) -> "Fields | None":
        """Mapping below a key; None if absent or refused."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(key, "a mapping")
            return None
        return Fields(value, self.at(key), self.report)

    def sections(self, key: str) -> "list[Fields]":
        """List of mappings below a key."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(key, "a list of mappings")
            return []
        return [Fields(item, f"{self.at(key)}[{number}]", self.report) for number, item in enumerate(value)]

    def ignore_unread(self) -> None:
        """Name every unread key as something that a process cannot honour."""
        self.report.ignored += [self.at(key) for key in self._data if key not in self._read]

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in self._data if isinstance(key, str)])
