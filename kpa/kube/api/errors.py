"""What can go wrong between us and an API server.

KubeError               the API server refused, or gave no answer
├── Unreachable         no answer: refused, cut, TLS, or the deadline passed
│   └── StreamCut       a stream that had begun broke off
├── Invalid             400, 422: it does not accept the object
├── Unauthorized        401, with credentials that were read anew
├── Forbidden           403: a verb that our role lacks
├── NotFound            404
├── Conflict            409: the object changed since it was read
│   └── AlreadyExists   409 on create
├── Gone                410: the resource version is too old (or of another life of the store); list again
├── TooManyRequests     429: API priority and fairness, or storage that starts
└── ServerError         5xx
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson


class KubeError(Exception):
    """An API server refused a request or gave no answer.

    Attributes
    ----------
    message : str
        What was asked, and what the server said.
    status : int
        HTTP status; 0 without an answer.
    reason : str
        Of the Status object, such as `Expired`; may be empty.
    retry_after : float or None
        Seconds that the server asks us to wait.
    said : str
        The server's own words.
    """

    def __init__(
        self,
        message: str,
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
        said: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.said = said or message
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """The same request may well succeed later."""
        return False


class Unreachable(KubeError):
    """There was no answer."""

    @property
    def transient(self) -> bool:
        """Always: servers restart."""
        return True


class StreamCut(Unreachable):
    """A stream broke off that had begun."""


class Invalid(KubeError):
    """The server does not accept the object or the request."""


class Unauthorized(KubeError):
    """The server does not take our credentials, not even after they were read anew."""


class Forbidden(KubeError):
    """Our role lacks the verb."""


class NotFound(KubeError):
    """There is no such object, or no such resource."""


class Conflict(KubeError):
    """The object changed since it was read."""


class AlreadyExists(Conflict):
    """There is an object of this name."""


class Gone(KubeError):
    """The resource version can no longer be followed; a list gives a new one."""


class TooManyRequests(KubeError):
    """The server is busy or starts; `retry_after` says when it wants to be asked again."""

    @property
    def transient(self) -> bool:
        """Always: the request was not looked at."""
        return True


class ServerError(KubeError):
    """The server failed."""

    @property
    def transient(self) -> bool:
        """It said so, by 502, 503, 504 or Retry-After; a plain 500 may be an admission webhook's verdict."""
        return self.status != 500 or self.retry_after is not None


_BY_STATUS: Mapping[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


@contextmanager
def while_doing(*steps: str) -> Iterator[None]:
    """Note on an error which steps it ended, the outermost first."""
    try:
        yield
    except KubeError as error:
        for step in steps:
            error.add_note(step)
        raise


def explain(error: Exception) -> str:
    """Return which steps an error ended, and why in the server's words.

    Examples
    --------
    >>> try:
    ...     with while_doing("error reconciling SKS", "error updating SKS cart"):
    ...         raise Forbidden("update cart: may not (403)", said="may not")
    ... except KubeError as error:
    ...     explain(error)
    'error reconciling SKS: error updating SKS cart: may not'
    """
    said = error.said if isinstance(error, KubeError) else str(error)
    return ": ".join([*getattr(error, "__notes__", ()), said])


def error_from_status(what: str, status: Mapping[str, Any], retry_after: float | None = None) -> KubeError:
    """Make an error of a Status object (apimachinery meta/v1).

    Parameters
    ----------
    what : str
        Verb, resource and name; begins the message.
    status : Mapping
        `code`, `reason`, `message`, `details`, any of them missing.
    retry_after : float, optional
        Seconds, of the header; else `details.retryAfterSeconds`.
    """
    code, reason = int(status.get("code") or 0), str(status.get("reason") or "")
    details = status.get("details") or {}
    kind = _BY_STATUS.get(code, ServerError if code >= 500 else KubeError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    elif reason in ("Expired", "Gone") or _is_of_the_future(details):
        kind = Gone
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    said = str(status.get("message") or reason or "no reason given")
    return kind(f"{what}: {said} ({code})", code, reason, retry_after, said)


def error_from_answer(what: str, code: int, body: bytes, retry_after: str | None) -> KubeError:
    """Make an error of an HTTP answer, whose body is a Status object or anything (of a proxy, say)."""
    try:
        status = orjson.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body[:200].decode(errors="replace").strip()}
    return error_from_status(what, {**status, "code": code}, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header; API servers send whole seconds."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def _is_of_the_future(details: Mapping[str, Any]) -> bool:
    """Tell whether our resource version is larger than the server's: its store was restored from a backup."""
    return any(cause.get("reason") == "ResourceVersionTooLarge" for cause in details.get("causes") or ())
