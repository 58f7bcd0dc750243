"""Loads and scenarios that tests of the simulator share."""

from typing import Any

from config.autoscaler import AutoscalerConfig
from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load, Reading, read_load
from kpa.simulate.scenario import Scenario

KNATIVE = {"defaults": "knative", "allow-zero-initial-scale": "true"}


def phases(text: str, service: TimeDistribution | None = None, seed: int = 1, even: bool = False) -> Load:
    """A load of phases; half a second of work a request."""
    return read_load(text, Reading(service=service or TimeDistribution(0.5), even=even), seed)


def scenario(
    settings: dict[str, str] | None = None, annotations: dict[str, object] | None = None, **values: Any
) -> Scenario:
    """A scenario with Knative's defaults and some others; annotations without prefix."""
    return Scenario(
        config=AutoscalerConfig.from_config_map(KNATIVE | (settings or {})),
        annotations={
            f"autoscaling.knative.dev/{key}": str(text) for key, text in (annotations or {}).items()
        },
        **{"container_concurrency": 5, "start_up": TimeDistribution(2.0), "drain": 1.0, **values},
    )
