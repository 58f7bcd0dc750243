"""`kpa demo` as a person runs it, with the real `kpa local` and real replicas.

Covered: a short run from zero to one and back, Ctrl-C, kill -9; nothing is left in any case.
Left out: the default run, two and a half minutes of the same.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kpa.local.processes.process_table import descendants, table

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def demo(temporary: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the demonstration in a session of its own, as a terminal does, its files below `temporary`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kpa", "demo", *options),
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def told(process: asyncio.subprocess.Process, words: str) -> None:
    """Wait for words on the standard output."""
    assert process.stdout
    while words not in (line := (await process.stdout.readline()).decode()):
        assert line, f"it ended and never said {words!r}"


async def until_gone(pids: list[int], seconds: float) -> None:
    """Wait until none of some processes runs."""
    async with asyncio.timeout(seconds):
        while any(pid in (now := table()) and not now[pid].zombie for pid in pids):
            await asyncio.sleep(0.05)


async def test_a_short_run_goes_from_zero_to_one_and_back(tmp_path: Path) -> None:
    async with demo(tmp_path, "--seconds", "6") as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert "The service went 0 → 1 → 0 and every request was answered." in text, text
    assert process.returncode == 0
    assert os.listdir(tmp_path) == []


async def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    async with demo(tmp_path) as process:
        await told(process, "replicas 1 of 1")
        pids = descendants(process.pid)
        assert len(pids) >= 5  # two guardians or more, service, activator, queue-proxy, model
        os.killpg(process.pid, signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 130
        await until_gone(pids, seconds=60)
    assert os.listdir(tmp_path) == []


async def test_kill_9_leaves_no_process(tmp_path: Path) -> None:
    async with demo(tmp_path) as process:
        await told(process, "replicas 1 of 1")
        pids = descendants(process.pid)
        process.kill()
        await process.wait()
        await until_gone(pids, seconds=60)
