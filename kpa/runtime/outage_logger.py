"""One line when an outage begins, one when it ends, none in between."""

import logging
from collections.abc import Mapping


class OutageLogger:
    """Logs the first failure of something that is tried again and again, and its next success.

    Parameters
    ----------
    log : Logger
        Of the module that tries.
    what : str
        Begins both lines, such as `API server`.
    failing, works_again : str
        Complete them.
    level : int
        Of the first line; WARNING, unless the outage is expected. The second line is INFO.

    Examples
    --------
    `OutageLogger(log, "API server")` logs

        WARNING API server unreachable; retrying in 0.2 s: connection refused
        INFO    API server reachable again
    """

    def __init__(
        self,
        log: logging.Logger,
        what: str,
        failing: str = "unreachable",
        works_again: str = "reachable again",
        *,
        level: int = logging.WARNING,
    ) -> None:
        self._log = log
        self._what = what
        self._failing = failing
        self._works_again = works_again
        self._level = level
        self._lasts = False

    @property
    def lasts(self) -> bool:
        """An outage was logged, and its end was not."""
        return self._lasts

    def failed(
        self, reason: object, retry_in: float | None = None, fields: Mapping[str, object] | None = None
    ) -> None:
        """Log a failure if it is the first in a row.

        Parameters
        ----------
        reason : object
            An exception or a text.
        retry_in : float, optional
            Seconds until the next attempt, if it is known.
        fields : Mapping, optional
            Structured fields of the line.
        """
        if self._lasts:
            return
        self._lasts = True
        retry = "" if retry_in is None else f"; retrying in {retry_in:.2g} s"
        self._write(self._level, f"{self._failing}{retry}: {reason}", fields)

    def succeeded(self, fields: Mapping[str, object] | None = None) -> None:
        """Log that an outage is over, if there was one."""
        if self._lasts:
            self._lasts = False
            self._write(logging.INFO, self._works_again, fields)

    def _write(self, level: int, text: str, fields: Mapping[str, object] | None) -> None:
        extra = {"fields": fields} if fields else None
        self._log.log(level, "%s %s", self._what, text, extra=extra, stacklevel=3)  # the caller's line
