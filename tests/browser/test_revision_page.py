"""The page of one revision in a real browser, over a made-up fleet.

Covered: charts, their legend, the explanation, settings with their sources, times, both schemes, a revision
that is gone and comes back. `test_local_dashboard` has the same over a real `kpa local`.
"""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Open, Start
from tests.browser.synthetic import Synthetic

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def address(fleet: Synthetic, place: int = 0) -> str:
    key = list(fleet.statuses)[place]
    return f"{fleet.url}/#/revisions/{key.namespace}/{key.name}"


async def until_drawn(page: Page, chart: str) -> None:
    """Wait until a chart has more than twenty colours."""
    await page.wait_for_function(
        """chart => {
            const canvas = document.querySelector(`#${chart} canvas`);
            if (!canvas) return false;
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const seen = new Set();
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3]) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
            }
            return seen.size > 20;
        }""",
        arg=chart,
    )


async def until_coloured(page: Page, chart: str, name: str) -> None:
    """Wait until a colour of the theme is on a chart."""
    await page.wait_for_function(
        """([chart, name]) => {
            const canvas = document.querySelector(`#${chart} canvas`);
            if (!canvas) return false;
            const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
            const want = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4) {
                const like = (part, place) => Math.abs(part - data[at + place]) < 3;
                if (data[at + 3] > 250 && want.every(like)) return true;
            }
            return false;
        }""",
        arg=[chart, name],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_charts_show_load_pods_panic_and_delay(start: Start, open_page: Open, scheme: str) -> None:
    fleet = await start(24)
    async with open_page(address(fleet), color_scheme=scheme) as page:
        for chart, inks in {
            "load-chart": ["blue", "orange", "red"],
            "pods-chart": ["blue", "green", "red"],
        }.items():
            await until_drawn(page, chart)
            for ink in inks:
                await until_coloured(page, chart, ink)
        legends = await page.locator("#pods-chart .u-label").all_inner_texts()
        assert legends[1:] == [
            "most by rate",
            "least by rate",
            "before delay",
            "recommended",
            "ready",
            "requested",
        ]


async def test_the_legend_has_values_of_now_and_of_the_pointer(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    ready = next(iter(fleet.statuses.values())).ready
    async with open_page(address(fleet)) as page:
        value = page.locator("#pods-chart .u-series", has_text="ready").locator(".u-value")
        await expect(value).to_have_text(str(ready))
        time = page.locator("#pods-chart .u-series").first.locator(".u-value")
        await expect(time).to_have_text("now")
        await page.locator("#load-chart .u-over").hover(position={"x": 60, "y": 50})
        await expect(time).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


async def test_the_explanation_and_settings_are_shown(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    async with open_page(address(fleet)) as page:
        await expect(page.locator("#summary")).to_contain_text("2 pods, 1 ready: said of")
        await expect(page.locator("#next")).to_have_text("Next: nothing until the load changes.")
        await expect(page.locator("#steps li")).to_have_count(2)
        await expect(page.locator("#steps li").last).to_contain_text("min-scale 2 is the least")
        await expect(page.locator("#past td").last).to_have_text("load")
        settings = [row.split("\t") for row in await page.locator("#settings tr").all_inner_texts()]
        assert settings[1:] == [
            ["stable-window", "20s", "annotation autoscaling.knative.dev/window"],
            ["scale-down-delay", "2m", "ConfigMap config-autoscaler"],
            ["pod-autoscaler-class", "kpa.autoscaling.knative.dev", "default"],
        ]


async def test_it_goes_on_live(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    key = next(iter(fleet.statuses))
    async with open_page(address(fleet)) as page:
        await expect(page.locator("#pods-words")).to_be_attached()
        fleet.change(key.name, ready=321)
        await expect(page.locator("#pods-words")).to_contain_text("Now 321 ready")
        value = page.locator("#pods-chart .u-series", has_text="ready").locator(".u-value")
        await expect(value).to_have_text("321")


async def test_a_revision_that_is_gone_says_so_and_may_come_back(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    key = next(iter(fleet.statuses))
    status = fleet.statuses[key]
    async with open_page(address(fleet), breaks=True) as page:
        await expect(page.locator("#summary")).to_contain_text("said of")
        fleet.remove(key.name)
        await expect(page.locator("#summary")).to_contain_text("it is gone")
        fleet.statuses[key] = status
        await expect(page.locator("#summary")).to_contain_text("said of")


@pytest.mark.parametrize("width", [360, 901, 1024, 1280])
async def test_nothing_is_wider_than_the_window(start: Start, open_page: Open, width: int) -> None:
    fleet = await start(1)
    async with open_page(address(fleet), viewport={"width": width, "height": 700}) as page:
        await expect(page.locator("#pods-chart canvas")).to_be_visible()
        assert await page.evaluate("() => document.documentElement.scrollWidth") == width


async def test_times_are_local(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    async with open_page(address(fleet), timezone_id="Asia/Kolkata") as page:
        await expect(page.locator("#known")).to_be_visible()
        told = await page.evaluate(
            """async () => {
                const { localTimes } = await import("/dashboard/format.js");
                const now = Date.UTC(2026, 0, 1, 23, 59, 0) / 1000;
                return localTimes("until 00:00:10 UTC (in 1m10s)", now);
            }"""
        )
        assert told == "until 05:30:10 (in 1m10s)"


async def test_colours_change_on_the_charts_too(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    async with open_page(address(fleet), color_scheme="light") as page:
        await expect(page.locator("#pods-chart canvas")).to_be_visible()
        await page.locator("#theme").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await until_coloured(page, "pods-chart", "green")
