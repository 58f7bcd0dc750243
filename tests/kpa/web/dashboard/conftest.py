"""A dashboard over a made-up fleet, and who looks at it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.browser.synthetic import Synthetic


@pytest.fixture
async def fleet() -> AsyncIterator[Synthetic]:
    synthetic = Synthetic(50)
    await synthetic.start()
    yield synthetic
    await synthetic.close()


@pytest.fixture
async def client(fleet: Synthetic) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(fleet.url) as session:
        yield session
