"""No process stays behind, however kpa ends: guardians above the service, each of which cleans up below it.

    kpa local (guardian)  -- what a person starts, interrupts, kills
      └ guardian          -- a session of its own: survives a kill of the first one and of its group
          └ service       -- a session of its own
              ├ activator
              └ queue-proxies, processes, whatever those start

A guardian adopts orphans below it (child subreaper), so that descendants stay found whatever sessions, groups
or parents they choose. When its child ends it kills all that is left. When its own parent ends, the kernel
sends it SIGTERM, which it hands down. So of three processes in a row any two may be killed at any moment:

    killed                      who ends the rest
    service                     second guardian, at once
    second guardian             service, by its own SIGTERM; after `PATIENCE` the first guardian
    first guardian              second guardian hands SIGTERM to the service
    both guardians              service, by its own SIGTERM
    first guardian and service  second guardian, at once
    second and service          first guardian, at once

All three at one moment leave what user processes have started; these themselves die with the service. Linux
only; elsewhere signals are handed down and nothing is adopted.
"""

import mmap
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

from kpa.local.processes.process_table import adopt_orphans, descendants, die_with_parent, kill_all

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PATIENCE = 15.0
"""Seconds that the first guardian gives a service which outlived the second one, to shut down by itself."""

LAST_RESORT = 10.0
"""Seconds of killing after which a process counts as one that the kernel itself cannot end."""


def run_guarded(argv: Sequence[str]) -> int:
    """Run a command below two guardians, this process and a copy of it; returns its exit code.

    The command gets SIGINT, SIGTERM and SIGHUP that come to this process, and SIGTERM when its guardian is
    killed. Call it early: in the main thread, before threads, event loops or children exist.

    Returns
    -------
    int
        The command's exit code; 128 + number if a signal ended it, as a shell has it.
    """
    note = Note()
    return _guard(partial(_fork_guardian, argv, note), note, PATIENCE)


class Note:
    """The service's process id, written by the second guardian for the first: memory that both share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    @property
    def service(self) -> int:
        """The id, 0 before there is one."""
        return int.from_bytes(self._memory[:8])

    @service.setter
    def service(self, pid: int) -> None:
        self._memory[:8] = pid.to_bytes(8)


def _fork_guardian(argv: Sequence[str], note: Note) -> int:
    """Start the second guardian; returns its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        die_with_parent(signal.SIGTERM, parent)
        code = _guard(partial(_start_service, argv, note), note, 0.0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # this copy must not run what its original will run at its end


def _start_service(argv: Sequence[str], note: Note) -> int:
    """Start the command; returns its process id."""
    guardian = os.getpid()

    def prepare() -> None:
        die_with_parent(signal.SIGTERM, guardian)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    service = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare)
    note.service = service.pid
    return service.pid


def _guard(start: Callable[[], int], note: Note, patience: float) -> int:
    """Start a child, hand signals to it until it ends, then end all descendants that are left."""
    adopt_orphans()
    handled = set(FORWARDED)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        handled.discard(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until there is somebody to hand them to
    child = start()
    asked: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in handled:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    code = _wait(child)
    for number in handled:
        signal.signal(number, lambda number, _frame: asked.append(number))
    asked.clear()
    _end_descendants(note, patience, asked)
    return code


def _wait(child: int) -> int:
    """Reap whatever ends, adopted orphans too, until the child has; returns its exit code as in a shell."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_descendants(note: Note, patience: float, asked: list[int]) -> None:
    """Kill until no descendant is left.

    A service that outlived its guardian has some seconds to end by itself first, unless we are asked again.
    """
    now = time.monotonic()
    patient_until, last = now + patience, now + patience + LAST_RESORT
    while (left := descendants(os.getpid())) and now < last:
        if asked or now >= patient_until or note.service not in left:
            kill_all(left)
        time.sleep(0.02)
        _reap()
        now = time.monotonic()
    _reap()


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
