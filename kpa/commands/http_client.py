"""HTTP client of the commands: requests to a running kpa."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from kpa.controller.explain import Explanation
    from kpa.web.api.api import FleetResponse

URL = "http://127.0.0.1:9090"
TIMEOUT = 5.0  # seconds
MOST_BYTES = 65_536  # of an error response
NO_ANSWER = 2  # exit code

_T = TypeVar("_T")


class NoAnswer(Exception):
    """No kpa answers at a URL, or it has no such revision; the message is one line."""


def fetch(url: str) -> "FleetResponse":
    """Read all revisions from a running kpa.

    Raises
    ------
    NoAnswer
        Nothing answers, or something that is not kpa.
    """
    from kpa.web.api.api import fleet_from_json

    return _ask(url, "/api/revisions", fleet_from_json)


def fetch_explanation(url: str, name: str) -> "Explanation":
    """Read why a revision has its pods.

    Parameters
    ----------
    url : str
    name : str
        `NAMESPACE/NAME`, or `NAME` alone if one namespace only has it; of a revision or of its service, of
        which the last revision in order of name is meant.

    Raises
    ------
    NoAnswer
        As `fetch`; or there is no such revision, or more than one.
    """
    import json

    from kpa.web.api.api import explanation_from_json

    path = f"/api/explain?name={urllib.parse.quote(name, safe='')}"
    return _ask(url, path, lambda body: explanation_from_json(json.loads(body)))


def _ask(url: str, path: str, read: Callable[[bytes], _T]) -> _T:
    try:
        return read(_get(url, path))
    except ValueError as error:
        raise NoAnswer(f"{url} is not a kpa: {error}") from error


def _get(url: str, path: str) -> bytes:
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # no proxy: a proxy cannot reach this machine
    try:
        with direct.open(f"{url.rstrip('/')}{path}", timeout=TIMEOUT) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        raise NoAnswer(_refusal(url, error)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(
            f"nothing answers at {url} ({reason}); is kpa running, or is it elsewhere (--url)?"
        ) from error


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    """Say what an error response means: a name that kpa refuses (404 and 409), or another server."""
    import json

    with error:
        try:
            refused = str(json.loads(error.read(MOST_BYTES))["error"]) if error.code in (404, 409) else ""
        except (ValueError, KeyError, TypeError, OSError):
            refused = ""
    if not refused:
        return f"{url} is not a kpa: it answers {error.code} {error.reason}"
    return f"{refused} at {url}; kpa status lists them" if error.code == 404 else refused
