"""Which unit tests run which lines: found out by a run with coverage, of which this file is also a plugin."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any

from coverage import CoverageData

from tests.tools.mutations import Mutation

UNIT_TESTS = "not (kube or peer or timed or e2e or monitoring or browser or cluster)"
"""Tests that start no programs of others and do not look at the clock."""

OTHERS = 30.0
"""Seconds for tests of other folders that run a line as well, such as a simulation of everything."""

_durations: Counter[str] = Counter()
_not_passed: set[str] = set()


def pytest_runtest_logreport(report: Any) -> None:
    """Take note of a test's time and outcome, as a plugin of pytest."""
    _durations[report.nodeid] += report.duration
    if report.outcome != "passed":
        _not_passed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the seconds of each test that passed, as a plugin of pytest."""
    passed = {test: seconds for test, seconds in _durations.items() if test not in _not_passed}
    Path(os.environ["KPA_TEST_DURATIONS"]).write_text(json.dumps(passed))


def run_pytest(tree: Path, *options: str, limit: float | None = None, **variables: str) -> int:
    """Run tests of a tree; returns the exit status, or -1 if they take more than some seconds."""
    path = os.pathsep.join([str(tree), str(Path(__file__).parents[2])])
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tree}", *options],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return -1
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Cover:
    """Which tests run which lines, and how long each takes.

    Parameters
    ----------
    tree : Path
        A copy of the tree, in which the tests are run if that is not known yet.
    cache : Path
        A folder that keeps it until a file changes.
    folders : list of str
        Whose lines matter.
    """

    def __init__(self, tree: Path, cache: Path, folders: list[str]) -> None:
        digest = hashlib.sha256(repr(folders).encode())
        for path in sorted(tree.rglob("*.py")):
            digest.update(f"{path.relative_to(tree)}\n".encode() + path.read_bytes())
        kept = cache / digest.hexdigest()[:16]
        if not (kept / "durations.json").exists():
            shutil.rmtree(cache, ignore_errors=True)
            kept.mkdir(parents=True)
            self._measure(tree, kept, folders)
        self.seconds: dict[str, float] = json.loads((kept / "durations.json").read_text())
        self._data = CoverageData(str(kept / "coverage"))
        self._data.read()
        self._files: dict[str, dict[int, list[str]]] = {}
        self._folders = [f"{folder}/" for folder in folders]

    def _measure(self, tree: Path, kept: Path, folders: list[str]) -> None:
        settings = kept / "coveragerc"
        settings.write_text(
            "[run]\nrelative_files = true\nsource =\n" + "".join(f"    {each}\n" for each in folders)
        )
        status = run_pytest(
            tree,
            *("-m", UNIT_TESTS, "--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report="),
            *("-p", "tests.tools.covering"),
            COVERAGE_FILE=str(kept / "coverage"),
            KPA_TEST_DURATIONS=str(kept / "durations.json"),
        )
        if status not in (0, 1):
            shutil.rmtree(kept)
            sys.exit(f"pytest ended with {status}: the unit tests have to run before their mutants do")

    def tests(self, path: str, change: Mutation) -> tuple[str, ...]:
        """Return the tests that run a place, its own first, the quick ones first.

        What imports run is taken to be run by all tests of its file. A place that no test runs itself meets
        all tests of its folder, which may run it in processes of their own.
        """
        if path not in self._files:
            self._files[path] = self._data.contexts_by_lineno(path)
        lines = self._files[path]
        chosen = range(change.line, change.last_line + 1) if change.inside else lines
        found = {context.rpartition("|")[0] for line in chosen for context in lines.get(line, ())}
        found &= self.seconds.keys()
        if not found:
            found = {test for test in self.seconds if test.startswith(f"tests/{os.path.dirname(path)}/")}
        ordered = sorted(found, key=lambda test: (self.seconds[test], test))
        part = tuple(folder for folder in self._folders if path.startswith(folder))
        own = [test for test in ordered if test.removeprefix("tests/").startswith(part)]
        others = [test for test in ordered if test not in own]
        ends = accumulate(self.seconds[test] for test in others)
        return (*own, *(test for test, end in zip(others, ends, strict=True) if end <= OTHERS))
