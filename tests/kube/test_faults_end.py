"""`kpa serve` is asked to end, whatever it is doing."""

import asyncio
import signal

import pytest

from tests.kube.api import path
from tests.kube.api_proxy import ApiProxy, start_behind
from tests.kube.installation import SYSTEM
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

BUCKET = "autoscaler-bucket-00-of-01"
REVISIONS = 30
MOST_SECONDS = 28.0  # 3 s if a lease cannot be released, 10 s for a heir; the kubelet waits for 30 s


async def holder(knative: Knative) -> str:
    """Return who holds the lease."""
    lease = await knative.api.get(path("leases", SYSTEM, BUCKET))
    return str(lease["spec"]["holderIdentity"])


async def test_before_there_is_an_api_server(
    knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy
) -> None:
    with proxy.away():
        serving = await start_behind(autoscaler, proxy, ready=False)
        await serving.logs("API server unreachable; retrying in ")
        assert await serving.readiness() == 503
        assert serving.log.read_text().count("API server unreachable") == 1
        assert await serving.stop() < MOST_SECONDS


async def test_while_it_lists_what_there_is(
    knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy
) -> None:
    proxy.delay = 60.0
    serving = await start_behind(autoscaler, proxy, ready=False)
    async with asyncio.timeout(60):
        while not proxy.count("LIST"):
            await asyncio.sleep(0.05)
    assert await serving.stop() < MOST_SECONDS


async def test_while_it_takes_revisions_up(knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy) -> None:
    await asyncio.gather(*(knative.create(f"hello-{n:05d}") for n in range(REVISIONS)))
    proxy.delay = 0.3
    serving = await start_behind(autoscaler, proxy, ready=False)
    await knative.until(lambda: any(each.metric for each in knative.revisions.values()), "the first ones")
    assert await serving.stop() < MOST_SECONDS
    assert await holder(knative) == "", "released"
    heir = await autoscaler.start()
    await heir.logs("we lead")
    await knative.until(
        lambda: all(each.condition("Ready") == ("True", "") for each in knative.revisions.values()),
        "the next one takes the rest up",
        60,
    )


async def test_without_the_api_server_that_it_leads_by(
    knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy
) -> None:
    serving = await start_behind(autoscaler, proxy)
    with proxy.away():
        assert await serving.stop() < MOST_SECONDS
    assert "could not be released" in serving.log.read_text()


async def test_a_second_signal_waits_for_nothing(
    knative: Knative, autoscaler: Autoscaler, proxy: ApiProxy
) -> None:
    serving = await start_behind(autoscaler, proxy)
    proxy.delay = 60.0  # the lease is being released until its time is over
    await asyncio.sleep(0.1)
    serving.process.send_signal(signal.SIGTERM)
    await serving.logs("asked to end")
    assert serving.process.returncode is None
    serving.process.send_signal(signal.SIGTERM)
    assert await ended(serving) == 1, "an end after the release would be 0"


async def ended(serving: Serving) -> int:
    """Wait for the end of a process; returns its exit code."""
    async with asyncio.timeout(MOST_SECONDS):
        return await serving.process.wait()
