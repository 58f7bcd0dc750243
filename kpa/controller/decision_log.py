"""One log line for each changed decision, with every number that led to it."""

import logging
from typing import Any

from kpa.controller.status import RevisionStatus


def decision_fields(old: RevisionStatus | None, new: RevisionStatus) -> dict[str, Any]:
    """Every number that led to a changed decision; empty if it is the same as before.

    A decision is changed when desired, wanted, mode or activity are; without an `old` one, all are unknown.
    """
    if old is not None and old.decision == new.decision:
        return {}
    return {
        "namespace": new.key.namespace,
        "name": new.key.name,
        "desired_before": old.desired if old else -1,
        "desired": new.desired,
        "wanted_before": old.wanted if old else -1,
        "wanted": new.wanted,
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


def log_decision(logger: logging.Logger, old: RevisionStatus | None, new: RevisionStatus) -> None:
    """Log one line if the decision has changed."""
    fields = decision_fields(old, new)
    if fields:
        before, after = fields["desired_before"], fields["desired"]
        change = f"desired {before} -> {after}" if before != after else f"desired {after}"
        logger.info(change, extra={"fields": fields})
