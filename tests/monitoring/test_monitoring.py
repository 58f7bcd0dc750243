"""Dashboards, rules and alerts work in a real Prometheus that scrapes a running kpa.

Left out: Grafana itself and the operator's kinds; panels are read as files.
"""

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpa.telemetry.series import SERIES
from tests.e2e.running import Kpa, service
from tests.monitoring.prometheus import MANIFESTS, Prometheus, dashboards, queries, rules

pytestmark = [pytest.mark.monitoring, pytest.mark.timeout(300)]

VARIABLES = {
    "$namespace": "default",
    "$service": ".*",
    "$job": ".*",
    "$revision": "model-00001",
    "$price": "0.05",
}


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that scrapes a `kpa local` whose service is under load, so that it scales and panics."""
    folder = tmp_path_factory.mktemp("kpa")
    model = service("model", {"max-scale": 3}, concurrency=1, env={"SERVICE_SECONDS": "0.3"})
    kpa = Kpa(folder, [model], {"tick-interval": "1s"})
    stop = threading.Event()
    try:
        kpa.wait_ready()
        workers = [threading.Thread(target=_load, args=(kpa, stop), daemon=True) for _ in range(6)]
        for worker in workers:
            worker.start()
        found = Prometheus(tmp_path_factory.mktemp("prometheus"), kpa.telemetry_port)
        try:
            found.wait_for('kn_revision_pods_requested{kn_revision_name="model-00001"} > 1')
            yield found
        finally:
            found.close()
            stop.set()
            for worker in workers:
                worker.join(60)
    finally:
        stop.set()
        kpa.end()


def _load(kpa: Kpa, stop: threading.Event) -> None:
    while not stop.is_set():
        kpa.get("model")


@pytest.mark.parametrize("name", dashboards())
def test_every_query_of_a_dashboard_finds_something(prometheus: Prometheus, name: str) -> None:
    for _, expression in queries(dashboards()[name]):
        prometheus.wait_for(filled(expression))


def test_every_variable_of_a_dashboard_has_values(prometheus: Prometheus) -> None:
    for dashboard in dashboards().values():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                series, label = _label_values(filled(variable["query"]["query"]))
                assert any(label in found["metric"] for found in prometheus.wait_for(series)), variable[
                    "name"
                ]


def _label_values(query: str) -> tuple[str, str]:
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    assert found, query
    return found[1], found[2]


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    prometheus.wait_for("kpa:event_loop_lag:p99")
    groups = prometheus.ask("rules")["groups"]
    evaluated = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    named = {rule.get("record") or rule["alert"] for group in rules()["groups"] for rule in group["rules"]}
    assert evaluated == dict.fromkeys(named, "ok")


def test_rules_record_and_alert_as_they_say(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    tests = Path(__file__).with_name("alerts.yaml").read_text()
    (tmp_path / "alerts.yaml").write_text(tests)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_test() -> None:
    told = Path(__file__).with_name("alerts.yaml").read_text()
    named = [rule.get("record") or rule["alert"] for group in rules()["groups"] for rule in group["rules"]]
    missing = [name for name in named if name not in told and name != "kpa:event_loop_lag:p99"]
    assert missing == []


def test_dashboards_show_every_series_of_a_revision() -> None:
    told = " ".join(expression for each in dashboards().values() for _, expression in queries(each))
    assert [series.name for series in SERIES if series.name not in told] == []


def test_kustomize_takes_every_dashboard() -> None:
    kustomization: dict[str, Any] = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    [generator] = kustomization["configMapGenerator"]
    assert sorted(generator["files"]) == [f"dashboards/{name}" for name in dashboards()]
