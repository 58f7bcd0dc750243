"""Start, output and end of one process.

Covered: exit codes, lines of any length and encoding, escalation from SIGTERM to SIGKILL, descendants in the
group, in other sessions and with a cleared environment, stopped processes, descriptors. Left out: systems
without /proc.
"""

import asyncio
import os
import signal
import sys
import time

import pytest

from kpa.local.processes.process import MAX_LINE, Process
from tests.kpa.local.helpers import marked, until

pytestmark = pytest.mark.process

PYTHON = (sys.executable, "-E", "-S", "-c")


def start(*argv: str, lines: list[str] | None = None, **more: str) -> Process:
    return Process(argv, {**os.environ, **more}, (lines if lines is not None else []).append)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)], ids=["good", "bad", "signal"]
)
async def test_the_exit_code_is_told_and_a_signal_is_negative(script: str, code: int) -> None:
    process = start("sh", "-c", script)
    assert await process.wait() == code
    assert await process.clear() == code


async def test_a_command_that_does_not_exist_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        start("/does/not/exist")


async def test_output_and_errors_come_as_lines_in_order() -> None:
    lines: list[str] = []
    process = start("sh", "-c", "echo one; echo two >&2; printf three", lines=lines)
    await process.wait()
    await process.clear()
    assert lines == ["one", "two", "three"]


async def test_a_line_without_end_comes_in_bounded_parts_and_bad_text_is_kept_readable() -> None:
    lines: list[str] = []
    script = f"import os; os.write(1, b'x' * {3 * MAX_LINE} + b'\\n' + bytes([255]) + b'\\r\\n')"
    process = start(*PYTHON, script, lines=lines)
    await process.wait()
    await process.clear()
    assert max(map(len, lines)) <= 65536 + MAX_LINE
    assert "".join(lines) == "x" * 3 * MAX_LINE + "\ufffd"


async def test_a_process_that_heeds_sigterm_is_not_killed() -> None:
    lines: list[str] = []
    process = start("sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done", lines=lines)
    await until(lambda: lines, "the trap is set")
    assert await process.stop(grace=30) == 5


@pytest.mark.parametrize("stopped", [False, True], ids=["ignores SIGTERM", "is stopped"])
async def test_a_process_that_does_not_end_is_killed_after_the_grace(stopped: bool) -> None:
    lines: list[str] = []
    process = start("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done", lines=lines)
    await until(lambda: lines, "the trap is set")
    if stopped:
        os.killpg(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert await process.stop(grace=0.3) == -9
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    "script",
    [
        "sleep 1000 & wait",
        "setsid sleep 1000 & wait",
        "(setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 1000",
        "env -i sh -c 'sleep 1000 & sleep 1000' & wait",
    ],
    ids=["child", "own session", "orphan in own session", "cleared environment"],
)
async def test_nothing_that_a_process_started_outlives_it(script: str, mark: str) -> None:
    process = start("sh", "-c", f"{script} # {mark}")
    await until(lambda: len(marked(mark)) >= 2 or "env -i" in script, "its children run")
    await process.stop(grace=0.2)
    assert marked(mark) == []


async def test_a_job_of_its_own_group_with_a_cleared_environment_ends_too(mark: str) -> None:
    job = f"env -i sh -c ': {mark}; sleep 1000; :'"
    process = start("sh", "-c", f"set -m; {job} & sleep 1000; :")
    await until(lambda: len(marked(mark)) == 3, "the job runs")
    await process.stop(grace=0.2)
    assert marked(mark) == []


async def test_descendants_end_also_when_the_process_ended_by_itself(mark: str) -> None:
    process = start("sh", "-c", "setsid sleep 1000 & exit 4")
    assert await process.wait() == 4
    assert await process.clear() == 4
    assert marked(mark) == []


async def test_another_process_is_not_touched_by_the_end_of_one(mark: str) -> None:
    lines: list[str] = []
    one, other = start("sleep", "1000"), start("sh", "-c", "echo up; exec sleep 1000", lines=lines)
    await until(lambda: lines, "the other runs")
    await one.stop(grace=1)
    assert not other.ended.done()
    assert marked(mark) == [other.pid]
    await other.stop(grace=1)


async def test_only_passed_descriptors_are_inherited() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    lines: list[str] = []
    script = "import os; print(*os.listdir('/proc/self/fd'))"
    process = Process((*PYTHON, script), dict(os.environ), lines.append, pass_fds=(writing,))
    await process.wait()
    await process.clear()
    inherited = {int(number) for number in lines[0].split()}
    assert writing in inherited
    assert reading not in inherited
    os.close(reading)
    os.close(writing)


async def test_a_flood_of_output_does_not_stop_the_event_loop() -> None:
    lines: list[str] = []
    process = start("sh", "-c", "yes 0123456789012345678901234567890123456789", lines=lines)
    await until(lambda: len(lines) > 100_000, "lines come")
    await asyncio.wait_for(process.stop(grace=5), 20)
