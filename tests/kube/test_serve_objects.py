"""What `kpa serve` makes of the objects that it finds: bounds, children, owners, and their ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from tests.kube import objects
from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

T = TypeVar("T")

NETWORKING = "networking.internal.knative.dev/v1alpha1"
QUICK = {"stable-window": "6s", "scale-down-delay": "0s", "scale-to-zero-grace-period": "1s"}


async def test_an_edited_min_scale_is_followed_on_a_live_revision(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "1"})
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    for least in (2, 3):
        await revision.annotate(min_scale=str(least))
        seconds = await knative.until(lambda: revision.replicas == least, f"{least} pods")  # noqa: B023
        print(f"min-scale {least} after {seconds:.2f} s")
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 3, "counted")
    assert revision.condition("Active") == ("True", "")
    await revision.annotate(min_scale=None)
    await knative.until(lambda: revision.replicas == 0, "nothing holds it")


async def test_an_initial_scale_is_reached_before_a_revision_is_ready_and_left_then(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await autoscaler.start()
    revision = await knative.create(
        "hello-00001", replicas=3, annotations={"initial-scale": "3"}, start_seconds=600.0
    )
    await knative.until(lambda: len(revision.staying) == 3 and revision.metric is not None, "pods")
    first, second, third = revision.staying
    for pod in (first, second):
        await revision.set_ready(pod, True)
    await knative.until(lambda: second.stub.scrapes > 3, "a tick has seen them")
    assert revision.condition("ScaleTargetInitialized")[0] == "Unknown"
    assert revision.condition("Active") == ("Unknown", "Queued")
    assert revision.replicas == 3
    await revision.set_ready(third, True)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    assert revision.condition("ScaleTargetInitialized") == ("True", "")
    await knative.until(lambda: revision.replicas < 3, "fewer pods")


async def test_an_unreachable_revision_has_neither_least_nor_slow_way_down(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", {**QUICK, "scale-down-delay": "10m"})
    await autoscaler.start()
    revision = await knative.create(
        "old-00001", replicas=4, annotations={"min-scale": "4"}, reachability="Reachable"
    )
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    await revision.edit({"spec": {"reachability": "Unreachable"}})
    await knative.until(lambda: revision.replicas == 0, "gone")
    assert revision.condition("Active") == ("False", "NoTraffic")


async def test_a_deleted_revision_leaves_no_series_no_connection_and_no_writes(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    gone = await knative.create("gone-00001", replicas=2, container_concurrency=10)
    stays = await knative.create("stays-00001", replicas=1, container_concurrency=10)
    gone.load(12.0)
    stays.load(2.0)
    await knative.until(lambda: gone.condition("Ready") == ("True", ""), "ready")
    await knative.until(lambda: all(pod.stub.scrapes > 1 for pod in gone.ready), "scraped")
    assert any("gone-00001" in name for name in await serving.telemetry())

    gone.follows = False  # pods outlive their PodAutoscaler, as they do in a cluster
    for kind in ("podautoscalers", "metrics", "serverlessservices"):
        await knative.api.delete(path(kind, knative.namespace, "gone-00001"))
    await knative.until(lambda: gone.pa is None, "deleted")
    stubs = [pod.stub for pod in gone.ready]
    await knative.until(lambda: not any(stub.connections for stub in stubs), "connections are closed")
    assert not any("gone-00001" in name for name in await serving.telemetry())
    assert await serving.revision("gone-00001") == {}
    await asyncio.sleep(1.0)  # what was on its way has arrived
    before, scrapes = len(requests()), [stub.scrapes for stub in stubs]
    await asyncio.sleep(4.5)  # two ticks, four scrapes
    assert [stub.scrapes for stub in stubs] == scrapes
    assert not [each for each in requests()[before:] if each.writes and each.name.startswith("gone-")]
    assert (await serving.revision("stays-00001"))["recommended"] == 1


async def test_missing_services_are_made_with_two_activators_in_the_path(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await autoscaler.start()
    deployment = objects.deployment("bare-00001", "0c9e", 1)  # nobody plays what the cluster would do with it
    pa = objects.pod_autoscaler("bare-00001", "0c9e", 0, {}, "Reachable")
    await knative.api.post(path("deployments", knative.namespace), deployment)
    await knative.api.post(path("podautoscalers", knative.namespace), pa)
    (sks,) = await _eventually(lambda: knative.api.items(path("serverlessservices", knative.namespace)))
    assert (sks["spec"]["mode"], sks["spec"]["numActivators"]) == ("Proxy", 2)
    assert sks["metadata"]["ownerReferences"][0]["kind"] == "PodAutoscaler"

    async def status() -> dict[str, Any]:
        found: dict[str, Any] = await knative.api.get(path("podautoscalers", knative.namespace, "bare-00001"))
        return found.get("status") or {}

    written = await _eventually(status)
    conditions = {each["type"]: each for each in written["conditions"]}
    assert conditions["SKSReady"]["status"] == "Unknown"
    assert conditions["SKSReady"]["message"] == "No Private Service Name"
    assert written["desiredScale"] == -1
    assert await knative.api.items(path("metrics", knative.namespace)) == []


async def test_services_of_another_owner_are_left_alone_and_complained_about(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    foreign = {
        "apiVersion": NETWORKING,
        "kind": "ServerlessService",
        "metadata": {"name": "hello-00001"},
        "spec": {
            "mode": "Serve",
            "objectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello-00001-deployment"},
            "protocolType": "http1",
        },
    }
    await knative.api.post(path("serverlessservices", knative.namespace), foreign)
    await autoscaler.start()
    revision = await knative.create("hello-00001")
    await knative.until(lambda: revision.condition("Active") == ("False", "NotOwned"), "complaint")
    assert revision.condition("Ready") == ("False", "NotOwned")
    stored = await knative.api.get(path("serverlessservices", knative.namespace, "hello-00001"))
    assert stored["spec"]["mode"] == "Serve"
    events = await _eventually(lambda: knative.api.items(path("events", knative.namespace)))
    assert {event["reason"] for event in events} == {"InternalError"}
    assert "does not own SKS" in events[0]["message"]
    count = sum(event["count"] for event in events)
    assert count < 20, "complaints come slower and slower"


async def _eventually(look: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
    """Look again and again until there is something."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found
