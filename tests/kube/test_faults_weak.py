"""Stories in which Knative's autoscaler stands still, or forgets, and `kpa serve` must not."""

import asyncio

import pytest

from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s", "scale-to-zero-grace-period": "1s"}


async def test_a_panic_ends_when_all_pods_crash(knative: Knative, autoscaler: Autoscaler) -> None:
    """Without data Knative decides nothing, and a panic never scales down: five pods crash for ever."""
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-deployment", {"progress-deadline": "1s"})
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(5.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    await serving.decided("hello-00001", 1)
    revision.load(34.0)
    await knative.until(lambda: revision.replicas == 5 and len(revision.ready) == 5, "five pods, in panic")
    assert (await serving.revision("hello-00001"))["mode"] == "panic"
    revision.start_seconds = 600.0
    for pod in revision.ready:
        await revision.set_ready(pod, False)
    await knative.until(lambda: revision.replicas == 0, "given up 31 s after they crashed", 70)


async def test_activators_that_hang_keep_no_other_revision_waiting(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    """Knative asks activators in its two workers, without a deadline: three idle revisions stop the rest."""
    await knative.configure("config-autoscaler", QUICK)
    await autoscaler.start()
    idle = [await knative.create(f"idle-{number:05d}") for number in range(3)]
    await knative.until(lambda: all(r.condition("Active") == ("True", "") for r in idle), "active")
    autoscaler.activator.mode = "hang"
    await knative.until(lambda: all(r.condition("Active") == ("False", "NoTraffic") for r in idle), "idle")
    async with asyncio.timeout(60):
        while len({host for host, _ in autoscaler.activator.probes}) < 3:
            await asyncio.sleep(0.05)
    busy = await knative.create("busy-00001", container_concurrency=10)
    busy.load(5.0)
    await knative.until(lambda: busy.condition("Ready") == ("True", ""), "a new one is taken up")
    busy.load(34.0)
    await knative.until(lambda: busy.replicas == 5, "and scaled")
    assert [revision.replicas for revision in idle] == [1, 1, 1], "nobody holds their requests yet"
    autoscaler.activator.mode = "ok"
    await knative.until(lambda: all(revision.replicas == 0 for revision in idle), "to zero")
