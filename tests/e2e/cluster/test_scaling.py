"""A Knative Service on real pods: from zero to one, to many, and back; what settings change about it."""

import asyncio

import pytest

from tests.e2e.cluster.installation import leader
from tests.e2e.cluster.kubectl import SYSTEM, follow, get, kubectl, until
from tests.e2e.cluster.revisions import Revision, serve

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

QUICK = {"window": "6s"}


async def desired(revision: Revision) -> int:
    return int((await revision.autoscaler()).get("desiredScale", -1))


async def test_from_zero_to_one_to_many_to_zero(namespace: str) -> None:
    revision = await serve(namespace, "round", QUICK)
    await revision.at_zero()
    kpa = await get("kpa", revision.name, namespace)
    conditions = {each["type"]: each["status"] for each in kpa["status"]["conditions"]}
    assert conditions["Active"] == "False"

    assert await revision.ask() == 200
    assert (await revision.replicas()).requested == 1
    async with revision.load(40) as statuses:
        await revision.reaches(5)
        seen = await follow(revision.replicas, 8)
    assert set(statuses) == {200}
    assert max(replicas.requested for replicas in seen) <= 7, "40 in flight, 7 for each pod"
    await revision.at_zero()
    assert await revision.ask() == 200


@pytest.mark.parametrize(
    ("capacity", "modes"),
    [
        pytest.param("0", ("Serve", "Serve"), id="0 bypasses activators while there are pods"),
        pytest.param("7", ("Serve", "Proxy"), id="7 needs room for as many more"),
        pytest.param("-1", ("Proxy", "Proxy"), id="-1 never does"),
    ],
)
async def test_target_burst_capacity(namespace: str, capacity: str, modes: tuple[str, str]) -> None:
    """At rest a pod has room for 10 requests, under a load of 6 for 4 more."""
    name = f"burst{capacity.replace('-', 'n')}"
    annotations = {"min-scale": 1, "max-scale": 1, "target-burst-capacity": capacity}
    revision = await serve(namespace, name, QUICK | annotations)
    await until("the path at rest", revision.mode, lambda mode: mode == modes[0])
    async with revision.load(6) as statuses:
        await until("the path under load", revision.mode, lambda mode: mode == modes[1])
        await asyncio.sleep(2)
    assert set(statuses) == {200}
    await until("the path at rest again", revision.mode, lambda mode: mode == modes[0])
    await kubectl("delete", "ksvc", name, "-n", namespace)


async def test_without_burst_capacity_it_still_goes_to_zero_and_back(namespace: str) -> None:
    revision = await serve(namespace, "direct", QUICK | {"target-burst-capacity": 0})
    await revision.at_zero()
    assert await revision.mode() == "Proxy"
    assert await revision.ask() == 200
    await until("no activator in the path", revision.mode, lambda mode: mode == "Serve")


async def test_a_revision_is_activated_at_its_activation_scale(namespace: str) -> None:
    revision = await serve(namespace, "activation", QUICK | {"activation-scale": 3})
    await revision.at_zero()
    assert await revision.ask() == 200
    await until("activated with 3", lambda: desired(revision), lambda seen: seen == 3, 20)


async def test_a_revision_begins_with_its_initial_scale_and_is_not_ready_before(namespace: str) -> None:
    revision = await serve(namespace, "initial", QUICK | {"initial-scale": 3}, ready=False)

    async def look() -> tuple[bool, int]:
        conditions = (await get("ksvc", "initial", namespace)).get("status", {}).get("conditions", ())
        is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return is_ready, (await revision.autoscaler()).get("actualScale") or 0 if is_ready else 0

    await until(
        "deployment", lambda: kubectl("-n", namespace, "get", "kpa", "-o", "name"), lambda s: "initial" in s
    )
    await until("ready, with 3 pods", look, lambda seen: seen[0] and seen[1] == 3)
    await revision.at_zero()


async def test_min_scale_is_followed_on_a_live_revision(namespace: str) -> None:
    revision = await serve(namespace, "least", QUICK)
    for change, pods in (("=2", 2), ("=3", 3), ("=1", 1)):
        await _annotate(revision, f"autoscaling.knative.dev/min-scale{change}")
        await until(f"{pods} pods", revision.replicas, lambda seen, pods=pods: seen == (pods, pods))
    await _annotate(revision, "autoscaling.knative.dev/min-scale-")
    await revision.at_zero()


async def _annotate(revision: Revision, change: str) -> None:
    await kubectl("-n", revision.namespace, "annotate", "revision", revision.name, change, "--overwrite")


async def test_the_cluster_sees_what_knative_would_show(namespace: str) -> None:
    revision = await serve(namespace, "shown", QUICK | {"min-scale": 1})
    header, row = (await kubectl("-n", namespace, "get", "kpa", revision.name)).splitlines()
    assert header.split() == ["NAME", "DESIREDSCALE", "ACTUALSCALE", "READY", "REASON"]
    assert row.split() == [revision.name, "1", "1", "True"]
    page = f"/api/v1/namespaces/{SYSTEM}/pods/{await leader()}:9090/proxy/metrics"
    lines = (await kubectl("get", "--raw", page)).splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if revision.name in line]
    series = {name.partition("{")[0]: float(value) for name, value in pairs}
    assert series["kn_revision_pods_count"] == series["kn_revision_pods_requested"] == 1
