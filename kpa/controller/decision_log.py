"""One log line for each changed decision, with every number that led to it."""

import logging
from typing import Any

from kpa.controller.status import RevisionStatus


def decision_fields(old: RevisionStatus | None, new: RevisionStatus) -> dict[str, Any]:
    """Every number that led to a changed decision; empty if it is the same as before.

    A decision changes with its recommended or requested pods, its mode or its activity. Without an `old` one,
    all values before are unknown.
    """
    if old is not None and old.decision == new.decision:
        return {}
    return _fields(old, new)


def _fields(old: RevisionStatus | None, new: RevisionStatus) -> dict[str, Any]:
    return {
        "namespace": new.key.namespace,
        "name": new.key.name,
        "recommended_before": old.recommended if old else -1,
        "recommended": new.recommended,
        "requested_before": old.requested if old else -1,
        "requested": new.requested,
        "replicas": new.replicas,
        "ready": new.ready,
        "metric": new.metric,
        "stable": new.stable,
        "panic": new.panic,
        "target": new.target,
        "total": new.total,
        "excess_burst_capacity": new.excess_burst_capacity,
        "mode": new.mode,
        "activity": new.activity,
        "rule": str(new.rule),
        "min_scale": new.min_scale,
        "max_scale": new.max_scale,
    }


def log_decision(
    logger: logging.Logger,
    old: RevisionStatus | None,
    new: RevisionStatus,
    scaled: tuple[int, int] | None = None,
) -> None:
    """Log one line if the decision has changed or replicas were asked for.

    Parameters
    ----------
    logger : Logger
    old : RevisionStatus or None
        The status that was logged last.
    new : RevisionStatus
    scaled : tuple of int, optional
        Replicas before, and those asked for now. One line says both this and the decision that led to it.
    """
    if scaled is not None:
        logger.info("scaled from %d to %d", *scaled, extra={"fields": _fields(old, new)})
    elif fields := decision_fields(old, new):
        before, after = fields["recommended_before"], fields["recommended"]
        change = f"recommended {before} -> {after}" if before != after else f"recommended {after}"
        logger.info(change, extra={"fields": fields})
