"""Telemetry: names, types, labels and values of every series, in both text formats.

Covered: the tables of Knative's series, new and old; series that come and go with revisions; our own
counters; odd label values and numbers; content negotiation. Left out: HTTP, which test_server covers; the
values of `process_*` and `python_*`, which prometheus-client makes.
"""

import asyncio
import gzip
import math
import time
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kpa.controller.status import Comparison, RevisionStatus
from kpa.telemetry.telemetry import Telemetry
from metrics.key import Key
from tests.kpa.controller.status_samples import SAMPLE, named, revision_statuses, sample

SCOPE = {
    "otel_scope_name": "knative.dev/serving/pkg/autoscaler",
    "otel_scope_version": "",
    "otel_scope_schema_url": "",
}
LABELS = {
    "k8s_namespace_name": "shop",
    "kn_service_name": "cart",
    "kn_configuration_name": "cart-config",
    "kn_revision_name": "cart-00002",
    **SCOPE,
}
LEGACY_LABELS = {
    "namespace_name": "shop",
    "service_name": "cart",
    "configuration_name": "cart-config",
    "revision_name": "cart-00002",
}
GAUGES = {
    "kn_revision_pods_desired": 5,
    "kn_revision_capacity_excess": -231.25,
    "kn_revision_panic_mode": 1,
    "kn_revision_pods_requested": 4,
    "kn_revision_pods_count": 2,
    "kn_revision_pods_not_ready_count": 6,
    "kn_revision_pods_pending_count": 1,
    "kn_revision_pods_terminating_count": 7,
}
CONCURRENCY = {
    "kn_revision_concurrency_stable": 12.5,
    "kn_revision_concurrency_panic": 40.25,
    "kn_revision_concurrency_target": 7,
}
RPS = {
    "kn_revision_rps_stable_per_second": 12.5,
    "kn_revision_rps_panic_per_second": 40.25,
    "kn_revision_rps_target_per_second": 7,
}
LEGACY_GAUGES = {
    "autoscaler_desired_pods": 5,
    "autoscaler_requested_pods": 4,
    "autoscaler_actual_pods": 2,
    "autoscaler_not_ready_pods": 6,
    "autoscaler_pending_pods": 1,
    "autoscaler_terminating_pods": 7,
    "autoscaler_excess_burst_capacity": -231.25,
    "autoscaler_panic_mode": 1,
}
LEGACY_CONCURRENCY = {
    "autoscaler_stable_request_concurrency": 12.5,
    "autoscaler_panic_request_concurrency": 40.25,
    "autoscaler_target_concurrency_per_pod": 7,
}
LEGACY_RPS = {
    "autoscaler_stable_requests_per_second": 12.5,
    "autoscaler_panic_requests_per_second": 40.25,
    "autoscaler_target_requests_per_second": 7,
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def families(telemetry: Telemetry, *statuses: RevisionStatus) -> dict[str, Metric]:
    text = telemetry.render(statuses).body.decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(found: dict[str, Metric], prefix: str) -> list[Sample]:
    return [one for family in found.values() for one in family.samples if one.name.startswith(prefix)]


def values(rows: Iterable[Sample]) -> dict[str, float]:
    return {one.name: one.value for one in rows}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("concurrency", GAUGES | CONCURRENCY), ("rps", GAUGES | RPS)],
    ids=["concurrency", "rps"],
)
def test_a_revision_has_exactly_the_series_of_its_metric_with_all_labels(
    metric: str, expected: dict[str, float]
) -> None:
    found = families(Telemetry(), sample(metric=metric))
    rows = samples(found, "kn_revision_")
    assert values(rows) == expected
    assert len(rows) == len(expected)
    assert all(one.labels == LABELS for one in rows)
    assert {found[one.name].type for one in rows} == {"gauge"}
    assert samples(found, "autoscaler_") == []


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("concurrency", LEGACY_GAUGES | LEGACY_CONCURRENCY), ("rps", LEGACY_GAUGES | LEGACY_RPS)],
    ids=["concurrency", "rps"],
)
def test_older_names_come_beside_the_new_ones_when_asked_for(metric: str, expected: dict[str, float]) -> None:
    found = families(Telemetry(legacy=True), sample(metric=metric))
    rows = samples(found, "autoscaler_")
    assert values(rows) == expected
    assert all(one.labels == LEGACY_LABELS for one in rows)
    assert {found[one.name].type for one in rows} == {"gauge"}
    assert len(samples(found, "kn_revision_")) == len(GAUGES) + len(CONCURRENCY)


def test_a_service_without_name_is_empty_now_and_was_unknown_then() -> None:
    found = families(Telemetry(legacy=True), sample(service=""))
    assert {one.labels["kn_service_name"] for one in samples(found, "kn_revision_")} == {""}
    assert {one.labels["service_name"] for one in samples(found, "autoscaler_")} == {"unknown"}


def test_what_is_not_known_yet_reads_zero() -> None:
    fresh = sample(recommended=-1, requested=0, replicas=0, stable=None, panic=None, panicking=False)
    found = values(samples(families(Telemetry(), fresh), "kn_revision_"))
    unknown = ("pods_desired", "pods_requested", "concurrency_stable", "concurrency_panic", "panic_mode")
    assert {found[f"kn_revision_{name}"] for name in unknown} == {0}


@pytest.mark.parametrize(
    ("comparison", "difference"),
    [(Comparison(5, 3), 2), (Comparison(0, 3), -3), (Comparison(None, 3), 0), (Comparison(), 0)],
    ids=["more", "fewer", "blind", "nothing known"],
)
def test_a_shadow_tells_how_many_pods_more_it_wants(comparison: Comparison, difference: int) -> None:
    family = families(Telemetry(), sample(comparison=comparison))["kpa_shadow_difference"]
    [(_, labels, value, *_)] = family.samples
    assert (labels, value) == (LABELS, difference)


def test_who_is_in_charge_has_no_shadow() -> None:
    assert "shadow" not in Telemetry().render([sample()]).body.decode()


def test_a_deleted_revision_leaves_no_series() -> None:
    telemetry = Telemetry(legacy=True)
    first, second = named("a", configuration="one"), named("b", configuration="two")
    for status in (first, second):
        telemetry.observe_scrape(status.key, 0.01)
    assert b'"a"' in telemetry.render([first, second]).body
    left = telemetry.render([second]).body
    assert b'"a"' not in left
    assert b'"one"' not in left
    assert b'"b"' in left


def test_scrape_durations_are_counted_by_configuration_in_the_buckets_of_the_peer() -> None:
    telemetry = Telemetry()
    old, new = named("cart-00001"), named("cart-00002")
    for key, seconds in ((old.key, 0.005), (old.key, 0.006), (new.key, 0.6), (new.key, 11.0)):
        telemetry.observe_scrape(key, seconds)
    family = families(telemetry, old, new)["kn_autoscaler_scrape_duration_seconds"]
    assert family.type == "histogram"
    owner = {name: value for name, value in LABELS.items() if name != "kn_revision_name"}
    assert all({**one.labels, "le": ""} == {**owner, "le": ""} for one in family.samples)
    buckets = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
    assert buckets == {
        **{"0.005": 1, "0.01": 2, "0.025": 2, "0.05": 2, "0.075": 2, "0.1": 2, "0.25": 2, "0.5": 2},
        **{"0.75": 3, "1": 3, "2.5": 3, "5": 3, "7.5": 3, "10": 3, "+Inf": 4},
    }
    totals = values(one for one in family.samples if not one.name.endswith("_bucket"))
    name = "kn_autoscaler_scrape_duration_seconds"
    assert totals == {f"{name}_count": 4, f"{name}_sum": pytest.approx(11.611)}


def test_counts_of_a_configuration_never_fall_while_a_revision_of_it_lives() -> None:
    telemetry = Telemetry()
    old, new = named("cart-00001"), named("cart-00002")
    telemetry.observe_scrape(old.key, 0.1)
    telemetry.observe_scrape(new.key, 0.1)
    name = "kn_autoscaler_scrape_duration_seconds"
    for living in ([old, new], [new], [new]):
        assert values(families(telemetry, *living)[name].samples)[f"{name}_count"] == 2
    assert families(telemetry)[name].samples == []
    assert families(telemetry, new)[name].samples == []


def test_older_scrape_times_are_milliseconds_by_revision() -> None:
    telemetry = Telemetry(legacy=True)
    telemetry.observe_scrape(SAMPLE.key, 0.0021)
    telemetry.observe_scrape(Key("shop", "gone"), 1.0)
    family = families(telemetry, SAMPLE)["autoscaler_scrape_time"]
    assert family.type == "histogram"
    buckets = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
    assert [le for le, count in buckets.items() if count == 0] == ["1", "2"]
    bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, math.inf]
    assert [float(le) for le in buckets] == bounds
    totals = [one for one in family.samples if not one.name.endswith("_bucket")]
    assert all(one.labels == LEGACY_LABELS for one in totals)
    assert values(totals) == {
        "autoscaler_scrape_time_count": 1,
        "autoscaler_scrape_time_sum": pytest.approx(2.1),
    }


def test_scrapes_of_a_revision_that_is_not_there_are_not_kept() -> None:
    telemetry = Telemetry()
    telemetry.observe_scrape(Key("shop", "gone"), 0.1)
    telemetry.render([])
    late = named("gone", configuration="late")
    assert families(telemetry, late)["kn_autoscaler_scrape_duration_seconds"].samples == []


def test_our_own_series_count_what_happens() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry=registry)
    read = registry.get_sample_value
    assert (read("kpa_config_valid"), read("kpa_config_problems")) == (1, 0)
    telemetry.set_config_problems(3)
    assert (read("kpa_config_valid"), read("kpa_config_problems")) == (0, 3)
    telemetry.set_config_problems(0)
    assert (read("kpa_config_valid"), read("kpa_config_problems")) == (1, 0)
    telemetry.observe_tick(0.002)
    assert read("kpa_tick_duration_seconds_bucket", {"le": "0.001"}) == 0
    assert read("kpa_tick_duration_seconds_bucket", {"le": "0.0025"}) == 1
    telemetry.count_stats(7)
    assert read("kpa_stats_received_total") == 7
    failures = Counter(timeout=1)
    telemetry.follow("kpa_scrape_failures", "Scrapes of a pod that gave no stat.", failures)
    failures["timeout"] += 1
    assert read("kpa_scrape_failures_total", {"reason": "timeout"}) == 2
    for before, after in ((0, 3), (3, 1), (1, 1), (1, 2)):
        telemetry.count_scale(before, after)
    assert read("kpa_scale_actions_total", {"direction": "up"}) == 2
    assert read("kpa_scale_actions_total", {"direction": "down"}) == 1


async def test_a_blocked_event_loop_shows_as_lag() -> None:
    registry = CollectorRegistry()
    watcher = asyncio.create_task(Telemetry(registry=registry).watch_event_loop(interval=0.01))
    await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251 # the very thing that must not happen
    async with asyncio.timeout(30):
        while not registry.get_sample_value("kpa_event_loop_lag_seconds_count"):  # no event is set
            await asyncio.sleep(0)
    watcher.cancel()
    assert (registry.get_sample_value("kpa_event_loop_lag_seconds_sum") or 0) >= 0.04


def test_the_process_and_the_build_are_described() -> None:
    found = families(Telemetry())
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info"} <= found.keys()
    (build,) = found["kpa_build_info"].samples
    assert set(build.labels) == {"version", "python_version"}
    (target,) = found["target_info"].samples
    assert target.labels["service_name"] == "autoscaler"


def test_no_series_is_called_created() -> None:
    telemetry = Telemetry(legacy=True)
    telemetry.observe_scrape(SAMPLE.key, 0.1)
    telemetry.count_stats(1)
    for accept in ("", OPENMETRICS):
        assert b"_created" not in telemetry.render([SAMPLE], accept).body


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
        (
            f"{OPENMETRICS};escaping=dots,*/*",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "application/openmetrics-text;version=latest",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
    ],
    ids=["nothing", "text", "openmetrics", "dots", "odd version", "utf-8"],
)
def test_the_format_is_what_the_reader_asks_for(accept: str, content_type: str) -> None:
    telemetry = Telemetry(legacy=True)
    telemetry.observe_scrape(SAMPLE.key, 0.1)
    body, got = telemetry.render([SAMPLE], accept)
    assert got == content_type
    text = body.decode()
    if "openmetrics" in content_type:
        parsed = list(openmetrics.text_string_to_metric_families(text))
    else:
        parsed = list(text_string_to_metric_families(text))
    names = {one.name for family in parsed for one in family.samples}
    assert GAUGES.keys() | CONCURRENCY.keys() | LEGACY_GAUGES.keys() <= names


def test_a_compressed_answer_holds_the_same_text() -> None:
    telemetry = Telemetry()
    packed = gzip.decompress(telemetry.render([SAMPLE], compress=True).body)
    plain = telemetry.render([SAMPLE]).body
    assert packed.split(b"# HELP kpa_")[0] == plain.split(b"# HELP kpa_")[0]


def test_bucket_bounds_are_written_as_each_format_wants_them() -> None:
    telemetry = Telemetry()
    telemetry.observe_scrape(SAMPLE.key, 0.1)
    for accept, bound in (("", b'le="1"'), (OPENMETRICS, b'le="1.0"')):
        lines = telemetry.render([SAMPLE], accept).body.splitlines()
        buckets = [line for line in lines if line.startswith(b"kn_autoscaler_scrape_duration_seconds_bucket")]
        assert sum(bound in line for line in buckets) == 1


@given(st.lists(revision_statuses, max_size=5, unique_by=lambda status: status.key), st.booleans())
def test_whatever_the_states_are_both_parsers_read_every_sample(
    statuses: list[RevisionStatus], legacy: bool
) -> None:
    telemetry = Telemetry(legacy=legacy)
    for status in statuses:
        telemetry.observe_scrape(status.key, 0.1)
    names = sorted(status.key.name for status in statuses)
    strict = telemetry.render(statuses, OPENMETRICS).body.decode()
    for parsed in (
        families(telemetry, *statuses).values(),
        openmetrics.text_string_to_metric_families(strict),
    ):
        recommended = next(family for family in parsed if family.name == "kn_revision_pods_desired")
        assert sorted(one.labels["kn_revision_name"] for one in recommended.samples) == names


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
def test_numbers_without_end_are_written_as_prometheus_reads_them(value: float) -> None:
    telemetry, status = Telemetry(), sample(excess_burst_capacity=value)
    got = values(samples(families(telemetry, status), "kn_revision_capacity_excess"))
    assert got == {"kn_revision_capacity_excess": pytest.approx(value, nan_ok=True)}
    list(openmetrics.text_string_to_metric_families(telemetry.render([status], OPENMETRICS).body.decode()))
