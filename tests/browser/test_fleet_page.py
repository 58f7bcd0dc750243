"""The table of all revisions in a real browser, over a made-up fleet of 5,000.

Covered: what it shows, search, sort, the keyboard, roles for screen readers, live changes, how many rows are
in the page, a phone, light and dark, an empty fleet, a server that goes and comes back. Left out: whether it
is pleasant to look at, which people judge by screenshots.
"""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from metrics.key import Key
from tests.browser.conftest import Open, Start
from tests.kpa.controller.status_samples import sample

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2}
ROWS = "#rows .row"
SOME = 600  # revisions, where it does not matter how many there are


async def names(page: Page) -> list[str]:
    """The revisions in the page, from top to bottom."""
    return await page.locator(f"{ROWS} a").all_inner_texts()


async def column(page: Page, name: str) -> list[str]:
    return await page.locator(f"{ROWS} .c-{name}").all_inner_texts()


async def test_the_fleet_is_shown_with_its_totals(start: Start, open_page: Open) -> None:
    fleet = await start(5000)
    async with open_page(fleet.url) as page:
        await expect(page.locator("#total-revisions")).to_have_text("5,000")
        ready = sum(status.ready for status in fleet.statuses.values())
        await expect(page.locator("#total-ready")).to_have_text(f"{ready:,}")
        panicking = sum(status.mode == "panic" for status in fleet.statuses.values())
        await expect(page.locator("#total-panic")).to_have_text(str(panicking))
        await expect(page.locator("#profile")).to_have_text("profile inference")
        await expect(page.locator("#connection")).to_have_text("live")
        first = page.locator(ROWS).first
        status = fleet.statuses[Key(*(await first.locator("a").inner_text()).split("/"))]
        assert await first.locator(".c-pods").inner_text() == f"{status.ready} / {status.requested}"
        assert await first.locator(".c-rule").inner_text() == status.rule


async def test_only_rows_in_sight_are_in_the_page(start: Start, open_page: Open) -> None:
    fleet = await start(5000)
    async with open_page(fleet.url) as page:
        await expect(page.locator("#grid")).to_have_attribute("aria-rowcount", "5001")
        await expect(page.locator(ROWS).first).to_be_visible()
        assert await page.locator(ROWS).count() <= 40
        before = await names(page)
        await page.locator("#space").evaluate("space => { space.scrollTop = space.scrollHeight }")
        last = page.locator(f'{ROWS}[aria-rowindex="5001"]')
        await expect(last).to_be_visible()
        assert await page.locator(ROWS).count() <= 40
        assert not set(before) & set(await names(page))
        assert await page.locator("*").count() < 1000


async def test_sparklines_are_drawn_for_rows_in_sight(start: Start, open_page: Open) -> None:
    fleet = await start(SOME)
    async with open_page(fleet.url) as page:
        await page.wait_for_function(
            """() => [...document.querySelectorAll("#rows canvas")].every((canvas) => {
                const { values, width, height } = canvas;
                return values && canvas.getContext("2d").getImageData(0, 0, width, height).data.some(Boolean);
            })"""
        )


async def test_search_finds_names_states_and_rules(start: Start, open_page: Open) -> None:
    fleet = await start(SOME)
    async with open_page(fleet.url) as page:
        await page.keyboard.press("/")
        await expect(page.locator("#search")).to_be_focused()
        await page.keyboard.type("Team-03 panic")
        expected = {
            str(key) for key, it in fleet.statuses.items() if key.namespace == "team-03" and it.panicking
        }
        await expect(page.locator("#count")).to_have_text(f"{len(expected)} of {SOME}")
        assert set(await names(page)) <= expected
        assert set(await column(page, "state")) == {"▲ panic"}
        await page.locator("#search").fill("nothing has this name")
        await expect(page.locator("#empty")).to_have_text("No revision matches.")
        await page.locator("#search").fill("")
        await expect(page.locator("#grid")).to_have_attribute("aria-rowcount", str(SOME + 1))


async def test_columns_sort_both_ways_and_say_so(start: Start, open_page: Open) -> None:
    fleet = await start(SOME)
    most = max(status.ready for status in fleet.statuses.values())
    async with open_page(fleet.url) as page:
        await expect(page.locator(ROWS).first).to_be_visible()
        head = page.get_by_role("columnheader", name="Ready / requested")
        assert await head.get_attribute("aria-sort") == "none"
        await head.get_by_role("button").click()
        await expect(head).to_have_attribute("aria-sort", "descending")
        await expect(page.locator(f"{ROWS} .c-pods").first).to_have_text(f"{most} / {most}")
        await head.get_by_role("button").press("Enter")
        await expect(head).to_have_attribute("aria-sort", "ascending")
        await expect(page.locator(f"{ROWS} .c-pods").first).to_have_text(re.compile(r"^0 / "))
        await page.get_by_role("columnheader", name="Next").get_by_role("button").click()
        await expect(page.locator(f"{ROWS} .c-next").first).to_contain_text("to zero in ")


async def test_no_heading_is_cut(start: Start, open_page: Open) -> None:
    """Sorted columns have the widest headings: bold, with an arrow."""
    fleet = await start(SOME)
    async with open_page(fleet.url) as page:
        for heading in await page.locator(".head button").all():
            await heading.click()
            assert await heading.evaluate("({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth")


async def test_names_are_in_the_order_of_their_numbers(start: Start, open_page: Open) -> None:
    fleet = await start(0)
    for number in (10, 9, 100):
        key = Key("shop", f"cart-{number}")
        fleet.statuses[key] = sample(key=key)
    async with open_page(fleet.url) as page:
        await expect(page.locator(ROWS)).to_have_count(3)
        assert await names(page) == ["shop/cart-9", "shop/cart-10", "shop/cart-100"]


async def test_the_table_is_used_by_keyboard(start: Start, open_page: Open) -> None:
    fleet = await start(5000)
    async with open_page(fleet.url) as page:
        await expect(page.locator(ROWS).first).to_be_visible()
        await page.keyboard.press("/")
        await page.keyboard.press("ArrowDown")
        focused = page.locator(f"{ROWS}:focus-within")
        await expect(focused).to_have_attribute("aria-rowindex", "2")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("End")
        await expect(focused).to_have_attribute("aria-rowindex", "5001")
        await expect(focused).to_be_in_viewport()
        await page.keyboard.press("PageUp")
        await page.keyboard.press("Home")
        for _ in range(30):
            await page.keyboard.press("ArrowDown")
        await expect(focused).to_have_attribute("aria-rowindex", "32")
        assert await page.locator(f'{ROWS} a[tabindex="0"]').count() == 1
        assert "solid" in await focused.evaluate("row => getComputedStyle(row).outlineStyle")
        name = await focused.locator("a").inner_text()
        await page.keyboard.press("Enter")
        await expect(page.locator("#revision-title")).to_have_text(name)
        await page.keyboard.press("Escape")
        await expect(focused.locator("a")).to_have_text(name)
        await expect(focused).to_be_in_viewport()
        await page.keyboard.press("Home")
        await page.keyboard.press("ArrowUp")
        await expect(page.locator("#search")).to_be_focused()


async def test_screen_readers_find_a_grid_in_the_order_of_sight(start: Start, open_page: Open) -> None:
    fleet = await start(100)
    async with open_page(fleet.url) as page:
        await page.get_by_role("columnheader", name="Load / target").get_by_role("button").click()
        await page.locator("#space").evaluate("space => { space.scrollTop = 900 }")
        grid = page.get_by_role("grid", name="Revisions")
        await expect(grid).to_have_attribute("aria-rowcount", "101")
        await expect(page.locator(f'{ROWS}[aria-rowindex="30"]')).to_be_visible()
        rows = grid.get_by_role("row")
        indices = [int(await row.get_attribute("aria-rowindex") or 0) for row in await rows.all()]
        assert indices == sorted(indices)
        assert await rows.nth(1).get_by_role("gridcell").count() == 8
        assert await rows.nth(1).get_by_role("link").count() == 1


async def test_changes_arrive_live_and_gone_rows_go(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    changed, gone, *_ = fleet.statuses
    async with open_page(fleet.url) as page:
        line = page.locator(f'{ROWS}[data-key="{changed.namespace}/{changed.name}"]')
        await line.locator("a").focus()
        fleet.change(changed.name, ready=77, requested=99, mode="panic", panicking=True)
        fleet.remove(gone.name)
        new = Key("team-00", "a-new-one")
        fleet.statuses[new] = sample(key=new)
        await expect(line.locator(".c-pods")).to_have_text("77 / 99")
        await expect(line.locator(".c-state")).to_have_text("▲ panic")
        await expect(page.locator(f'{ROWS}[data-key="{gone.namespace}/{gone.name}"]')).to_have_count(0)
        await expect(page.locator(f'{ROWS}[data-key="team-00/a-new-one"]')).to_have_count(1)
        await expect(line.locator("a")).to_be_focused()


async def test_the_focus_goes_with_its_row_when_others_pass_it(start: Start, open_page: Open) -> None:
    fleet = await start(SOME)
    async with open_page(fleet.url) as page:
        await page.get_by_role("columnheader", name="Ready / requested").get_by_role("button").click()
        line = page.locator(ROWS).nth(3)
        key = Key(*str(await line.get_attribute("data-key")).split("/"))
        await line.locator("a").focus()
        fleet.change(key.name, ready=0)
        line = page.locator(f'{ROWS}[data-key="{key.namespace}/{key.name}"]')
        await expect(line.locator(".c-pods")).to_have_text(re.compile(r"^0 / "))
        await expect(line.locator("a")).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await expect(page.locator(f"{ROWS}:focus-within")).to_be_in_viewport()


async def test_one_change_is_drawn_once(start: Start, open_page: Open) -> None:
    fleet = await start(5000)
    async with open_page(fleet.url) as page:
        await expect(page.locator(ROWS).first).to_be_visible()
        drawn = await page.evaluate(
            """() => new Promise((done) => {
                let frames = 0;
                const ask = window.requestAnimationFrame.bind(window);
                window.requestAnimationFrame = (work) => { frames++; return ask(work); };
                const timers = [];
                for (const name of ["setTimeout", "setInterval"]) {
                    const set = window[name].bind(window);
                    window[name] = (...all) => { timers.push(name); return set(...all); };
                }
                const source = new EventSource("/api/stream");
                let changes = 0;
                const begin = () => {
                    frames = timers.length = 0;
                    const search = document.getElementById("search");
                    for (let turn = 0; turn < 10; turn++) search.dispatchEvent(new Event("input"));
                };
                source.addEventListener("change", () => {
                    if (++changes === 1) begin();
                    if (changes < 4) return;
                    source.close();
                    ask(() => done({ frames, timers: timers.length }));
                });
            })"""
        )
        assert 1 <= drawn["frames"] <= 5
        assert drawn["timers"] <= 10


async def test_an_empty_fleet_says_so(start: Start, open_page: Open) -> None:
    fleet = await start(0)
    async with open_page(fleet.url) as page:
        await expect(page.locator("#empty")).to_have_text("No revision is scaled yet.")


async def test_a_phone_shows_all_without_scrolling_sideways(start: Start, open_page: Open) -> None:
    fleet = await start(500)
    async with open_page(fleet.url, **PHONE) as page:
        await expect(page.locator(ROWS).first).to_be_visible()
        wide = "() => document.documentElement.scrollWidth <= innerWidth"
        assert await page.evaluate(wide)
        await page.locator("#sort-by").select_option("pods")
        most = max(status.ready for status in fleet.statuses.values())
        await expect(page.locator(f"{ROWS} .c-pods").first).to_have_text(re.compile(rf"^{most} / "))
        ready = [int(text.split(" /")[0]) for text in await column(page, "pods")]
        assert ready == sorted(ready, reverse=True)
        await page.locator("#direction").tap()
        await expect(page.locator(f"{ROWS} .c-pods").first).to_have_text(re.compile(r"^0 / "))
        await page.locator(ROWS).first.tap()
        await expect(page.locator("#pods-chart canvas")).to_be_visible()
        assert await page.evaluate(wide)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_follow_the_system_and_the_button(start: Start, open_page: Open, scheme: str) -> None:
    fleet = await start(24)
    other = {"light": "dark", "dark": "light"}[scheme]
    async with open_page(fleet.url, color_scheme=scheme) as page:
        root = page.locator("html")
        await expect(root).to_have_attribute("data-theme", scheme)
        assert await contrasts(page)
        await page.locator("#theme").click()
        await expect(root).to_have_attribute("data-theme", other)
        await page.reload()
        await expect(root).to_have_attribute("data-theme", other)


async def contrasts(page: Page) -> bool:
    """Whether all text colours have a contrast of 4.5 or more with both grounds."""
    least = await page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            const light = (name) => {
                const parts = style.getPropertyValue(`--${name}`).match(/[0-9a-f]{2}/g).slice(0, 3);
                const [r, g, b] = parts.map((part) => parseInt(part, 16) / 255)
                    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
            };
            const contrast = (a, b) => Math.max(a, b) / Math.min(a, b);
            const inks = ["text", "quiet", "blue", "red", "orange", "green", "violet"].map(light);
            const grounds = ["ground", "surface"].map(light);
            return Math.min(...inks.flatMap((ink) => grounds.map((ground) => contrast(ink, ground))));
        }"""
    )
    return bool(least >= 4.5)


async def test_a_server_that_goes_and_comes_back_is_noticed(start: Start, open_page: Open) -> None:
    fleet = await start(24)
    async with open_page(fleet.url, breaks=True) as page:
        await expect(page.locator("#connection")).to_have_text("live")
        await fleet.close()
        await expect(page.locator("#connection")).to_contain_text("no connection to kpa since")
        await expect(page.locator(ROWS).first).to_be_visible()
        gone = next(iter(fleet.statuses))
        fleet.remove(gone.name)
        await fleet.start()
        await expect(page.locator("#connection")).to_have_text("live")
        await expect(page.locator("#total-revisions")).to_have_text("23")


async def test_a_page_out_of_sight_holds_no_connection(start: Start, open_page: Open) -> None:
    def streams() -> int:
        return sum("_until_gone" in repr(task.get_coro()) for task in asyncio.all_tasks())

    see = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    fleet = await start(24)
    async with open_page(fleet.url) as page:
        await expect(page.locator("#total-revisions")).to_have_text("24")
        assert streams() == 1
        await page.evaluate(see, True)
        async with asyncio.timeout(30):
            while streams():
                await asyncio.sleep(0.05)
        fleet.remove(next(iter(fleet.statuses)).name)
        await page.evaluate(see, False)
        await expect(page.locator("#total-revisions")).to_have_text("23")


async def test_scripts_from_elsewhere_are_forbidden(start: Start, open_page: Open) -> None:
    fleet = await start(1)
    async with open_page(fleet.url, breaks=True) as page:
        blocked = await page.evaluate(
            """() => new Promise((done) => {
                addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
                const script = document.createElement("script");
                script.textContent = "1";
                document.head.append(script);
            })"""
        )
        assert blocked == "script-src-elem"
