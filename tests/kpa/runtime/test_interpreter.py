"""What `kpa serve` asks of its interpreter and of the system.

Left out: the limit of open files, which is the machine's.
"""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

LOOK = "import re, pathlib; print(pathlib.Path('/proc/self/status').read_text())"


def status(before: str) -> dict[str, str]:
    """Return what Linux says of a process that did something first."""
    run = subprocess.run(
        [sys.executable, "-c", f"{before}\n{LOOK}"], check=True, capture_output=True, text=True
    )
    return dict(re.findall(r"^(\w+):\s*(.*)$", run.stdout, re.MULTILINE))


def test_memory_comes_in_small_pages() -> None:
    assert (
        status("from kpa.runtime.interpreter import use_small_pages; use_small_pages()")["THP_enabled"] == "0"
    )


def test_the_ring_of_a_block_costs_memory_for_the_revisions_that_it_has() -> None:
    make = """
from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.runtime.interpreter import use_small_pages
from scaler.engine.engine import Engine
use_small_pages()
engine = Engine()
before = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
engine.add("hello", resolve(AutoscalerConfig(), {}, 10), 1000.0)
pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1]) - before
print(f"Pages:\\t{pages}")
"""
    pages = int(status(f"import pathlib\n{make}")["Pages"])
    assert pages < 2000, "of 4 KiB; one a second and series, not those of 8,192 revisions"
