"""`kpa serve` while its way to the API server is cut, slow, busy or gone; the pods and the test have theirs.

An API server that is down: test_serve_failures.
"""

import asyncio
import itertools
import signal
import time

import pytest

from tests.kube.api import path
from tests.kube.api_proxy import ApiProxy, start_behind
from tests.kube.audit import Requests
from tests.kube.control_plane import ControlPlane
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s", "scale-to-zero-grace-period": "1s"}
SHORT_LEASES = {"lease-duration": "4s", "renew-deadline": "3s", "retry-period": "1s"}


@pytest.fixture
async def spoiled(knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy) -> Serving:
    """A replica that leads and has the API server through the proxy."""
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-leader-election", SHORT_LEASES)
    return await start_behind(autoscaler, proxy)


async def test_streams_that_are_cut_every_second_hide_nothing(
    knative: Knative, spoiled: Serving, proxy: ApiProxy
) -> None:
    revision = await knative.create("hello-00001", annotations={"min-scale": "1"})
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    lists, watches = proxy.count("LIST"), proxy.count("WATCH")
    async with proxy.cutting(1.0):
        for least in (3, 2, 4, 1, 5):
            await revision.annotate(min_scale=str(least))
            await knative.until(lambda: revision.replicas == least, f"{least} pods")  # noqa: B023
            await knative.until(
                lambda: (revision.pa or {})["status"].get("actualScale") == least,  # noqa: B023
                f"{least} counted",
            )
        gone = await knative.create("gone-00001", annotations={"min-scale": "1"})
        await knative.until(lambda: gone.condition("Ready") == ("True", ""), "another one")
        await gone.delete()
        async with asyncio.timeout(60):
            while await spoiled.revision("gone-00001") or proxy.count("WATCH") < watches + 14:
                await asyncio.sleep(0.05)  # two cuts of seven streams, at least
    assert proxy.count("LIST") == lists, "a cut is no reason to list"
    assert spoiled.log.read_text().count("we no longer lead") == 0


async def test_a_slow_store_delays_what_is_written_and_nothing_else(
    knative: Knative, spoiled: Serving, proxy: ApiProxy
) -> None:
    slow = await knative.create("slow-00001", container_concurrency=10)
    others = [await knative.create(f"other-{number:05d}", container_concurrency=10) for number in range(8)]
    slow.load(5.0)
    for other in others:
        other.load(5.0)
    await knative.until(
        lambda: all(each.condition("Ready") == ("True", "") for each in [slow, *others]), "ready"
    )
    proxy.delay = 0.7  # a lease is renewed within 3 s
    stub = slow.ready[0].stub
    scrapes, began = stub.scrapes, time.monotonic()
    for revision in [slow, *others]:
        revision.load(33.0)
    await knative.until(lambda: all(each.replicas == 5 for each in [slow, *others]), "all are scaled")
    await knative.until(
        lambda: all((each.pa or {})["status"].get("actualScale") == 5 for each in [slow, *others]),
        "counted",
    )
    await asyncio.sleep(4.0)
    rate = (stub.scrapes - scrapes) / (time.monotonic() - began)
    assert rate > 0.5, f"{rate} scrapes a second"
    assert "we no longer lead" not in spoiled.log.read_text()


async def test_an_etcd_that_stands_still_delays_what_is_written_and_nothing_else(
    knative: Knative, autoscaler: Autoscaler, control_plane: ControlPlane
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(5.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    stub = revision.ready[0].stub
    with control_plane.etcd_frozen():
        revision.load(34.0)
        await serving.decided("hello-00001", 5)
        scrapes = stub.scrapes
        async with asyncio.timeout(20):
            while stub.scrapes < scrapes + 4:
                await asyncio.sleep(0.05)
        assert revision.replicas == 1
    await knative.until(lambda: revision.replicas == 5, "the decision is carried out", 30)
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 5, "counted", 30)
    assert "we no longer lead" not in serving.log.read_text()


async def test_a_storm_of_429_is_obeyed_and_outlasted(
    knative: Knative, spoiled: Serving, proxy: ApiProxy
) -> None:
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(5.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    # Leases have a priority level of their own in a real API server.
    proxy.busy = lambda request: "/leases" not in request.path
    proxy.cut()
    before, scrapes = len(proxy.asked), revision.ready[0].stub.scrapes
    revision.load(34.0)
    await spoiled.decided("hello-00001", 5)
    async with asyncio.timeout(60):
        while not any(verb == "PATCH" and where.endswith("/scale") for verb, where in proxy.refused):
            await asyncio.sleep(0.1)
    await asyncio.sleep(4.0)
    assert revision.ready[0].stub.scrapes - scrapes > 3, "pods are scraped"
    times: dict[tuple[str, str], list[float]] = {}
    for when, verb, where in proxy.asked[before:]:
        if (verb, where) in proxy.refused:
            times.setdefault((verb, where), []).append(when)
    for what, moments in times.items():
        pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert min(pauses, default=1.0) > 0.95, f"{what} did not wait for a second: {pauses}"
    proxy.busy = lambda request: False
    await knative.until(lambda: revision.replicas == 5, "the decision is carried out")
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 5, "counted")
    assert "we no longer lead" not in spoiled.log.read_text()
    assert await knative.api.items(path("events", knative.namespace)) == []


async def test_a_leader_that_lost_its_lease_keeps_no_series_no_connection_and_writes_nothing(
    knative: Knative, autoscaler: Autoscaler, spoiled: Serving, proxy: ApiProxy, requests: Requests
) -> None:
    """An ex-leader of Knative's keeps deciders, scrapers and series of what it led, until it ends.

    Only leaders observe deletions there: a revision that is deleted while another replica leads is scraped
    by the ex-leader for ever (`knative/serving pkg/autoscaler/scaling/multiscaler.go`, `ObserveDeletion`).
    """
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(5.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    follower = await autoscaler.start()
    with proxy.away():
        await follower.logs("we lead")
        assert "we no longer lead" in spoiled.log.read_text(), "before another one leads"
        assert await spoiled.revision("hello-00001") == {}
        assert not any("hello-00001" in name for name in await spoiled.telemetry())
        await follower.decided("hello-00001", 1)
        stub = revision.ready[0].stub
        await knative.until(lambda: len(stub.connections) == 1, "the new leader's connection alone")
        revision.load(34.0)
        await knative.until(lambda: revision.replicas == 5, "the new leader scales")
    await knative.until(lambda: (revision.pa or {})["status"].get("actualScale") == 5, "counted")
    await revision.delete()
    async with asyncio.timeout(60):
        while await follower.revision("hello-00001"):
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)  # what was on its way has arrived
    before = len(requests())
    await asyncio.sleep(4.5)  # two ticks
    for replica in (spoiled, follower):
        assert await replica.revision("hello-00001") == {}
        assert not any("hello-00001" in name for name in await replica.telemetry())
    assert not [each for each in requests()[before:] if each.writes and each.name.startswith("hello-")]


async def test_a_leader_that_slept_through_its_lease_does_no_harm_when_it_wakes(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-leader-election", SHORT_LEASES)
    sleeper = await autoscaler.start()
    await sleeper.logs("we lead")
    revisions = [await knative.create(f"hello-{number:05d}", container_concurrency=10) for number in range(6)]
    for revision in revisions:
        revision.load(5.0)
    await knative.until(lambda: all(each.condition("Ready") == ("True", "") for each in revisions), "ready")
    heir = await autoscaler.start()
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        await heir.logs("we lead")
        for revision in revisions:
            revision.load(34.0)
        await knative.until(lambda: all(each.replicas == 5 for each in revisions), "the heir scales")
        await knative.until(lambda: all(len(each.ready) == 5 for each in revisions), "pods")
        await asyncio.sleep(8.5)  # until the heir has only seen this load
        asked = [(list(each.replicas_seen), list(each.modes_seen)) for each in revisions]
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    await sleeper.logs("we no longer lead")
    await asyncio.sleep(4.5)  # two ticks
    assert [(each.replicas_seen, each.modes_seen) for each in revisions] == asked
    assert min(each.replicas for each in revisions) >= 5
    assert "we no longer lead" not in heir.log.read_text()
