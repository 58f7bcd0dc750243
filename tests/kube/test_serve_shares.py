"""Four replicas of `kpa serve` share eight buckets; one is killed, another comes: nobody notices."""

import asyncio
import signal
import time
from collections import Counter
from itertools import chain

import pytest

from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.installation import SYSTEM
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

BUCKETS = 8
ELECTION = {
    "buckets": str(BUCKETS),
    "lease-duration": "6s",
    "renew-deadline": "4s",
    "retry-period": "1s",
}
REVISIONS = 24


async def leases(knative: Knative) -> tuple[Counter[str], int]:
    """Return how many buckets each replica holds, and how often buckets changed hands."""
    specs = [lease["spec"] for lease in await knative.api.items(path("leases", SYSTEM))]
    transitions = sum(spec["leaseTransitions"] for spec in specs)
    return Counter(spec["holderIdentity"] for spec in specs), transitions


async def shared(knative: Knative, shares: list[int], without: str = "") -> int:
    """Wait until replicas lead so many buckets each, one of them none; return the changes of hands so far."""
    held: Counter[str] = Counter()
    async with asyncio.timeout(120):
        while sorted(held.values(), reverse=True) != shares or without in held:
            await asyncio.sleep(0.1)
            held, transitions = await leases(knative)
    return transitions


async def all_are_looked_after_by_one(knative: Knative, replicas: list[Serving]) -> list[int]:
    """Wait until each revision is known to one replica, and scraped by it alone; return how many each has."""
    names = sorted(knative.revisions)
    async with asyncio.timeout(60):
        while True:
            known = [await replica.revisions() for replica in replicas]
            connections = [len(pod.stub.connections) for r in knative.revisions.values() for pod in r.ready]
            if sorted(chain.from_iterable(known)) == names and set(connections) == {1}:
                return [len(each) for each in known]
            await asyncio.sleep(0.1)


async def test_four_share_the_work_and_one_that_is_killed_is_replaced_without_a_write_that_says_nothing_new(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-leader-election", ELECTION)
    replicas = [await autoscaler.start() for _ in range(4)]
    await shared(knative, [2, 2, 2, 2])
    for number in range(REVISIONS):
        count = 1 + number % 3
        revision = await knative.create(
            f"hello-{number:05d}",
            replicas=count,
            container_concurrency=10,
            annotations={"target-burst-capacity": "0"} if number % 2 else {},
        )
        revision.load(6.0 * count)
    for revision in knative.revisions.values():
        await knative.until(lambda r=revision: r.condition("Ready") == ("True", ""), revision.name, 60)  # type: ignore[misc]
    print("revisions of each:", await all_are_looked_after_by_one(knative, replicas))
    await asyncio.sleep(4.0)  # two ticks: the last statuses are written
    modes = {name: list(revision.modes_seen) for name, revision in knative.revisions.items()}
    asked = {name: list(revision.replicas_seen) for name, revision in knative.revisions.items()}
    before = len(requests())
    moved = await shared(knative, [2, 2, 2, 2])

    killed = replicas.pop(1)
    began = time.monotonic()
    await killed.stop(signal.SIGKILL)
    assert await shared(knative, [3, 3, 2], killed.identity) == moved + 2, "each of its buckets, once"
    print(f"taken over {time.monotonic() - began:.1f} s after it was killed")
    print("revisions of each:", await all_are_looked_after_by_one(knative, replicas))

    began = time.monotonic()
    replicas.append(await autoscaler.start())
    assert await shared(knative, [2, 2, 2, 2]) == moved + 4, "no bucket goes to and fro"
    print(f"level {time.monotonic() - began:.1f} s after another one was started")
    print("revisions of each:", await all_are_looked_after_by_one(knative, replicas))

    await asyncio.sleep(6.0)  # three ticks
    assert await shared(knative, [2, 2, 2, 2]) == moved + 4, "and all stays so"
    assert {name: revision.replicas_seen for name, revision in knative.revisions.items()} == asked
    assert {name: revision.modes_seen for name, revision in knative.revisions.items()} == modes
    written = [each for each in requests()[before:] if each.writes and each.namespace == knative.namespace]
    assert written == [], "nothing new to say"
