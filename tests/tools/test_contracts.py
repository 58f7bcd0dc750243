"""The import contracts of `pyproject.toml`, on a copy of the packages that breaks each of them.

Every new module stands in a folder that no contract lists by file: a folder is protected as a whole.
Left out: the tree of the project itself, which `make lint` checks.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "metrics", "scaler", "kpa")

LAYERS = "Imports only point left: config <- metrics <- scaler <- kpa"
PURE = "Settings, load statistics and decisions are computation only"
INPUT = "Only kpa imports what does input and output in metrics"
QUICK = "A queue-proxy starts while a request waits: no slow imports"
LEAVES = "The data plane and the demonstration are leaves: the autoscaler does not know them"

BREAKS = {
    "an event loop": (
        "metrics/sampling/new_loop.py",
        "import asyncio",
        PURE,
        "metrics.sampling.new_loop -> asyncio",
    ),
    "a module beside the folders": (
        "metrics/new_http.py",
        "import aiohttp",
        PURE,
        "metrics.new_http -> aiohttp",
    ),
    "a folder": (
        "metrics/totals/new_socket.py",
        "import socket",
        PURE,
        "metrics.totals.new_socket -> socket",
    ),
    "a thread": ("config/new_thread.py", "import threading", PURE, "config.new_thread -> threading"),
    "a client": (
        "scaler/rules/new_client.py",
        "import kubernetes",
        PURE,
        "scaler.rules.new_client -> kubernetes",
    ),
    "a clock": (
        "scaler/engine/new_clock.py",
        "from time import monotonic",
        PURE,
        "scaler.engine.new_clock -> time",
    ),
    "datetime.now": (
        "metrics/windows/new_now.py",
        "from datetime import datetime\n\nNOW = datetime.now()",
        PURE,
        "metrics.windows.new_now -> datetime",
    ),
    "an event loop through scraping": (
        "metrics/sampling/new_way.py",
        "from metrics.scraping import collector",
        INPUT,
        "metrics.sampling.new_way -> metrics.scraping.collector",
    ),
    "an event loop through scraping, from another package": (
        "scaler/new_way.py",
        "from metrics.stat_server import StatServer",
        INPUT,
        "scaler.new_way -> metrics.stat_server",
    ),
    "an import to the right": (
        "config/new_fleet.py",
        "import kpa.controller.fleet",
        LAYERS,
        "config.new_fleet -> kpa.controller.fleet",
    ),
    "a slow import": (
        "kpa/dataplane/queue_proxy/new_array.py",
        "import numpy",
        QUICK,
        "kpa.dataplane.queue_proxy.new_array -> numpy",
    ),
    "the data plane in the controller": (
        "kpa/controller/new_leaf.py",
        "from kpa.dataplane import routes",
        LEAVES,
        "kpa.controller.new_leaf -> kpa.dataplane.routes",
    ),
}


def lint(root: Path) -> str:
    """Check the contracts of a tree, and return what is said, each run of blanks as one."""
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"}
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return f"exit status {result.returncode} " + " ".join((result.stdout + result.stderr).split())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Break every contract in one copy of the tree, and check it once."""
    root = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=lambda folder, names: {"__pycache__"} & {*names}
        )
    for path, text, _, _ in BREAKS.values():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).parent.joinpath("__init__.py").touch()
        (root / path).write_text(f"{text}\n")
    return lint(root)


@pytest.mark.parametrize("what", BREAKS)
def test_a_contract_is_broken_by(report: str, what: str) -> None:
    _, _, contract, found = BREAKS[what]
    assert f"{contract} BROKEN" in report
    assert found in report


def test_a_broken_contract_fails_the_check(report: str) -> None:
    assert report.startswith("exit status 1 ")
    assert "Contracts: 0 kept, 5 broken." in report
