"""`kpa serve` when something else fails, or itself: pods, the API server, its process."""

import asyncio
import signal
import time

import pytest

from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.control_plane import ControlPlane
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving
from tests.kube.stub_pods import StubPod

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s"}
BURSTS = {"direct": "0", "proxied": "-1", "default": "211"}
SHORT_LEASES = {"lease-duration": "4s", "renew-deadline": "3s", "retry-period": "1s"}


@pytest.mark.timeout(300)
async def test_a_minute_without_the_api_server_while_pods_hang_and_replicas_come_and_go(
    knative: Knative, autoscaler: Autoscaler, control_plane: ControlPlane, requests: Requests
) -> None:
    """With Knative's leases: a leader gives up after 40 s without renewing its own, which lasts for 60 s."""
    await knative.configure("config-autoscaler", {**QUICK, "defaults": "inference"})
    leader = await autoscaler.start()
    await leader.logs("we lead")
    replicas = [leader, await autoscaler.start()]
    grows = await knative.create("grows-00001", container_concurrency=10)
    steady, sick = [
        await knative.create(name, replicas=3, container_concurrency=10)
        for name in ("steady-00001", "sick-00001")
    ]
    grows.load(5.0)
    for revision in (steady, sick):
        revision.load(19.5)
        await leader.decided(revision.name, 3)
    await knative.until(
        lambda: all(r.condition("Ready") == ("True", "") for r in (grows, steady, sick)), "ready"
    )
    asked = {each.name: (list(each.replicas_seen), list(each.modes_seen)) for each in (steady, sick)}
    autoscaler.may_be_forbidden = True  # an API server that has just started may not know our role
    before = len(requests())

    with control_plane.api_server_down():
        began = time.monotonic()
        for pod in sick.ready[1:]:
            pod.stub.mode = "hang"
        sick.ready[0].stub.mode = "garbage"
        grows.load(40.0)
        await leader.decided("grows-00001", 5)
        await scraped_on(grows.ready[0].stub)
        said = {name: await leader.revision(name) for name in ("grows-00001", "steady-00001", "sick-00001")}
        recommended = {name: (each["recommended"], each["replicas"]) for name, each in said.items()}
        assert recommended == {"grows-00001": (5, 1), "steady-00001": (3, 3), "sick-00001": (3, 3)}
        starting, ending = await autoscaler.start(ready=False), await autoscaler.start(ready=False)
        assert await starting.readiness() == await ending.readiness() == 503
        await ending.stop()
        await leader.logs("we no longer lead", 60)
        given_up = time.monotonic() - began
        await decides_nothing(leader)
        await asyncio.sleep(began + 60.0 - time.monotonic())
        assert sum(times_led(each) for each in replicas) == 1, "nobody else leads"
    back = time.monotonic()
    print(f"away for {back - began:.1f} s, given up after {given_up:.1f} s")

    await knative.until(lambda: grows.replicas == 5, "the decision is carried out", 30)
    print(f"carried out {time.monotonic() - back:.2f} s after the API server is back")
    await knative.until(lambda: (grows.pa or {})["status"].get("actualScale") == 5, "counted", 30)
    await starting.ready()
    await asyncio.sleep(4.5)  # two ticks
    assert sum(times_led(each) for each in (*replicas, starting)) == 2, "one of them leads"
    assert {each.name: (each.replicas_seen, each.modes_seen) for each in (steady, sick)} == asked
    written = [each for each in requests()[before:] if each.writes and each.namespace == knative.namespace]
    print(*written, sep="\n")
    assert [each for each in written if each.name == "steady-00001"] == []
    scaled = [each.name for each in written if each.resource == "deployments/scale" and each.status == 200]
    assert scaled == ["grows-00001-deployment"]
    assert {each.resource for each in written if each.name == "sick-00001"} <= {"metrics/status"}


async def scraped_on(stub: StubPod) -> None:
    """Wait until a pod was asked for its load some times more."""
    scrapes = stub.scrapes
    async with asyncio.timeout(20):
        while stub.scrapes < scrapes + 8:
            await asyncio.sleep(0.1)


async def decides_nothing(serving: Serving) -> None:
    """Wait until a replica that no longer leads looks after nothing."""
    async with asyncio.timeout(20):
        while await serving.revisions():
            await asyncio.sleep(0.05)


def times_led(serving: Serving) -> int:
    """Count how often a replica began to lead."""
    return serving.log.read_text().count(": we lead")


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
