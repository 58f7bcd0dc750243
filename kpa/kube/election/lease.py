"""Builds and reads Lease objects.

Source: `kubernetes/client-go tools/leaderelection`, whose replicas may share our leases.
"""

from datetime import UTC, datetime
from typing import Any

from config.leader_election import Timing

Json = dict[str, Any]

HANDOVER = "kpa.dev/handover"
"""Annotation: the replica that released or gave a lease, and hands its state over to the next holder."""

WANTED_BY = "kpa.dev/wanted-by"
"""Annotation of a held lease: the replica that requests it. Knative's electors ignore it."""

_RELEASED_SECONDS = 1
"""Duration that a released lease is left with, as client-go leaves it."""


def holder_of(lease: Json | None) -> str:
    """Return the holder of a lease; empty if there is none."""
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def duration_of(lease: Json) -> float:
    """Return the seconds that a lease lasts without being renewed."""
    return float(lease["spec"].get("leaseDurationSeconds") or 0)


def annotation(lease: Json | None, name: str) -> str:
    """Return an annotation; empty if there is none."""
    return str(((lease or {}).get("metadata", {}).get("annotations") or {}).get(name, ""))


def claimed(lease: Json | None, name: str, identity: str, timing: Timing) -> Json:
    """Return a lease, or a new one, with us as its holder."""
    spec = dict(lease["spec"]) if lease else {}
    renewal = spec.get("holderIdentity") == identity
    transitions = int(spec.get("leaseTransitions") or 0)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": _noted(lease) if lease else {"name": name},
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": int(timing.lease_duration),
            "acquireTime": spec["acquireTime"] if renewal else _now(),
            "renewTime": _now(),
            "leaseTransitions": transitions if renewal or lease is None else transitions + 1,
        },
    }


def given(lease: Json, heir: str, identity: str, timing: Timing) -> Json:
    """Return a lease of ours with another replica as its holder, or with none without an heir."""
    transitions = int(lease["spec"].get("leaseTransitions") or 0)
    changed = {
        "holderIdentity": heir,
        "leaseDurationSeconds": int(timing.lease_duration) if heir else _RELEASED_SECONDS,
        "acquireTime": _now(),
        "renewTime": _now(),
        "leaseTransitions": transitions + 1 if heir else transitions,
    }
    return lease | {"metadata": _noted(lease, {HANDOVER: identity}), "spec": lease["spec"] | changed}


def requested(lease: Json, identity: str) -> Json:
    """Return a lease of another replica's with the annotation that we request it."""
    return lease | {"metadata": _noted(lease, {WANTED_BY: identity})}


def _noted(lease: Json, notes: dict[str, str] | None = None) -> Json:
    """Return the metadata with these notes and none from before."""
    metadata: Json = lease["metadata"]
    present = metadata.get("annotations") or {}
    kept = {name: present[name] for name in present if name not in (HANDOVER, WANTED_BY)}
    return metadata | {"annotations": kept | (notes or {})}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
