"""The order of all tests, and those that need programs which not every machine has."""

import os
import shutil

import pytest

PROGRAMS = {"monitoring": ("prometheus", "promtool"), "browser": ("chromium",)}
"""What tests with a marker run. They are Debian packages; `.ci/run` installs them."""


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is left out unless somebody asks for it."""
    if config.option.markexpr == "not cluster":
        return "deselected: tests marked 'cluster' replace a cluster's autoscaler; only `make e2e` runs them"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests with a control plane run last: their stub pods hold port 9090 until the session ends.

    Knative's own queue-proxy, which other tests run, has its metrics there and cannot move.
    """
    items.sort(key=lambda item: item.get_closest_marker("kube") is not None)
    if not os.environ.get("CI"):
        leave_out(config, items)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine has no programs for, and say so; in CI such tests fail instead."""
    for marker, programs in PROGRAMS.items():
        missing = [program for program in programs if shutil.which(program) is None]
        concerned = [item for item in items if missing and item.get_closest_marker(marker)]
        if concerned:
            items[:] = [item for item in items if item not in concerned]
            config.hook.pytest_deselected(items=concerned)
            told = f"{len(concerned)} tests are left out: {', '.join(missing)} is not installed"
            config.stash.setdefault(_TOLD, []).append(told)


_TOLD = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    for line in config.stash.get(_TOLD, []):
        terminalreporter.write_line(line, yellow=True)
