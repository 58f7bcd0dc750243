"""`kpa serve` follows the load of revisions, on a real API server with the rest of the cluster played."""

import asyncio
import time

import pytest

from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

QUICK = {
    "stable-window": "6s",
    "scale-down-delay": "0s",
    "scale-to-zero-grace-period": "1s",
    "allow-zero-initial-scale": "true",
    "tick-interval": "6s",
}


async def tick(serving: Serving) -> None:
    """Wait for a tick."""

    async def ticks() -> float:
        return (await serving.telemetry())["kpa_tick_duration_seconds_count"]

    before = await ticks()
    async with asyncio.timeout(60):
        while await ticks() == before:
            await asyncio.sleep(0.05)


async def test_a_revision_goes_from_zero_to_many_and_back(knative: Knative, autoscaler: Autoscaler) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    revision = await knative.create(
        "hello-00001",
        replicas=0,
        container_concurrency=10,
        annotations={"initial-scale": "0", "target-burst-capacity": "0"},
        start_seconds=0.5,
    )
    await knative.until(lambda: revision.condition("ScaleTargetInitialized") == ("True", ""), "begun")
    assert revision.condition("Active") == ("False", "NoTraffic")
    assert revision.replicas == 0

    await tick(serving)  # the decider has to have said 0, as it does at its first tick
    sent = time.monotonic()
    await serving.report(knative.namespace, "hello-00001", 1.0)
    await knative.until(lambda: revision.replicas == 1, "one pod asked for")
    print(f"from the frame to the new replicas: {revision.replicas_seen[-1][0] - sent:.3f} s")
    assert revision.replicas_seen[-1][0] - sent < 4.0, "the next tick comes 6 s after the last one"
    revision.load(2.0)
    await knative.until(lambda: revision.condition("Active") == ("True", ""), "active")
    await knative.until(lambda: revision.mode == "Serve", "served by its pod")

    revision.load(25.0)
    await knative.until(lambda: revision.replicas == 4, "four pods")
    await knative.until(lambda: len(revision.ready) == 4, "four ready pods")
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 4, "counted")

    revision.load(0.0)
    await knative.until(lambda: revision.condition("Active") == ("False", "NoTraffic"), "inactive")
    await knative.until(lambda: revision.replicas == 0, "zero again")
    assert autoscaler.activator.probes[-1][1] == "//healthz"
    assert [mode for _, mode in revision.modes_seen] == ["Proxy", "Serve", "Proxy"]
    assert [count for _, count in revision.replicas_seen][:2] == [0, 1]
