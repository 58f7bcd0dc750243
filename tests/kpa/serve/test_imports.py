"""What `kpa serve` loads: each module that it does not need is memory of every small cluster."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

NOT_NEEDED = {
    "matplotlib": "pictures are of simulations",
    "rich": "tables are of terminals",
    "numpy.ma": "no array is masked",
    "numpy.random": "chance comes from the standard library",
    "kpa.dataplane.activator": "other programs",
    "kpa.demo": "the same",
    "kpa.local": "the same",
    "kpa.dataplane.queue_proxy": "the same",
    "kpa.simulate": "the same",
    "kpa.tune": "the same",
}


def test_kpa_serve_loads_nothing_that_it_does_not_need() -> None:
    look = "import sys, kpa.commands.app, kpa.serve.app; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "numpy" in loaded
    assert not loaded & NOT_NEEDED.keys()
