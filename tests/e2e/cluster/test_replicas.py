"""Two replicas of the autoscaler, one of which goes; and the way back to Knative's own."""

import asyncio

import pytest

from tests.e2e.cluster.installation import Installation, autoscaler_pods, image, leader
from tests.e2e.cluster.kubectl import SYSTEM, follow, get, kubectl, rolled_out, until
from tests.e2e.cluster.revisions import Revision, serve

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

QUICK = {"window": "6s"}


async def loaded(namespace: str, name: str) -> Revision:
    return await serve(namespace, name, QUICK | {"target-burst-capacity": -1})


async def test_the_leader_is_killed_under_load_and_nothing_is_lost(namespace: str) -> None:
    await until("two replicas", autoscaler_pods, lambda pods: len(pods) == 2)
    revision = await loaded(namespace, "held")
    async with revision.load(20) as statuses:
        await until("3 pods", revision.replicas, lambda seen: seen == (3, 3))
        await asyncio.sleep(8)  # a window without panic
        first = await leader()
        await kubectl("-n", SYSTEM, "delete", "pod", first, "--grace-period=0", "--force")
        following = asyncio.create_task(follow(revision.replicas, 20))
        await until("another leader", leader, lambda name: name not in ("", first))
        requested = {replicas.requested for replicas in await following}
        async with revision.load(15):
            await revision.reaches(5)
    assert requested == {3}
    assert set(statuses) == {200}
    await revision.at_zero()
    await rolled_out("autoscaler")


async def test_settings_and_scale_survive_a_rollout(namespace: str) -> None:
    revision = await loaded(namespace, "rolled")
    async with revision.load(20) as statuses:
        await until("3 pods", revision.replicas, lambda seen: seen == (3, 3))
        await asyncio.sleep(8)  # a window without panic
        following = asyncio.create_task(follow(revision.replicas, 40))
        await kubectl("-n", SYSTEM, "rollout", "restart", "deployment/autoscaler")
        await rolled_out("autoscaler")
        requested = {replicas.requested for replicas in await following}
    assert requested == {3}
    assert set(statuses) == {200}


async def test_the_way_back_and_forth_under_load(namespace: str, knatives_own: Installation) -> None:
    revision = await loaded(namespace, "back")
    async with revision.load(20) as statuses:
        await until("3 pods", revision.replicas, lambda seen: seen == (3, 3))
        await knatives_own.go_back()
        [container] = (await get("deployment", "autoscaler"))["spec"]["template"]["spec"]["containers"]
        assert container["image"] != image()
        await until("Knative leads", leader, lambda name: name != "")
        await asyncio.sleep(10)
        assert (await revision.replicas()).requested in (3, 4)
        await knatives_own.replace()
        await until("we lead", leader, lambda name: name != "")
        await asyncio.sleep(10)
        assert (await revision.replicas()).requested in (3, 4)
    assert set(statuses) == {200}
    await revision.at_zero()
