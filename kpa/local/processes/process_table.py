"""All processes of this machine as the kernel lists them: who descends from whom, and how to end those left.

Linux only (`/proc`, prctl); elsewhere the functions find nothing and change nothing.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Entry(NamedTuple):
    """One process: its parent, its session, and whether it only waits to be reaped."""

    parent: int
    session: int
    zombie: bool


def die_with_parent(number: int, parent: int) -> None:
    """Ask the kernel to send this process a signal when its parent ends. Called between fork and exec.

    The kernel means the parent's thread: fork from the main thread only. The request survives exec, not fork.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(128 + number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def table() -> dict[int, Entry]:
    """List all processes by id."""
    entries = {}
    for pid in _pids():
        try:
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            continue  # it just ended
        state, parent, _group, session = text.rpartition(")")[2].split()[:4]
        entries[pid] = Entry(int(parent), int(session), state in ("Z", "X"))
    return entries


def descendants(root: int) -> list[int]:
    """Living processes below one, at any depth."""
    entries = table()
    by_parent: dict[int, list[int]] = {}
    for pid, entry in entries.items():
        by_parent.setdefault(entry.parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        below = by_parent.get(queue.pop(), [])
        queue += below
        found += [pid for pid in below if not entries[pid].zombie]
    return found


def members(session: int, variable: str) -> list[int]:
    """Living processes of a session, or started with a variable (`NAME=value`) in their environment.

    The session finds children that cleared their environment, the variable those that left the session.
    """
    wanted = b"\0" + variable.encode() + b"\0"
    return [
        pid
        for pid, entry in table().items()
        if not entry.zombie and (entry.session == session or wanted in _environment(pid))
    ]


def kill_all(pids: list[int]) -> None:
    """Send SIGKILL to processes, whether they still exist or not."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def kill_members(session: int, variable: str, patience: float = 5.0) -> None:
    """Kill the members of a session or with a variable until none is left; blocks `patience` seconds at most.

    Repeats because a process may start another one between the look and the kill.
    """
    deadline = time.monotonic() + patience
    while (left := members(session, variable)) and time.monotonic() < deadline:
        kill_all(left)
        time.sleep(0.01)


def _pids() -> Iterator[int]:
    try:
        names = os.listdir(PROC)
    except FileNotFoundError:
        return
    yield from (int(name) for name in names if name.isdigit())


def _environment(pid: int) -> bytes:
    try:
        return b"\0" + (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""
