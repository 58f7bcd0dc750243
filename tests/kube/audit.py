"""What the autoscaler asked of the API server, from the server's own audit log."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CONTROLLER = "system:serviceaccount:knative-serving:controller"
SHADOW = "system:serviceaccount:knative-serving:kpa-shadow"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [CONTROLLER, SHADOW]}, {"level": "None"}],
}
READING = {"get", "list", "watch"}


class Request(NamedTuple):
    """One request of the autoscaler, or of its shadow.

    Attributes
    ----------
    verb : str
        As RBAC names it: get, list, watch, create, update, patch, delete, deletecollection.
    group, resource : str
        API group ("" for the core) and plural, with the subresource: `podautoscalers/status`.
    namespace, name : str
        Empty where the request is about more than one.
    status : int
        HTTP status.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    status: int

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.verb not in READING


Requests = Callable[[], Sequence[Request]]


def read_log(file: Path, offset: int = 0) -> list[Request]:
    """Read requests for resources from an audit log, in order, each once; `offset` is in bytes."""
    with file.open("rb") as log:
        log.seek(offset)
        lines = [line for line in log if line.endswith(b"\n")]
    # A watch is logged when it begins and when it ends.
    events = {event["auditID"]: event for event in map(json.loads, lines) if "objectRef" in event}
    return [to_request(event) for event in events.values()]


def to_request(event: dict[str, Any]) -> Request:
    """Read one entry."""
    of = event["objectRef"]
    resource = "/".join(filter(None, [of["resource"], of.get("subresource")]))
    return Request(
        event["verb"],
        of.get("apiGroup", ""),
        resource,
        of.get("namespace", ""),
        of.get("name", ""),
        event["responseStatus"]["code"],
    )
