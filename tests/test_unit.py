"""Unit tests start no process, and the marker `process` says who may."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Generator

import pytest

from tests import unit


class Item:
    """A test that has some markers."""

    def __init__(self, *markers: str) -> None:
        self.markers = list(markers)

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.markers else None

    def add_marker(self, name: str) -> None:
        self.markers.append(name)


def teardown(item: Item) -> None:
    hook: Generator[None, None, None] = unit.pytest_runtest_teardown(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(None)


@pytest.mark.parametrize("marker", unit.IMPLY_PROCESSES)
def test_a_marker_of_programs_implies_processes(marker: str) -> None:
    items = [Item(marker), Item("timed")]
    unit.pytest_collection_modifyitems(items)
    assert [item.markers for item in items] == [[marker, "process"], ["timed"]]


def start() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def start_in_a_loop() -> None:
    async def play() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await process.wait()

    asyncio.run(play())


@pytest.mark.process
@pytest.mark.parametrize("start", [start, start_in_a_loop])
def test_a_unit_test_that_starts_a_process_fails(start: Callable[[], None]) -> None:
    start()
    with pytest.raises(pytest.fail.Exception, match=r"without the marker `process` has started .*python"):
        teardown(Item())
    teardown(Item())  # it is over with that test


@pytest.mark.process
def test_one_with_the_marker_may() -> None:
    start()
    teardown(Item("process"))
