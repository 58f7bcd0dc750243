"""Revisions' states for tests: one with everything spelled out, and any at all."""

from dataclasses import replace
from typing import Any, get_args

from hypothesis import strategies as st

from config.provenance import SettingSource
from kpa.controller.explain import Explanation, PastDecision, Step
from kpa.controller.status import Activity, Comparison, Mode, NextEvent, RevisionStatus
from metrics.key import Key

SAMPLE = RevisionStatus(
    key=Key("shop", "cart-00002"),
    service="cart",
    configuration="cart-config",
    metric="concurrency",
    recommended=5,
    requested=4,
    replicas=3,
    ready=2,
    not_ready=6,
    pending=1,
    terminating=7,
    stable=12.5,
    panic=40.25,
    target=7.0,
    total=10.0,
    excess_burst_capacity=-231.25,
    panicking=True,
    mode="panic",
    activity="active",
    min_scale=0,
    max_scale=9,
    next_event=NextEvent("scale to zero", 1350.0),
)


def sample(**changes: Any) -> RevisionStatus:
    return replace(SAMPLE, **changes)


def named(name: str, **changes: Any) -> RevisionStatus:
    return sample(key=Key("shop", name), **changes)


def explained(status: RevisionStatus) -> Explanation:
    """An explanation of a status, with something of everything."""
    return Explanation(
        status=status,
        time=1000.0,
        decided_at=999.0,
        summary=f"2 pods, 1 ready: said of {status.key}",
        steps=(Step("load", "8 [requests] in flight", 1), Step("min-scale", "min-scale 2 is the least", 2)),
        next="nothing until the load changes",
        past=(PastDecision(940.0, 1, -1, 1, None, 0.5, "stable", "load"),),
        settings=(SettingSource("min-scale", "2", "annotation autoscaling.knative.dev/min-scale"),),
    )


_counts = st.integers(0, 10_000)
_loads = st.floats(0, 1e9)
_names = st.text(max_size=20)
_pods = st.none() | _counts

revision_statuses = st.builds(
    RevisionStatus,
    key=st.builds(Key, _names, _names),
    service=_names,
    configuration=_names,
    metric=st.sampled_from(["concurrency", "rps"]),
    recommended=st.integers(-1, 10_000),
    requested=st.integers(-1, 10_000),
    replicas=_counts,
    ready=_counts,
    not_ready=_counts,
    pending=_counts,
    terminating=_counts,
    stable=st.none() | _loads,
    panic=st.none() | _loads,
    target=_loads,
    total=_loads,
    excess_burst_capacity=st.floats(-1e9, 1e9),
    panicking=st.booleans(),
    mode=st.sampled_from(get_args(Mode)),
    activity=st.sampled_from(get_args(Activity)),
    min_scale=_counts,
    max_scale=_counts,
    next_event=st.none() | st.builds(NextEvent, _names, st.floats(0, 1e10)),
    comparison=st.none()
    | st.builds(Comparison, _pods, _pods, st.none() | _loads, _loads, _loads, _loads, _loads),
)
