"""Several replicas of `kpa serve`: one looks after a revision, another takes over."""

import asyncio
import signal
import time

import pytest

from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.installation import SYSTEM
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s"}
SHORT_LEASES = {"lease-duration": "4s", "renew-deadline": "3s", "retry-period": "1s"}
BUCKET = "autoscaler-bucket-00-of-01"


async def test_at_rest_nothing_is_written_but_leases(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", {**QUICK, "scale-to-zero-grace-period": "1s"})
    await knative.configure("config-leader-election", SHORT_LEASES)
    await autoscaler.start()
    busy = await knative.create("busy-00001", replicas=3, container_concurrency=10)
    idle = await knative.create("idle-00001")
    busy.load(18.0)
    await knative.until(lambda: busy.condition("Active") == ("True", "") and busy.replicas == 3, "busy")
    await knative.until(lambda: idle.condition("Ready") == ("False", "NoTraffic"), "idle")
    await knative.until(lambda: idle.replicas == 0 and not idle.pods, "at zero")
    await asyncio.sleep(2.0)
    before = len(requests())
    await asyncio.sleep(6.0)  # three ticks
    asked = requests()[before:]
    assert {(each.verb, each.resource) for each in asked} <= {("get", "leases"), ("update", "leases")}
    assert 3 <= sum(each.writes for each in asked) <= 8, "one renewal a second"


async def test_another_replica_takes_over_from_one_that_was_killed(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-leader-election", SHORT_LEASES)
    leader = await autoscaler.start()
    await leader.logs("we lead")
    follower = await autoscaler.start()
    revision = await knative.create("hello-00001", replicas=2, container_concurrency=10)
    revision.load(12.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    await leader.decided("hello-00001", 2)
    assert await follower.revision("hello-00001") == {}
    assert revision.ready[0].stub.connections != set()

    await leader.stop(signal.SIGKILL)
    killed, before = time.monotonic(), len(requests())
    await follower.logs("we lead")
    print(f"taken over {time.monotonic() - killed:.1f} s after the leader was killed")
    assert time.monotonic() - killed > 2.0, "not before its lease has run out"
    await asyncio.sleep(4.5)  # two ticks
    statuses = [each for each in requests()[before:] if each.writes and "leases" not in each.resource]
    assert [each for each in statuses if each.name == "hello-00001"] == [], "nothing new to say"
    assert revision.replicas == 2
    revision.load(33.0)
    await knative.until(lambda: revision.replicas == 5, "the new leader follows the load")


async def test_a_replica_that_ends_hands_over_at_once(knative: Knative, autoscaler: Autoscaler) -> None:
    leader = await autoscaler.start()  # leases last a minute
    await leader.logs("we lead")
    follower = await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "1"})
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    began = time.monotonic()
    ending = asyncio.create_task(leader.stop())
    await follower.logs("we lead")
    seconds = time.monotonic() - began
    print(f"handed over in {seconds:.2f} s; ended in {await ending:.2f} s")
    assert seconds < 8.0, "who only asks again and again does so every 10 s"
    await revision.annotate(min_scale="2")
    await knative.until(lambda: revision.replicas == 2, "the new leader does what is asked")
    lease = await knative.api.get(path("leases", SYSTEM, BUCKET))
    assert lease["spec"]["holderIdentity"].startswith("autoscaler-5d4f-00002_")
    assert lease["spec"]["leaseTransitions"] >= 1
