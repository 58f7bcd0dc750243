"""However kpa ends, no process stays behind.

Covered: signals, exits, kill -9 of each of the three processes, of two of them, of the whole process group,
with children, grandchildren and processes in sessions of their own. Processes are found by a unique text in
their environment (fixture `mark`). Left out: systems other than Linux; all three killed in one moment.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kpa.local.helpers import marked, wait_until

pytestmark = pytest.mark.process

SCRIPT = str(Path(__file__).with_name("guarded_service.py"))
FAMILY = 10
"""Two guardians, the service, a queue-proxy, and the replica's process with its five descendants."""


class Guarded:
    """A service below its guardians, all its processes running."""

    def __init__(self, mark: str, *before: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        self.guardian = subprocess.Popen(
            [*before, sys.executable, SCRIPT, "guard"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.guardian.stdout is not None
        self.service, self.second = map(int, self.guardian.stdout.readline().split())
        wait_until(lambda: len(marked(mark)) == FAMILY, f"{FAMILY} processes run")

    def kill(self, *names: str) -> None:
        """Send SIGKILL to some of the three, one after the other."""
        ids = {"first": self.guardian.pid, "second": self.second, "service": self.service}
        for name in names:
            os.kill(ids[name], signal.SIGKILL)

    def code(self) -> int:
        """Wait for the end of the first guardian."""
        return self.guardian.wait(30)


@pytest.fixture
def guarded(mark: str, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    started = Guarded(mark, *getattr(request, "param", ()))
    yield started
    started.guardian.kill()
    started.guardian.wait()
    assert started.guardian.stdout is not None
    started.guardian.stdout.close()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 41), (signal.SIGTERM, 42), (signal.SIGHUP, 43)],
    ids=["Ctrl-C", "SIGTERM", "hang up"],
)
def test_signals_reach_the_service_and_its_exit_code_comes_back(
    guarded: Guarded, number: int, code: int, mark: str
) -> None:
    guarded.guardian.send_signal(number)
    assert guarded.code() == code
    assert marked(mark) == []


@pytest.mark.parametrize("guarded", [("nohup",)], indirect=True)
def test_a_hang_up_is_ignored_where_it_was_before(guarded: Guarded, mark: str) -> None:
    guarded.guardian.send_signal(signal.SIGHUP)
    guarded.guardian.send_signal(signal.SIGTERM)
    assert guarded.code() == 42
    assert marked(mark) == []


def test_ctrl_c_of_a_terminal_reaches_the_service_once(guarded: Guarded, mark: str) -> None:
    os.killpg(guarded.guardian.pid, signal.SIGINT)
    assert guarded.code() == 41
    assert marked(mark) == []


@pytest.mark.parametrize(
    "names",
    [
        "service",
        "second",
        "first",
        "first, service",
        "service, first",
        "first, second",
        "second, first",
        "second, service",
        "service, second",
    ],
)
def test_nothing_survives_kill_9_of(guarded: Guarded, names: str, mark: str) -> None:
    guarded.kill(*names.split(", "))
    assert guarded.code() == (-9 if "first" in names else 137)
    wait_until(lambda: marked(mark) == [], "no process is left")


@pytest.mark.parametrize("also", [(), ("service",)], ids=["alone", "and of the service"])
def test_nothing_survives_kill_9_of_the_whole_process_group(
    guarded: Guarded, also: tuple[str, ...], mark: str
) -> None:
    os.killpg(guarded.guardian.pid, signal.SIGKILL)
    guarded.kill(*also)
    wait_until(lambda: marked(mark) == [], "no process is left")


def test_nothing_that_the_service_started_survives_its_own_exit(mark: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, SCRIPT, "guard", "exit"], env=environment, timeout=30, check=False)
    assert done.returncode == 7
    assert marked(mark) == []
