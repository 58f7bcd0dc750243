"""One OS process, kept as a container would be: a session of its own, its output by lines, a certain end."""

import asyncio
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from kpa.local.processes.process_table import die_with_parent, kill_members

LineListener = Callable[[str], None]
"""Called on the event loop with each line; must not block."""

MAX_LINE = 16 * 1024
"""Bytes of one line; longer ones come in parts (the limit of containerd's log)."""

MARK = "KPA_PROCESS"
"""Environment variable by which the descendants of a process are found, even those that left its session."""


class LineReader:
    """Lines of a pipe, read whenever something is there, so that its writer never waits for us."""

    def __init__(self, descriptor: int, listener: LineListener) -> None:
        self._descriptor: int | None = descriptor
        self._listener = listener
        self._rest = b""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Hand over what is there and stop reading."""
        if self._descriptor is None:
            return
        while self._descriptor is not None and self._read():
            pass
        if self._descriptor is not None:
            self._end()

    def _read(self) -> bool:
        """Read one part; False when nothing is there or the writer closed."""
        assert self._descriptor is not None
        try:
            part = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return False
        if not part:
            self._end()
            return False
        *lines, rest = (self._rest + part).split(b"\n")
        if len(rest) >= MAX_LINE:
            lines, rest = [*lines, rest], b""
        self._rest = rest
        for line in lines:
            self._tell(line)
        return True

    def _end(self) -> None:
        assert self._descriptor is not None
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        if self._rest:
            self._tell(self._rest)
            self._rest = b""

    def _tell(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), MAX_LINE):
            self._listener(line[start : start + MAX_LINE].decode(errors="replace").rstrip("\r"))


class Process:
    """A running command in a session of its own; it dies with us.

    Parameters
    ----------
    argv, environment, directory
        What to run, with which whole environment, where (None: here).
    listener : LineListener
        Gets each line of standard output and error.
    pass_fds : sequence of int
        Descriptors the command inherits.

    Raises
    ------
    OSError
        The command cannot be started.

    Notes
    -----
    Create it on the event loop's thread, which must be the main thread. Costs a fork, about 3 ms. Call `stop`
    or `clear` in the end: until then its id stays taken, so that no signal of ours can reach another process.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        listener: LineListener,
        directory: str | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        mark = secrets.token_hex(8)
        self._popen = subprocess.Popen(
            argv,
            env={**environment, MARK: mark},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),
        )
        assert self._popen.stdout is not None
        self._variable = f"{MARK}={mark}"
        self._output = LineReader(os.dup(self._popen.stdout.fileno()), listener)
        self._popen.stdout.close()
        self.pid = self._popen.pid
        self._cleared = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._await_end()

    async def wait(self) -> int:
        """Wait for the end; returns the exit code, or minus the signal that ended it."""
        return await asyncio.shield(self.ended)

    def terminate(self) -> None:
        """Send SIGTERM to the process and those of its group."""
        self._signal_group(signal.SIGTERM)

    async def stop(self, grace: float) -> int:
        """Send SIGTERM, wait up to `grace` seconds for the end, then kill whatever is left of it."""
        try:
            self.terminate()
            await asyncio.wait([self.ended], timeout=grace)
        finally:
            self.kill()
        return await self.clear()

    def kill(self) -> None:
        """Send SIGKILL to the process and those of its group."""
        self._signal_group(signal.SIGKILL)

    async def clear(self) -> int:
        """Kill all that is left of the process and wait until it is gone; returns its exit code."""
        if self._cleared:
            return await self.wait()
        self.kill()
        code = await self.wait()
        await asyncio.to_thread(kill_members, self.pid, self._variable)
        self._cleared = True
        self._popen.wait()
        self._output.close()
        return code

    def _signal_group(self, number: signal.Signals) -> None:
        if self._cleared:  # its id may belong to another process by now
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _await_end(self) -> None:
        loop = asyncio.get_running_loop()
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, self._see_end, descriptor)
        else:
            waiting = loop.run_in_executor(None, self._popen.wait)
            waiting.add_done_callback(lambda done: self.ended.set_result(done.result()))

    def _see_end(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self.ended.set_result(_exit_code(self.pid))


def _exit_code(pid: int) -> int:
    """Exit code of a child once it has ended, which stays to be reaped; minus the signal that ended it."""
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
