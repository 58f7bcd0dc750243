"""`kpa local` as a child of the demonstration, which never outlives it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kpa.local.processes.process_table import die_with_parent

COMMAND = (sys.executable, "-m", "kpa", "local")

START_SECONDS = 30.0
"""Until the activator must listen; on a busy machine the interpreters alone need a few seconds."""

STOP_SECONDS = 30.0
"""From SIGTERM to SIGKILL; replicas that are busy drain meanwhile."""


class ChildError(RuntimeError):
    """`kpa local` did not start or has ended; the message holds its last words."""


class Local:
    """A running `kpa local`.

    Attributes
    ----------
    port, telemetry_port : int
        Where it takes requests and where it answers `/api/revisions`, both on 127.0.0.1.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log
        self.port = self.telemetry_port = 0

    @classmethod
    async def start(
        cls, manifest: Path, config: Path, folder: Path, command: Sequence[str] = COMMAND
    ) -> "Local":
        """Start it on free ports and return once it takes requests.

        It runs in a session of its own, so that Ctrl-C reaches it only through `stop`. If we are killed, the
        kernel sends it SIGTERM.

        Raises
        ------
        LocalError
            It ended, or did not listen within `START_SECONDS`.
        """
        log, ready = folder / "kpa-local.log", folder / "ready.json"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                *("-f", manifest, "--config", config, "--ready-file", ready),
                *("--port", "0", "--telemetry-port", "0"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),
            )
        local = cls(process, log)
        try:
            await local._wait_until_ready(ready)
        except BaseException:
            await local.stop()
            raise
        return local

    def check_running(self) -> None:
        """Do nothing while it runs.

        Raises
        ------
        LocalError
            It has ended.
        """
        if self._process.returncode is not None:
            raise ChildError(f"kpa local ended with status {self._process.returncode}{self._last_words()}")

    async def stop(self) -> None:
        """End it and everything it runs: SIGTERM, then SIGKILL after `STOP_SECONDS`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _wait_until_ready(self, ready: Path) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self._read_ports(ready):
                    self.check_running()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            message = f"kpa local does not listen after {START_SECONDS:g} s{self._last_words()}"
            raise ChildError(message) from None

    def _read_ports(self, ready: Path) -> bool:
        try:
            ports = json.loads(ready.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # not there, or half written
            return False
        self.port, self.telemetry_port = int(ports["port"]), int(ports["telemetry_port"])
        return True

    def _last_words(self, lines: int = 15) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace").rstrip()
        return ":\n" + "\n".join(text.splitlines()[-lines:]) if text else "; it said nothing"
