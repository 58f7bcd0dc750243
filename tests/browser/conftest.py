"""One headless Chromium for all tests here, a window of its own for each of them.

A window lets nothing pass unseen: errors of the page, messages on its console, requests to other hosts and
requests that fail make its test fail, unless the test says beforehand that it breaks the connection.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from kpa.web.dashboard import live
from tests.browser.synthetic import Synthetic

DEADLINE = 30_000
"""Milliseconds after which a condition counts as never met; generous, for slow machines."""

READS = "willReadFrequently"
"""Of a warning that tests bring about by looking at what is drawn."""

Open = Callable[..., AbstractAsyncContextManager[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser."""
    expect.set_options(timeout=DEADLINE)
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        assert program is not None, "Debian's package chromium is not installed"
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=2 * DEADLINE
        )
        yield browser
        await browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Open:
    """Open an address in a window of its own."""

    @asynccontextmanager
    async def window(url: str, *, breaks: bool = False, **options: Any) -> AsyncIterator[Page]:
        context = await chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        context.set_default_timeout(DEADLINE)
        page = await context.new_page()
        problems = _problems_of(page, url)
        await page.goto(url)
        yield page
        await context.close()
        assert breaks or not problems, problems

    return window


def _problems_of(page: Page, url: str) -> list[str]:
    own = "/".join(url.split("/")[:3])
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("console", lambda said: READS in said.text or problems.append(f"{said.type}: {said.text}"))
    page.on("request", lambda asked: asked.url.startswith(own + "/") or problems.append(f"asks {asked.url}"))
    page.on("response", lambda told: told.status < 400 or problems.append(f"{told.status}: {told.url}"))
    return problems


Start = Callable[[int], Awaitable[Synthetic]]


@pytest_asyncio.fixture(loop_scope="session")
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Start a dashboard over a made-up fleet of some size, looked at more often than usual."""
    monkeypatch.setattr(live, "INTERVAL", 0.5)
    started: list[Synthetic] = []

    async def begin(count: int) -> Synthetic:
        synthetic = Synthetic(count)
        started.append(synthetic)
        await synthetic.start()
        return synthetic

    yield begin
    for synthetic in started:
        await synthetic.close()
