"""Times and owners, as objects of the Kubernetes API write them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import Any

import orjson

from metrics.key import Key

Json = Mapping[str, Any]
"""An object as the API sends it."""


def to_time(seconds: float) -> str:
    """Return a time as most fields of the API hold it: RFC 3339, UTC, whole seconds, rounded down.

    Parameters
    ----------
    seconds : float
        Unix seconds.

    Examples
    --------
    >>> to_time(1_700_000_000.9)
    '2023-11-14T22:13:20Z'
    """
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_time(text: object) -> float | None:
    """Return the Unix seconds of an RFC 3339 text, or None.

    Some kinds accept any text as a time; what is not a time gives None, so that one bad object does not block
    others.

    Examples
    --------
    >>> from_time("2023-11-14T22:13:20Z"), from_time("2023-11-14T23:13:20+01:00"), from_time("soon")
    (1700000000.0, 1700000000.0, None)
    """
    if not isinstance(text, str):
        return None
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def key_of(body: Json) -> Key:
    """Return namespace and name of an object; the namespace of a cluster-wide one is empty.

    Repeated calls for one object return the same key, so that a cache and its values share it.
    """
    return _key(body["metadata"].get("namespace", ""), body["metadata"]["name"])


@lru_cache(1)
def _key(namespace: str, name: str) -> Key:
    return Key(intern(namespace), name)


def controller_uid(body: Json) -> str:
    """Return the uid of the owner that controls an object; empty if there is none."""
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


def controller_reference(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    """Return the reference by which an owner controls a resource: deleting the owner deletes it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def packed_metadata(body: Json) -> str:
    """Return an object's metadata as compact text, so that the object can be written back.

    Contains all but `managedFields`, which are the larger part and which the API server maintains itself.
    """
    kept = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return orjson.dumps(kept).decode()


def unpacked_metadata(text: str) -> dict[str, Any]:
    """Return what `packed_metadata` packed."""
    metadata: dict[str, Any] = orjson.loads(text)
    return metadata
