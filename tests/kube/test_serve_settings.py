"""`kpa serve` takes its ConfigMaps as they come: live, broken, or not there."""

import asyncio

import pytest

from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube


async def test_nonsense_leaves_the_last_good_settings_in_force(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", {"stable-window": "6s"})
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "1"})
    revision.load(42.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    assert await _window(knative) == 6.0

    await knative.configure("config-autoscaler", {"stable-window": "soon", "max-scale-up-rate": "0.5"})
    await serving.logs("ConfigMap config-autoscaler: ")
    await _series(serving, "kpa_config_valid", 0.0)
    text = serving.log.read_text()
    assert all(word in text for word in ("stable-window", "'soon'", "max-scale-up-rate"))
    assert await _window(knative) == 6.0

    await knative.configure("config-autoscaler", {"stable-window": "12s"})
    await _series(serving, "kpa_config_valid", 1.0)
    await knative.until(lambda: _stable_window(revision.metric) == 12.0, "the new window is in force")


async def test_settings_that_are_not_there_are_the_defaults(knative: Knative, autoscaler: Autoscaler) -> None:
    for name in ("config-autoscaler", "config-deployment", "config-leader-election"):
        await knative.unconfigure(name)
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "2"})
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    assert revision.replicas == 2
    assert (await serving.telemetry())["kpa_config_valid"] == 1.0
    await knative.configure("config-autoscaler", {"stable-window": "8s"})
    await knative.until(lambda: _stable_window(revision.metric) == 8.0, "settings that come are taken")
    await knative.unconfigure("config-autoscaler")
    await asyncio.sleep(1.0)
    assert _stable_window(revision.metric) == 8.0, "a deleted ConfigMap changes nothing"


async def test_a_bad_leader_election_ends_it_with_the_reason(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-leader-election", {"buckets": "many"})
    serving = await autoscaler.start(ready=False)
    assert await serving.process.wait() == 2
    assert "ConfigMap config-leader-election: buckets must be a whole number" in serving.log.read_text()


async def _window(knative: Knative) -> float | None:
    """Return the window that the first revision's Metric has after a moment in which it could change."""
    await asyncio.sleep(0.5)
    return _stable_window(next(iter(knative.revisions.values())).metric)


def _stable_window(metric: dict[str, object] | None) -> float | None:
    """Return the stable window of a Metric, in seconds."""
    spec = (metric or {}).get("spec")
    return float(spec["stableWindow"]) / 1e9 if isinstance(spec, dict) else None


async def _series(serving: Serving, name: str, value: float) -> None:
    async with asyncio.timeout(20):
        while (await serving.telemetry())[name] != value:
            await asyncio.sleep(0.05)
