"""The dashboard of a real `kpa local` with a service under load, in a real browser."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.e2e.running import Kpa, client, service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kpa(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kpa]:
    """One service of at most two replicas that six requests in flight would have more of."""
    shown = service("shown", {"target": 2, "max-scale": 2, "window": "10s"})
    kpa = Kpa(tmp_path_factory.mktemp("kpa"), [shown], {"scale-down-delay": "2m"})
    try:
        await asyncio.to_thread(kpa.wait_ready)
        async with client(kpa) as requests:
            loading = asyncio.create_task(requests.load("shown", 6, 200, "/?sleep=3000"))
            await asyncio.to_thread(kpa.wait_replicas, "shown-00001", 2)
            yield kpa
            loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loading
    finally:
        await asyncio.to_thread(kpa.end)


async def test_the_fleet_and_a_revision_are_shown_as_they_are(kpa: Kpa, open_page: Open) -> None:
    async with open_page(f"http://127.0.0.1:{kpa.telemetry_port}/") as page:
        row = page.locator('#rows .row[data-key="default/shown-00001"]')
        await expect(row.locator(".c-pods")).to_have_text("2 / 2")
        await expect(row.locator(".c-rule")).to_have_text("max-scale")
        await expect(row.locator(".c-stable")).to_have_text(re.compile(r"[56]\.\d\d"))
        await row.click()
        await expect(page.locator("#summary")).to_have_text("2 pods, 2 ready: the max-scale")
        await expect(page.locator("#steps")).to_contain_text("max-scale 2 is the most")
        own = await page.locator("#settings .own").all_inner_texts()
        assert {
            "stable-window\t10s\tannotation autoscaling.knative.dev/window",
            "max-scale\t2\tannotation autoscaling.knative.dev/max-scale",
            "scale-down-delay\t2m\tConfigMap",
        } <= set(own)
        ready = page.locator("#pods-chart .u-series", has_text="ready").locator(".u-value")
        await expect(ready).to_have_text("2")
        await expect(page.locator("#load-words")).to_have_text(re.compile(r"Now [56]\.\d\d over .*"))


async def test_it_stops_with_its_pages_open(kpa: Kpa, open_page: Open) -> None:
    async with open_page(f"http://127.0.0.1:{kpa.telemetry_port}/", breaks=True) as page:
        await expect(page.locator("#connection")).to_have_text("live")
        assert await asyncio.to_thread(kpa.stop) == 0
        await expect(page.locator("#connection")).to_contain_text("no connection to kpa")
