"""A collector for each test, on a clock that the test walks forward."""

from collections.abc import AsyncIterator

import pytest

from tests.metrics.rig import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.end_all()
