"""Errors in settings: which text is wrong, and what it may be.

ConfigError
    Settings cannot be used.
└ DocumentError
    The document that should hold them cannot be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

_SHOWN = 80  # characters of a bad text that a message repeats


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
    """A key that nothing reads: harmless, and most often a typing error.

    Attributes
    ----------
    key, value : str
        As the operator wrote them.
    nearest : str or None
        The most similar known key.
    """

    key: str
    value: str
    nearest: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.key} = {_shown(self.value)}: unknown key, ignored{hint}"


class ConfigError(Exception):
    """Settings cannot be used; the error has every reason.

    Attributes
    ----------
    problems : tuple of Problem
        In the order in which the keys are documented.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class DocumentError(ConfigError):
    """A text without settings; the message is the reason, and there are no problems of keys."""

    def __init__(self, reason: str) -> None:
        super().__init__(())
        self.args = (reason,)


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Return the known key that is most similar to a key, if any is similar.

    Examples
    --------
    >>> nearest("stable-windw", ["scale-down-delay", "stable-window"])
    'stable-window'
    """
    return next(iter(get_close_matches(key, list(known), n=1)), None)


def _shown(value: str) -> str:
    """Quote a text in one line, cut to `_SHOWN` characters."""
    return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")
