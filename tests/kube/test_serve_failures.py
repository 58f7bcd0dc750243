"""`kpa serve` when something else fails, or itself: pods, the API server, its process."""

import asyncio
import signal
import time

import pytest

from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.control_plane import ControlPlane
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s"}
BURSTS = {"direct": "0", "proxied": "-1", "default": "211"}
SHORT_LEASES = {"lease-duration": "4s", "renew-deadline": "3s", "retry-period": "1s"}


async def test_a_hanging_pod_hinders_only_its_own_revision(knative: Knative, autoscaler: Autoscaler) -> None:
    await knative.configure("config-autoscaler", {**QUICK, "defaults": "inference"})
    serving = await autoscaler.start()
    sick = await knative.create("sick-00001", replicas=3, container_concurrency=10)
    well = await knative.create("well-00001", replicas=1, container_concurrency=10)
    sick.load(24.0)
    well.load(3.0)
    await knative.until(
        lambda: sick.condition("Active") == well.condition("Active") == ("True", ""), "active"
    )
    await serving.decided("sick-00001", 3)
    sick.ready[0].stub.mode = "hang"
    began, scrapes = time.monotonic(), well.ready[0].stub.scrapes
    await asyncio.sleep(3.0)
    well.load(30.0)
    await knative.until(lambda: well.replicas == 4, "the other one grows", 15)
    rate = (well.ready[0].stub.scrapes - scrapes) / (time.monotonic() - began)
    assert rate > 0.6, f"{rate} scrapes a second"
    await asyncio.sleep(6.0)
    assert sick.replicas == 3
    assert (await serving.revision("sick-00001"))["desired"] == 3


async def test_it_goes_on_while_the_api_server_is_away(
    knative: Knative, autoscaler: Autoscaler, control_plane: ControlPlane
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(5.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    stub = revision.ready[0].stub
    autoscaler.may_be_forbidden = True
    with control_plane.api_server_down():
        scrapes, began = stub.scrapes, time.monotonic()
        revision.load(34.0)
        await asyncio.sleep(12.0)
        assert stub.scrapes - scrapes > 6, "pods are scraped"
        said = await serving.revision("hello-00001")
        assert (said["desired"], said["replicas"]) == (5, 1), "decisions are made"
    back = time.monotonic()
    await knative.until(lambda: revision.replicas == 5, "the decision is carried out", 30)
    print(f"away for {back - began:.1f} s; carried out {time.monotonic() - back:.2f} s after that")
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 5, "counted", 30)


async def test_it_waits_for_an_api_server_at_its_start(
    knative: Knative, autoscaler: Autoscaler, control_plane: ControlPlane
) -> None:
    autoscaler.may_be_forbidden = True
    with control_plane.api_server_down():
        serving, other = await autoscaler.start(ready=False), await autoscaler.start(ready=False)
        assert await serving.readiness() == await other.readiness() == 503
        assert await other.stop() < 5.0
    await serving.ready()
    revision = await knative.create("hello-00001", annotations={"min-scale": "2"})
    await knative.until(lambda: revision.replicas == 2, "it works")


async def test_a_restart_under_steady_load_changes_nothing(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-leader-election", SHORT_LEASES)
    serving = await autoscaler.start()
    pods = {f"{burst}-{count:05d}": count for burst in BURSTS for count in (1, 3, 6)}
    loads = {name: 6.5 * count for name, count in pods.items()}
    revisions = [
        await knative.create(
            name,
            replicas=count,
            container_concurrency=10,
            annotations={"target-burst-capacity": BURSTS[name.partition("-")[0]]},
        )
        for name, count in pods.items()
    ]

    async def report() -> None:
        """With activators in the path always, they alone report."""
        while True:
            if serving.process.returncode is None:
                for name in pods:
                    if name.startswith("proxied-"):
                        await serving.report(knative.namespace, name, loads[name])
            await asyncio.sleep(1.0)

    for revision in revisions:
        revision.load(loads[revision.name])
    reporter = asyncio.create_task(report())
    try:
        for revision in revisions:
            await knative.until(lambda r=revision: r.condition("Ready") == ("True", ""), "ready")  # type: ignore[misc]
        await asyncio.sleep(7.0)  # a stable window
        asked = {revision.name: list(revision.replicas_seen) for revision in revisions}
        assert {revision.name: revision.replicas for revision in revisions} == pods
        modes = [list(revision.modes_seen) for revision in revisions]
        await serving.stop(signal.SIGKILL)
        before = len(requests())
        serving = await autoscaler.start()
        await serving.logs("we lead", 90)
        await asyncio.sleep(9.0)  # longer than a stable window
        assert not reporter.done()
    finally:
        reporter.cancel()
    assert {revision.name: revision.replicas_seen for revision in revisions} == asked
    assert [revision.modes_seen for revision in revisions] == modes
    written = [each for each in requests()[before:] if each.writes and each.namespace == knative.namespace]
    assert written == []


async def test_a_status_that_somebody_else_wrote_meanwhile_is_written_again(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await autoscaler.start()
    revision = await knative.create("hello-00001", container_concurrency=10)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    target = path("podautoscalers", knative.namespace, "hello-00001")
    for number in range(40):
        await knative.api.patch(target, {"metadata": {"annotations": {"example.com/n": str(number)}}})
        if number % 4 == 0:
            await revision.annotate(min_scale=str(1 + number // 4 % 3))
    last = 1 + 36 // 4 % 3
    await knative.until(lambda: revision.replicas == last, "the last word counts")
    await knative.until(lambda: (revision.pa or {})["status"].get("desiredScale") == last, "status")
    statuses = [each.status for each in requests() if each.resource == "podautoscalers/status"]
    print("answers to statuses:", {status: statuses.count(status) for status in sorted(set(statuses))})
    events = await knative.api.items(path("events", knative.namespace))
    assert events == [], "conflicts are nobody's concern"
