"""Refusals: which text is wrong, and what it may be.

ConfigError
    Settings cannot be used.
└ DocumentError
    The document that should hold them cannot be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

_SHOWN = 80  # characters of a refused text that a message repeats


@dataclass(frozen=True, slots=True)
class Problem:
    """A text that cannot be used.

    Attributes
    ----------
    key : str
        ConfigMap key or annotation, as the operator wrote it.
    value : str
        The text.
    allowed : str
        What it may be, to be read after "must be".
    """

    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.key} = {_shown(self.value)}: must be {self.allowed}"


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that nothing reads: harmless, and most often a slip of the pen.

    Attributes
    ----------
    key, value : str
        As the operator wrote them.
    nearest : str or None
        The known key that looks most like it.
    """

    key: str
    value: str
    nearest: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.key} = {_shown(self.value)}: unknown key, ignored{hint}"


class ConfigError(Exception):
    """Settings that cannot be used, with every reason at once.

    Attributes
    ----------
    problems : tuple of Problem
        In the order in which the keys are documented.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class DocumentError(ConfigError):
    """A text in which no settings were found, with the reason as its message; it has no problems of keys."""

    def __init__(self, reason: str) -> None:
        super().__init__(())
        self.args = (reason,)


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Known key that looks most like the given one, if any looks like it.

    Examples
    --------
    >>> nearest("stable-windw", ["scale-down-delay", "stable-window"])
    'stable-window'
    """
    return next(iter(get_close_matches(key, list(known), n=1)), None)


def _shown(value: str) -> str:
    """One line, whatever the text holds."""
    return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")
