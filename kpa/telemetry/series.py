"""The series that Knative's autoscaler exports for each revision, written as Prometheus text.

Written by hand rather than through a prometheus-client collector: 10,000 revisions are 110,000 samples, which
take the client 1.5 s and this module 0.1 s on one core, in a process that also decides every two seconds.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from kpa.controller.status import RevisionStatus
from kpa.telemetry.scrape_times import Histogram, Owner, ScrapeTimes

Read = Callable[[RevisionStatus], float | None]

SCOPE = "knative.dev/serving/pkg/autoscaler"
SCRAPE_SECONDS = "kn_autoscaler_scrape_duration_seconds"
RULE = "kpa_revision_rule"
LEGACY_SCRAPE_MS = "autoscaler_scrape_time"


class Series(NamedTuple):
    """One gauge of every revision; `read` gives None where the revision has no such series."""

    name: str
    help: str
    read: Read


def _concurrency(read: Read) -> Read:
    """Only revisions that scale on concurrency have the series; a window without data reads 0."""
    return lambda status: (read(status) or 0.0) if status.metric == "concurrency" else None


def _rps(read: Read) -> Read:
    """Only revisions that scale on requests a second have the series; a window without data reads 0."""
    return lambda status: (read(status) or 0.0) if status.metric == "rps" else None


def _table(names: Sequence[str]) -> tuple[Series, ...]:
    """Meaning and value of each series, for one of the two sets of names."""
    meanings: tuple[tuple[str, Read], ...] = (
        ("Pods that the decider wants, before bounds.", lambda status: max(status.recommended, 0)),
        ("Excess burst capacity in requests in flight.", lambda status: status.excess_burst_capacity),
        ("1 in panic mode, else 0.", lambda status: int(status.panicking)),
        ("Requests in flight of the revision, stable window average.", _concurrency(lambda s: s.stable)),
        ("Requests in flight of the revision, panic window average.", _concurrency(lambda s: s.panic)),
        ("Requests in flight that one pod is aimed at.", _concurrency(lambda s: s.target)),
        ("Requests a second of the revision, stable window average.", _rps(lambda s: s.stable)),
        ("Requests a second of the revision, panic window average.", _rps(lambda s: s.panic)),
        ("Requests a second that one pod is aimed at.", _rps(lambda s: s.target)),
        ("Pods asked of the cluster.", lambda status: status.requested),
        ("Ready pods.", lambda status: status.ready),
        ("Pods that are not ready, pending and terminating ones included.", lambda status: status.not_ready),
        ("Pods that are pending.", lambda status: status.pending),
        ("Pods that are terminating.", lambda status: status.terminating),
    )
    return tuple(Series(name, help, read) for name, (help, read) in zip(names, meanings, strict=True))


SERIES = _table(
    (
        "kn_revision_pods_desired",
        "kn_revision_capacity_excess",
        "kn_revision_panic_mode",
        "kn_revision_concurrency_stable",
        "kn_revision_concurrency_panic",
        "kn_revision_concurrency_target",
        "kn_revision_rps_stable_per_second",
        "kn_revision_rps_panic_per_second",
        "kn_revision_rps_target_per_second",
        "kn_revision_pods_requested",
        "kn_revision_pods_count",
        "kn_revision_pods_not_ready_count",
        "kn_revision_pods_pending_count",
        "kn_revision_pods_terminating_count",
    )
)
"""Names since Knative 1.19 (OpenTelemetry). Source: knative/serving pkg/autoscaler/scaling/metrics.go and
pkg/reconciler/autoscaling/kpa/metrics.go."""

LEGACY_SERIES = _table(
    (
        "autoscaler_desired_pods",
        "autoscaler_excess_burst_capacity",
        "autoscaler_panic_mode",
        "autoscaler_stable_request_concurrency",
        "autoscaler_panic_request_concurrency",
        "autoscaler_target_concurrency_per_pod",
        "autoscaler_stable_requests_per_second",
        "autoscaler_panic_requests_per_second",
        "autoscaler_target_requests_per_second",
        "autoscaler_requested_pods",
        "autoscaler_actual_pods",
        "autoscaler_not_ready_pods",
        "autoscaler_pending_pods",
        "autoscaler_terminating_pods",
    )
)
"""Names until Knative 1.18 (OpenCensus), which older dashboards query."""


SHADOW = Series(
    "kpa_shadow_difference",
    "Pods that this autoscaler wants more than the one in charge; 0 while the two cannot be compared.",
    lambda status: None if status.comparison is None else status.comparison.difference,
)
"""Of a shadow only."""


def revision_text(
    statuses: Sequence[RevisionStatus], scrapes: ScrapeTimes, *, legacy: bool, openmetrics: bool
) -> str:
    """Write all series of the revisions.

    Parameters
    ----------
    statuses : sequence of RevisionStatus
    scrapes : ScrapeTimes
    legacy : bool
        Add the names of Knative until 1.18.
    openmetrics : bool
        Write bucket bounds as OpenMetrics wants them (`1.0`), else as Go's exporter does (`1`).

    Returns
    -------
    str
        Lines of the text format 0.0.4, which are the same in OpenMetrics; no `# EOF`.
    """
    scrapes.keep(statuses)
    table = (*SERIES, SHADOW) if any(status.comparison for status in statuses) else SERIES
    own = [_labels(status) for status in statuses]
    lines = [*_gauges(table, statuses, own), *_rules(statuses, own)]
    seconds = ((_configuration_labels(owner), times) for owner, times in scrapes.by_configuration().items())
    lines += _histograms(SCRAPE_SECONDS, "Seconds that scraping a revision took.", seconds, openmetrics)
    if legacy:
        labels = {status.key: _legacy_labels(status) for status in statuses}
        lines += _gauges(LEGACY_SERIES, statuses, [labels[status.key] for status in statuses])
        rows = ((labels[key], times) for key, times in scrapes.by_revision().items() if key in labels)
        lines += _histograms(LEGACY_SCRAPE_MS, "Milliseconds that scraping took.", rows, openmetrics)
    return "".join(lines)


def _gauges(
    table: Sequence[Series], statuses: Sequence[RevisionStatus], labels: Sequence[str]
) -> Iterator[str]:
    for name, help, read in table:
        yield f"# HELP {name} {help}\n# TYPE {name} gauge\n"
        for status, label in zip(statuses, labels, strict=True):
            value = read(status)
            if value is not None:
                yield f"{name}{{{label}}} {_number(value)}\n"


def _rules(statuses: Sequence[RevisionStatus], labels: Sequence[str]) -> Iterator[str]:
    yield f"# HELP {RULE} 1 for the rule that bound the pods requested of a revision.\n# TYPE {RULE} gauge\n"
    for status, label in zip(statuses, labels, strict=True):
        yield f'{RULE}{{{label},rule="{status.rule}"}} 1\n'


def _histograms(
    name: str, help: str, rows: Iterable[tuple[str, Histogram]], openmetrics: bool
) -> Iterator[str]:
    yield f"# HELP {name} {help}\n# TYPE {name} histogram\n"
    write = str if openmetrics else "{:g}".format
    for labels, histogram in rows:
        bounds = [*map(write, histogram.bounds), "+Inf"]
        running = list(accumulate(histogram.counts))
        for bound, count in zip(bounds, running, strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}\n'
        yield f"{name}_count{{{labels}}} {running[-1]}\n{name}_sum{{{labels}}} {_number(histogram.sum)}\n"


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _configuration_labels(owner: Owner) -> str:
    return (
        f'k8s_namespace_name="{_escape(owner.namespace)}",kn_service_name="{_escape(owner.service)}",'
        f'kn_configuration_name="{_escape(owner.configuration)}",'
        f'otel_scope_name="{SCOPE}",otel_scope_version="",otel_scope_schema_url=""'
    )


def _labels(status: RevisionStatus) -> str:
    shared = _configuration_labels(Owner(status.key.namespace, status.service, status.configuration))
    return f'{shared},kn_revision_name="{_escape(status.key.name)}"'


def _legacy_labels(status: RevisionStatus) -> str:
    return (
        f'namespace_name="{_escape(status.key.namespace)}",'
        f'service_name="{_escape(status.service) or "unknown"}",'
        f'configuration_name="{_escape(status.configuration)}",revision_name="{_escape(status.key.name)}"'
    )


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
