"""HTTP client of the commands: requests to a running kpa."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from kpa.controller.explain import Explanation
    from kpa.controller.status import RevisionStatus
    from kpa.web.api.api import FleetResponse
    from metrics.key import Key

URL = "http://127.0.0.1:9090"
TIMEOUT = 5.0  # seconds
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

    key = _find(name, fetch(url).revisions, url)
    path = f"/api/revisions/{key.namespace}/{key.name}"
    return _ask(url, path, lambda body: explanation_from_json(json.loads(body)))


def _find(name: str, revisions: "Sequence[RevisionStatus]", url: str) -> "Key":
    namespace, _, last = name.rpartition("/")
    keys = [one.key for one in revisions if one.key.name == last] or sorted(
        one.key for one in revisions if one.service == last
    )
    keys = [key for key in keys if namespace in ("", key.namespace)]
    if not keys:
        raise NoAnswer(f"there is no revision or service {name} at {url}; kpa status lists them")
    namespaces = sorted({key.namespace for key in keys})
    if len(namespaces) > 1:
        raise NoAnswer(f"{name} is in {', '.join(namespaces)}: say NAMESPACE/{last}")
    return keys[-1]


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
        error.close()
        raise NoAnswer(f"{url} is not a kpa: it answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(
            f"nothing answers at {url} ({reason}); is kpa running, or is it elsewhere (--url)?"
        ) from error
