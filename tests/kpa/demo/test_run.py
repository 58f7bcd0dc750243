"""The whole demonstration around a stand-in for `kpa local`.

Covered: success, each way to fail, signals, what is left behind. The real one runs in tests marked e2e.
"""

import asyncio
import io
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from kpa.demo import run
from kpa.demo.child import ChildError
from kpa.demo.run import demonstrate
from kpa.demo.scenario import DemoScenario
from kpa.demo.trace import Arrival, ArrivalTrace, Phase
from kpa.local.processes.process_table import descendants
from tests.kpa.demo.test_child import fake

pytestmark = pytest.mark.process

TRACE = ArrivalTrace(
    "three requests", (Arrival(0.7, 0), Arrival(1.0, 0), Arrival(1.5, 0)), (Phase(0, "all"),)
)
ENDLESS = ArrivalTrace("one much later", (Arrival(0.1, 0), Arrival(3600, 0)))


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demonstration keeps its files; it must be empty afterwards, and no child be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(descendants(os.getpid()))  # a browser of other tests, perhaps
    yield tmp_path
    assert os.listdir(tmp_path) == []
    assert set(descendants(os.getpid())) <= before


async def shown(behaviour: str, trace: ArrivalTrace = TRACE) -> tuple[int, str]:
    output = io.StringIO()
    code = await demonstrate(DemoScenario(), trace, Console(file=output, width=100), fake(behaviour))
    return code, output.getvalue()


async def test_a_service_that_goes_up_and_down_is_a_success() -> None:
    code, text = await shown("well")
    assert code == 0
    assert "The service went 0 → 1 → 0 and every request was answered." in text
    assert "3: 3 answered 200, 0 others" in text
    assert "all " in text


async def test_failed_requests_make_it_fail() -> None:
    code, text = await shown("full")
    assert code == 1
    assert "3 x 503: full" in text


async def test_a_service_that_stays_up_makes_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PATIENCE_SECONDS", -18.0)  # of 19 s by the rules one is left
    code, text = await shown("stuck")
    assert code == 1
    assert "the service did not come back to zero; 1 replicas are left" in text


async def test_an_early_end_of_kpa_local_is_an_error() -> None:
    with pytest.raises(ChildError, match="out of luck"):
        await shown("dies", ENDLESS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_and_leaves_nothing(number: signal.Signals, temporary_folder: Path) -> None:
    output = Announcing("in flight")
    running = asyncio.create_task(
        demonstrate(DemoScenario(), ENDLESS, Console(file=output, width=100), fake("slow"))
    )
    announced = asyncio.create_task(output.announced.wait())
    await asyncio.wait([announced, running], timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert announced.done()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(30):
        while not (ending := list(temporary_folder.glob("*/ending"))):  # noqa: ASYNC240
            await asyncio.sleep(0.01)
    os.kill(os.getpid(), number)  # impatience changes nothing
    ending[0].with_name("end").touch()
    assert await asyncio.wait_for(running, 60) == 128 + number
    assert "nothing is left running" in output.getvalue()


class Announcing(io.StringIO):
    """Text output with an event for when it holds some words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self.announced = asyncio.Event()

    def write(self, text: str) -> int:
        if self._words in text:
            self.announced.set()
        return super().write(text)
