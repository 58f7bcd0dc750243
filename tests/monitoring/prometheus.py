"""A real Prometheus in a folder of its own, and what our manifests give it."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.servers import Port

MANIFESTS = Path(__file__).parents[2] / "config" / "manifests" / "monitoring"
DEADLINE = 90.0
"""Seconds until an answer counts as never coming; a rate needs two scrapes, a subquery some seconds."""


def rules() -> dict[str, Any]:
    """The rules file that the operator makes of our PrometheusRule."""
    spec: dict[str, Any] = yaml.safe_load((MANIFESTS / "rules.yaml").read_text())["spec"]
    return spec


class Prometheus:
    """Scrapes one kpa every second, with our rules."""

    def __init__(self, folder: Path, telemetry_port: int) -> None:
        self._held = Port()
        self.port = self._held.number
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
        target = {"job_name": "autoscaler", "static_configs": [{"targets": [f"127.0.0.1:{telemetry_port}"]}]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [target],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an API answer.

        An error of the query is an AssertionError; 503, while Prometheus starts, is an OSError.
        """
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise  # it is still starting
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def wait_for(self, expression: str) -> list[Any]:
        """Return what a query finds, once it finds something."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                found: list[Any] = self.ask("query", query=expression)["result"]
            except OSError:
                found = []
            if found:
                return found
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"never found anything: {expression}"
            time.sleep(0.2)


def dashboards() -> dict[str, dict[str, Any]]:
    """Our Grafana dashboards by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(MANIFESTS.glob("dashboards/*.json"))}


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Title of the panel and expression of each query."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
