"""Time of one tick per revision: two recorded seconds and one decision, beside Knative's own code.

Unit of work: a revision gets two stats and a decision (windows 60 s and 6 s, Knative's defaults; with
`--defaults inference` for ours: 180 s, 23 s, scale-down delay, scale-rate period). Two ways to record
are measured: each stat by a call of its own, as the collector and the stat server do, and a second of
the whole fleet at once, as a simulation does. Budget: 0.1 microseconds a revision for the tick itself,
at 10,000 revisions and more.

Knative's part runs its `metrics.MetricCollector` and `scaling.New` from the Go module; it needs Go.

    python bench/bench_tick.py --revisions 1,100,10000,100000 --seconds 2
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from scaler.engine.engine import Engine

_PEER = Path(__file__).parent / "peer"
_WARM_UP = 100
"""Ticks before measuring; they fill the windows."""


class Fleet:
    """A fleet of revisions, each with a load of its own."""

    def __init__(self, revisions: int, defaults: str) -> None:
        self.engine = Engine()
        settings = resolve(AutoscalerConfig.from_config_map({"defaults": defaults}), {}, 10)
        for revision in range(revisions):
            self.engine.add(revision, settings, 0.0, ready_pods=revision % 20)
        self.loads = np.random.default_rng(1).uniform(0, 100, (4, 2, revisions))
        self.second = 1_700_000_000

    def record_each(self) -> None:
        """Record a second, stat by stat."""
        concurrency, requests = self.loads[self.second % 4].tolist()
        record, second = self.engine.record, self.second
        for revision, load in enumerate(concurrency):
            record(revision, second, load, requests[revision])

    def record_at_once(self) -> None:
        """Record a second of all revisions."""
        first = 0
        for block in self.engine.blocks:
            windows = block.windows
            last = first + windows.used
            windows.record(slice(0, windows.used), self.second, self.loads[self.second % 4][:, first:last])
            first = last

    def tick(self, record: Callable[[], None]) -> tuple[float, float]:
        """Record two seconds and decide; returns the seconds that recording and deciding took."""
        begun = time.perf_counter()
        for _ in range(2):
            self.second += 1
            record()
        recorded = time.perf_counter()
        self.engine.tick(float(self.second))
        return recorded - begun, time.perf_counter() - recorded


def measure(revisions: int, defaults: str, seconds: float) -> dict[str, float]:
    """Return microseconds per revision, medians over ticks, by kind of work."""
    fleet = Fleet(revisions, defaults)
    for _ in range(_WARM_UP):
        fleet.tick(fleet.record_at_once)
    found = {}
    for name, record in (("at once", fleet.record_at_once), ("each", fleet.record_each)):
        until = time.perf_counter() + seconds / 2
        taken = [fleet.tick(record)]
        while time.perf_counter() < until:
            taken.append(fleet.tick(record))
        recording, deciding = np.median(np.array(taken), axis=0) / revisions * 1e6
        found |= {f"record {name}": recording, f"decide {name}": deciding}
    return found


def measure_peer(revisions: list[int], seconds: float) -> dict[int, float]:
    """Return microseconds per revision of Knative's code, by fleet size."""
    sizes = ",".join(str(size) for size in revisions)
    command = ["go", "run", ".", "-seconds", str(seconds), "-revisions", sizes]
    lines = subprocess.run(command, cwd=_PEER, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["revisions"]: row["microseconds_per_revision"] for row in rows}


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description="Time of one tick per revision.")
    parser.add_argument("--revisions", default="1,100,10000,100000", help="fleet sizes")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of measuring per size")
    parser.add_argument("--defaults", choices=["knative", "inference"], default="knative")
    options = parser.parse_args()
    sizes = [int(size) for size in options.revisions.split(",")]
    peer = measure_peer(sizes, options.seconds)
    print(f"microseconds per revision and tick, defaults: {options.defaults}")
    print(
        f"{'revisions':>10} {'tick':>8} {'Knative':>8} {'ratio':>7} {'each stat by a call':>21} {'ratio':>7}"
    )
    for size in sizes:
        found = measure(size, options.defaults, options.seconds)
        tick = found["record at once"] + found["decide at once"]
        each = found["record each"] + found["decide each"]
        ratios = [f"{peer[size] / one:6.1f}x" for one in (tick, each)]
        print(f"{size:>10} {tick:8.3f} {peer[size]:8.3f} {ratios[0]} {each:21.3f} {ratios[1]}")


if __name__ == "__main__":
    main()
