"""What a unit test is: one without the marker `process`, which tests that start programs need.

Tests that drive `kpa` as a user would, an API server, a browser or a program of Knative carry a marker that
implies it. A unit test that starts a process fails.
"""

import functools
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

IMPLY_PROCESSES = ("browser", "cluster", "e2e", "kube", "monitoring", "peer")
"""Markers of tests that start programs in any case."""

_started: list[str] = []
"""What the running test has started."""


def _noted(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def start_and_note(*arguments: Any, **options: Any) -> Any:
        _started.append(repr(options.get("args", arguments[1:2])))
        return start(*arguments, **options)

    return start_and_note


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the marker where another one implies it."""
    for item in items:
        if any(item.get_closest_marker(name) for name in IMPLY_PROCESSES):
            item.add_marker("process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Let a unit test fail that has started a process."""
    try:
        return (yield)
    finally:
        started = ", ".join(_started)
        _started.clear()
        if started and not item.get_closest_marker("process"):
            pytest.fail(f"a test without the marker `process` has started {started}", pytrace=False)


def install() -> None:
    """Note what tests start; `subprocess` and `asyncio` both go through `Popen`."""
    platform.processor()  # libraries ask for it, which runs a program at the first time
    subprocess.Popen.__init__ = _noted(subprocess.Popen.__init__)  # type: ignore[method-assign]
    os.fork = _noted(os.fork)
