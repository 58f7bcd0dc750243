"""Every benchmark can be imported: a rename elsewhere that leaves one behind fails here, not in its next run.

Left out: what they measure.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"


def test_every_module_can_be_imported() -> None:
    names = sorted(path.stem for path in BENCH.glob("*.py"))
    assert "bench_fleet" in names
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(BENCH)))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
