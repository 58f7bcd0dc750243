"""Edits of files are seen once, whole, and however they are made.

Covered: writes, replacement, removal, return, swapped links, half-written files. Left out: unreadable disks.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kpa.local.manifests.watcher import Watcher
from tests.kpa.local.helpers import until

INTERVAL = 0.02


class Edits:
    """Contents of the watched files at each change."""

    def __init__(self, directory: Path) -> None:
        self.one, self.other = directory / "one.yaml", directory / "other.yaml"
        self.told: list[dict[str, str]] = []

    def hear(self, paths: tuple[Path, ...]) -> None:
        """Note a change."""
        self.told.append({path.name: path.read_text() for path in paths})


@pytest.fixture
async def edits(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Edits]:
    """The parameter, if there is one, says after how many seconds a missing file counts as gone."""
    gone_after = getattr(request, "param", 600.0)
    found = Edits(tmp_path)
    found.one.write_text("1")
    found.other.write_text("2")
    watcher = Watcher([found.one, found.other], found.hear, interval=INTERVAL, gone_after=gone_after)
    running = asyncio.create_task(watcher.run())
    yield found
    running.cancel()
    await asyncio.wait([running])


async def test_nothing_is_told_while_nothing_changes(edits: Edits) -> None:
    edits.one.write_text("1")
    await asyncio.sleep(10 * INTERVAL)
    assert edits.told == []


async def test_a_write_is_told_once_with_all_files(edits: Edits) -> None:
    edits.one.write_text("new")
    await until(lambda: edits.told, "the edit is told")
    await asyncio.sleep(10 * INTERVAL)
    assert edits.told == [{"one.yaml": "new", "other.yaml": "2"}]


async def test_an_editors_replacement_is_told(edits: Edits, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(edits.one)
    await until(lambda: edits.told == [{"one.yaml": "new", "other.yaml": "2"}], "the replacement is told")


async def test_a_swapped_link_is_told(tmp_path: Path) -> None:
    edits = Edits(tmp_path)
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "one.yaml").write_text(version)
    (tmp_path / "data").symlink_to("v1")
    edits.one.symlink_to("data/one.yaml")
    running = asyncio.create_task(Watcher([edits.one], edits.hear, interval=INTERVAL).run())
    (tmp_path / "next").symlink_to("v2")
    await asyncio.sleep(3 * INTERVAL)
    (tmp_path / "next").replace(tmp_path / "data")
    await until(lambda: edits.told == [{"one.yaml": "v2"}], "the swap is told")
    running.cancel()


async def test_a_file_deleted_and_written_again_is_one_edit(edits: Edits) -> None:
    edits.one.unlink()
    await asyncio.sleep(3 * INTERVAL)
    edits.one.write_text("again")
    await until(lambda: edits.told, "the edit is told")
    assert edits.told == [{"one.yaml": "again", "other.yaml": "2"}]


async def test_a_file_deleted_and_back_unchanged_is_no_edit(edits: Edits) -> None:
    edits.one.unlink()
    await asyncio.sleep(3 * INTERVAL)
    edits.one.write_text("1")
    await asyncio.sleep(10 * INTERVAL)
    assert edits.told == []


@pytest.mark.parametrize("edits", [0.3], indirect=True)
async def test_a_file_that_stays_away_is_told_as_gone_and_its_return_too(edits: Edits) -> None:
    edits.one.unlink()
    await until(lambda: edits.told, "the removal is told")
    edits.one.write_text("1")
    await until(lambda: len(edits.told) == 2, "the return is told")
    assert edits.told == [{"other.yaml": "2"}, {"one.yaml": "1", "other.yaml": "2"}]


async def test_a_file_that_is_still_being_written_waits(edits: Edits) -> None:
    with edits.one.open("w") as file:
        for part in range(20):
            file.write(f"{part},")
            file.flush()
            await asyncio.sleep(INTERVAL / 4)
    await until(lambda: edits.told, "the edit is told")
    await asyncio.sleep(10 * INTERVAL)
    assert edits.told[-1]["one.yaml"].endswith("19,")
    assert len(edits.told) <= 2
