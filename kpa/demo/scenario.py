"""What the demonstration runs: the sample service, its bounds and the time-scaled settings."""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

MODEL = "kpa.demo.model_server"
"""Module of the sample model."""


@dataclass(frozen=True, slots=True)
class DemoScenario:
    """One service and the settings it is scaled by; seconds, requests, fractions, replicas.

    The windows are about a quarter of Knative's, so that a few minutes show what otherwise takes ten. The
    panic window is longer in proportion: 10 % of 15 s would be two seconds, one late scrape of noise.
    """

    service: str = "model"
    load_seconds: float = 2.0
    container_concurrency: int = 5
    target_utilization: float = 0.7
    max_scale: int = 8
    stable_window: int = 15
    panic_window: int = 3
    grace_period: int = 4
    pod_retention: int = 4
    tick_interval: int = 1
    rate_period: int = 4

    @property
    def host(self) -> str:
        """The Host header that reaches the service."""
        return f"{self.service}.localhost"

    @property
    def to_zero_seconds(self) -> float:
        """Seconds from the last answer to zero replicas, by the rules."""
        return self.stable_window + max(self.grace_period, self.pod_retention)

    def statement(self) -> list[str]:
        """Say on screen what runs, and which settings differ from production."""
        return [
            f"time-scaled (Knative): stable window {self.stable_window}s (60s), "
            f"panic window {self.panic_window}s (6s),",
            f"grace {self.grace_period}s (30s), retention {self.pod_retention}s (0s), "
            f"tick {self.tick_interval}s (2s); a replica loads for {self.load_seconds:g}s",
        ]

    def config_map(self) -> dict[str, object]:
        """Make the ConfigMap with the settings."""
        data = {
            "stable-window": f"{self.stable_window}s",
            "panic-window-percentage": f"{100 * self.panic_window / self.stable_window:g}",
            "panic-threshold-percentage": "200",
            "container-concurrency-target-percentage": f"{100 * self.target_utilization:g}",
            "max-scale-up-rate": "1000",
            "max-scale-down-rate": "2",
            "scale-rate-period": f"{self.rate_period}s",
            "scale-down-delay": "0s",
            "scale-to-zero-grace-period": f"{self.grace_period}s",
            "scale-to-zero-pod-retention-period": f"{self.pod_retention}s",
            "allow-zero-initial-scale": "true",
            "tick-interval": f"{self.tick_interval}s",
        }
        metadata = {"name": "config-autoscaler", "namespace": "knative-serving"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    def manifest(self) -> dict[str, object]:
        """Make the Knative Service of the sample model."""
        container = {
            "command": [sys.executable, "-m", MODEL],
            "env": [{"name": "LOAD_SECONDS", "value": f"{self.load_seconds:g}"}],
            "readinessProbe": {"httpGet": {"path": "/healthz"}},
        }
        bounds = {
            "autoscaling.knative.dev/initial-scale": "0",
            "autoscaling.knative.dev/min-scale": "0",
            "autoscaling.knative.dev/max-scale": str(self.max_scale),
        }
        template = {
            "metadata": {"annotations": bounds},
            "spec": {"containerConcurrency": self.container_concurrency, "containers": [container]},
        }
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": self.service},
            "spec": {"template": template},
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both documents into a folder; return the paths of manifest and ConfigMap."""
        manifest, config = folder / "model.yaml", folder / "config-autoscaler.yaml"
        manifest.write_text(yaml.safe_dump(self.manifest(), sort_keys=False), encoding="utf-8")
        config.write_text(yaml.safe_dump(self.config_map(), sort_keys=False), encoding="utf-8")
        return manifest, config
