"""What holds for all tests: order, signals, the end of event loops, and programs that may be missing."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from tests import settling, unit
from tests.virtual_time import VirtualTimeLoop

# How long an example takes is nothing that is tested: a machine may be slow, or busy.
settings.register_profile("kpa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kpa")
settling.install()
unit.install()

PROGRAMS = {"monitoring": ("prometheus", "promtool"), "browser": ("chromium",)}
"""What tests with a marker run. They are Debian packages; `.ci/run` installs them."""


def pytest_configure(config: pytest.Config) -> None:
    """Know unit tests, and let what other tests start take signals that we are to ignore.

    They are ignored below `nohup` or behind a `&`. Programs inherit what is ignored, but not what is handled.
    """
    config.pluginmanager.register(unit)
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run coroutine tests marked `virtual_time` on a clock that jumps, and all others on the real one."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
async def virtual_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `time.time()` follow the clock of the event loop, from the beginning of a second on."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0 + loop.time() - began)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out."""
    told = []
    if config.option.markexpr != "cluster":
        told.append(
            "left out: tests marked `cluster` replace a cluster's autoscaler; only `make e2e` runs them"
        )
    for marker, missing in missing_programs().items():
        told.append(f"left out: tests marked `{marker}`, since {', '.join(missing)} is not installed")
    return told


def missing_programs() -> dict[str, list[str]]:
    """Markers whose tests cannot run here; in CI they fail instead."""
    if os.environ.get("CI"):
        return {}
    found = {
        marker: [each for each in programs if not shutil.which(each)] for marker, programs in PROGRAMS.items()
    }
    return {marker: missing for marker, missing in found.items() if missing}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests with a control plane run last: their stub pods hold port 9090 until the session ends.

    Knative's own queue-proxy, which other tests run, has its metrics there and cannot move.
    """
    items.sort(key=lambda item: item.get_closest_marker("kube") is not None)
    for marker in missing_programs():
        concerned = [item for item in items if item.get_closest_marker(marker)]
        items[:] = [item for item in items if item not in concerned]
        config.hook.pytest_deselected(items=concerned)
