"""Errors of requests to an API server.

KubeError               the API server refused, or did not respond
├── Unreachable         no response: connection refused, cut, TLS, or the deadline passed
│   └── StreamCut       a stream broke off after it had begun
├── Invalid             400, 422: the object is not accepted
├── Unauthorized        401, after the credentials were reloaded
├── Forbidden           403: a verb that our role lacks
├── NotFound            404
├── Conflict            409: the object changed since it was read
│   └── AlreadyExists   409 on create
├── Gone                410: the resource version is too old (or newer than a restored store); list again
├── TooManyRequests     429: API priority and fairness, or storage that is starting
└── ServerError         5xx
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson


class KubeError(Exception):
    """An API server refused a request or did not respond.

    Attributes
    ----------
    message : str
        The request, and the message of the server.
    status : int
        HTTP status; 0 without a response.
    reason : str
        Of the Status object, such as `Expired`; may be empty.
    retry_after : float or None
        Seconds that the server asks us to wait.
    said : str
        The message of the server alone.
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
        """The same request may succeed later."""
        return False


class Unreachable(KubeError):
    """There was no response."""

    @property
    def transient(self) -> bool:
        """Always: servers restart."""
        return True


class StreamCut(Unreachable):
    """A stream broke off after it had begun."""


class Invalid(KubeError):
    """The server does not accept the object or the request."""


class Unauthorized(KubeError):
    """The server refuses our credentials, even after they were reloaded."""


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
    """The server is busy or starting; `retry_after` says when to retry."""

    @property
    def transient(self) -> bool:
        """Always: the request was not processed."""
        return True


class ServerError(KubeError):
    """The server failed."""

    @property
    def transient(self) -> bool:
        """True for 502, 503, 504 or with Retry-After; a plain 500 may come from an admission webhook."""
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
    """Add the steps to an error that ends them, the outermost first."""
    try:
        yield
    except KubeError as error:
        for step in steps:
            error.add_note(step)
        raise


def explain(error: Exception) -> str:
    """Return the steps that an error ended, and the message of the server.

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
    """Return the error for a Status object (apimachinery meta/v1).

    Parameters
    ----------
    what : str
        Verb, resource and name; begins the message.
    status : Mapping
        `code`, `reason`, `message`, `details`, any of them missing.
    retry_after : float, optional
        Seconds, from the header; without it, `details.retryAfterSeconds`.
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
    """Return the error for an HTTP response; its body is a Status object, or any text, such as a proxy's."""
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
    """Return whether our resource version is larger than the server's, whose store was restored."""
    return any(cause.get("reason") == "ResourceVersionTooLarge" for cause in details.get("causes") or ())
