"""`kpa serve` takes up a whole cluster at its start."""

import asyncio
import time

import pytest

from tests.kube.audit import Requests
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

REVISIONS, PODS = 50, 3
MOST_SECONDS = 40.0  # 4 s on an idle machine


async def test_fifty_revisions_are_taken_up(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    names = [f"hello-{number:05d}" for number in range(REVISIONS)]
    for start in range(0, REVISIONS, 10):
        some = names[start : start + 10]
        await asyncio.gather(
            *(knative.create(name, replicas=PODS, container_concurrency=10) for name in some)
        )
    revisions = list(knative.revisions.values())
    for revision in revisions:
        revision.load(6.5 * PODS)
    await knative.until(lambda: all(len(each.ready) == PODS for each in revisions), "pods", 60)

    began = time.monotonic()
    serving = await autoscaler.start()
    started = time.monotonic()

    def under_control() -> bool:
        return all(
            revision.condition("Ready") == ("True", "")
            and (revision.pa or {})["status"].get("desiredScale") == PODS
            for revision in revisions
        )

    await knative.until(under_control, "all are under control", MOST_SECONDS)
    seconds = time.monotonic() - started
    writes = [each for each in requests() if each.writes and each.resource != "leases"]
    print(f"{REVISIONS} x {PODS}: ready after {started - began:.1f} s, all after {seconds:.1f} s more,")
    print(f"{len(writes)} writes, {sum(each.status == 409 for each in writes)} conflicts")
    assert all(revision.replicas == PODS for revision in revisions)
    assert (await serving.telemetry())['kpa_scale_actions_total{direction="up"}'] == 0.0
