"""`kpa serve` and pods that misbehave, each in its way, all at once."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.kube.knative_double import Knative
from tests.kube.revision_double import PodDouble, RevisionDouble
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

QUICK = {"defaults": "inference", "stable-window": "6s", "scale-down-delay": "0s"}
FAULTS = ("hang", "garbage", "huge", "unavailable", "refuse", "other")
SECONDS = 12.0  # two stable windows


def spoil(revision: RevisionDouble, fault: str) -> PodDouble:
    """Let one pod of a revision fail, while the API server says that it is ready."""
    pod = revision.ready[0]
    match fault:
        case "refuse":
            revision.stubs.remove(pod.stub)
        case "other":  # its address went to a busy pod of another revision
            pod.stub.stat = pod.stub.stat._replace(pod_name="busy-00001-x", average_concurrent_requests=900.0)
        case "hang" | "garbage" | "huge" | "unavailable":
            pod.stub.mode = fault
    return pod


async def test_pods_that_fail_in_any_way_scale_nothing_and_hinder_nobody(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    sick = [await knative.create(f"{fault}-00001", replicas=3, container_concurrency=10) for fault in FAULTS]
    well = await knative.create("well-00001", replicas=1, container_concurrency=10)
    for revision in sick:
        revision.load(24.0)
    well.load(3.0)
    await knative.until(
        lambda: all(each.condition("Active") == ("True", "") for each in [*sick, well]), "active"
    )
    for revision in sick:
        await serving.decided(revision.name, 3)
    memory = resident(serving)
    for revision, fault in zip(sick, FAULTS, strict=True):
        spoil(revision, fault)
    began, scrapes = time.monotonic(), well.ready[0].stub.scrapes
    well.load(30.0)
    await knative.until(lambda: well.replicas == 4, "the other one grows")
    await asyncio.sleep(max(0.0, began + SECONDS - time.monotonic()))
    rate = (well.ready[0].stub.scrapes - scrapes) / (time.monotonic() - began)
    assert rate > 0.6, f"{rate} scrapes a second"
    assert {each.name: [n for _, n in each.replicas_seen] for each in sick} == {
        f"{fault}-00001": [3] for fault in FAULTS
    }
    reasons = {name for name in await serving.telemetry() if name.startswith("kpa_scrape_failures_total")}
    print(reasons, f"{resident(serving) - memory:.1f} MiB more")
    for reason in ("timeout", "undecodable", "too_large", "unavailable", "connect", "other_pod"):
        assert f'kpa_scrape_failures_total{{reason="{reason}"}}' in reasons
    assert resident(serving) - memory < 64, "a body of 1 GiB is not read"


async def test_a_revision_of_which_no_pod_can_be_heard_keeps_its_scale(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", replicas=3, container_concurrency=10)
    revision.load(24.0)
    await knative.until(lambda: revision.condition("Active") == ("True", ""), "active")
    await serving.decided("hello-00001", 3)
    for pod, fault in zip(revision.ready, ("hang", "garbage", "unavailable"), strict=True):
        pod.stub.mode = fault  # type: ignore[assignment]
    await serving.logs("load unknown; failed scrapes")
    await asyncio.sleep(SECONDS)
    assert [count for _, count in revision.replicas_seen] == [3]
    for pod in revision.ready:
        pod.stub.mode = "ok"
    revision.load(50.0)
    await knative.until(lambda: revision.replicas == 6, "it is followed again")


@pytest.mark.parametrize("minutes", [-10, 10], ids=["behind", "ahead"])
async def test_the_clock_of_a_pod_does_not_matter(
    knative: Knative, autoscaler: Autoscaler, minutes: int
) -> None:
    await knative.configure("config-autoscaler", {**QUICK, "defaults": "knative"})
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", replicas=1, container_concurrency=10)
    await knative.until(lambda: len(revision.ready) == 1, "a pod")
    [pod] = revision.ready
    now = time.time() + 60 * minutes
    await revision.set_ready(pod, True, uptime=-60.0 * minutes)  # when it started, by its node's clock
    pod.stub.stat = pod.stub.stat._replace(timestamp=int(now))
    revision.load(6.0)
    await serving.decided("hello-00001", 1)
    revision.load(40.0)
    await knative.until(lambda: revision.replicas == 6, "it is followed")
    revision.load(6.0)
    await knative.until(lambda: revision.replicas == 1, "down as well")


def resident(serving: Serving) -> float:
    """Return the memory of the process in MiB."""
    pages = int(Path(f"/proc/{serving.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20
