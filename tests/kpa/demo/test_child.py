"""`kpa local` as a child.

Covered: start, ports, an early end with its last words, a deaf one, stop, a killed parent.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from kpa.demo import child
from kpa.demo.child import ChildError, Local
from kpa.local.processes.process_table import descendants

pytestmark = pytest.mark.process


def fake(behaviour: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.kpa.demo.fake_local", behaviour)


async def started(behaviour: str, folder: Path) -> Local:
    return await Local.start(folder / "model.yaml", folder / "config.yaml", folder, fake(behaviour))


async def test_it_is_started_on_free_ports_and_stopped(tmp_path: Path) -> None:
    local = await started("well", tmp_path)
    local.check_running()
    assert local.port != local.telemetry_port
    assert min(local.port, local.telemetry_port) > 0
    _, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.close()
    await local.stop()
    with pytest.raises(ChildError, match=r"^kpa local ended with status -15:\nfake local: listening$"):
        local.check_running()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", local.port)


async def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    local = await started("well", tmp_path)
    await local.stop()
    await local.stop()


async def test_one_that_refuses_to_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ChildError) as refusal:
        await started("refuses", tmp_path)
    assert str(refusal.value) == "kpa local ended with status 1:\nmodel.yaml: nothing to run"


async def test_one_that_never_listens_is_given_up_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "START_SECONDS", 1.0)
    before = set(descendants(os.getpid()))
    with pytest.raises(ChildError, match=r"^kpa local does not listen after 1 s"):
        await started("deaf", tmp_path)
    assert set(descendants(os.getpid())) <= before


async def test_one_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "STOP_SECONDS", 0.2)
    code = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[sys.argv.index("--ready-file") + 1], "w") as file:
    file.write('{"port": 1, "telemetry_port": 2}')
signal.pause()
"""
    local = await Local.start(tmp_path, tmp_path, tmp_path, (sys.executable, "-c", code))
    await local.stop()
    with pytest.raises(ChildError, match="status -9"):
        local.check_running()


async def test_it_gets_sigterm_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib
from kpa.demo.child import Local
async def main():
    local = await Local.start(*[pathlib.Path({str(tmp_path)!r})] * 3, {fake("well")!r})
    print(local._process.pid, flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    watch = os.pidfd_open(pid)
    try:
        parent.kill()
        await parent.wait()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(watch, ended.set)
        await asyncio.wait_for(ended.wait(), 30)
    finally:
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
