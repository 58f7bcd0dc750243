"""Random traces in the form of ``tests/golden/README.md``, without decisions.

A seed always gives the same traces. Settings, timing, load and ready pods are drawn apart from each other,
each from a table of kinds, so that every pair of kinds meets in a few hundred traces. As a program::

    python tests/peer/traces.py --seed 7 --count 100
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

Trace = dict[str, Any]
Shape = Callable[[float], float]  # seconds since the beginning -> requests in flight


def generate(seed: int, count: int) -> Iterator[Trace]:
    """Yield random traces, named after their seed and position.

    Examples
    --------
    >>> [trace["name"] for trace in generate(7, 2)]
    ['random-7-0', 'random-7-1']
    """
    for position in range(count):
        rng = random.Random(f"{seed}/{position}")
        yield random_trace(rng, f"random-{seed}-{position}")


def random_trace(rng: random.Random, name: str) -> Trace:
    """Draw one trace."""
    spec = random_spec(rng)
    moments = rng.choice(TIMINGS)(rng, spec)
    load = rng.choice(LOADS)(rng, random_level(rng, spec))
    ready = rng.choice(READY)(rng, spec, load)
    steps = []
    asked = spec["initial_ready"]
    for at, reports, tick in moments:
        step: dict[str, Any] = {"at": at}
        if (now_ready := ready(at)) != asked:
            step["ready"] = asked = now_ready
        if stats := [random_stat(rng, load(at)) for _ in range(reports)]:
            step["stats"] = stats
        if tick:
            step["tick"] = True
        steps.append(step)
    return {"name": name, "base": rng.randint(1_600_000_000, 2_000_000_000), "spec": spec, "steps": steps}


def random_spec(rng: random.Random) -> dict[str, Any]:
    """Draw a revision's settings, all of them within what the ConfigMap and the annotations allow."""
    stable = rng.choice([6, 6, 7, 10, 13, 30, 60, 61, 120, 300, 3600])
    percentage = rng.choice([1, 10, 10, 25, 33, 51, 100])
    total = rng.choice([0.01, 0.7, 1, 1, 3, 10, 10, 100, 211.5, 1e5])
    return {
        "metric": rng.choice(["concurrency", "concurrency", "rps"]),
        "algorithm": rng.choice(["", "linear", "weighted-exponential"]),
        "stable_window": stable,
        "panic_window": max(1, math.floor(stable * percentage / 100 + 0.5)),
        "target_value": max(0.01, round(total * rng.choice([0.01, 0.333, 0.7, 0.7, 0.85, 1]), 6)),
        "total_value": total,
        "target_burst_capacity": rng.choice([-1, 0, 0.5, 7, 100, 200, 211, 20_000]),
        "panic_threshold": rng.choice([1.1, 1.5, 2, 2, 3.3, 10]),
        "max_scale_up_rate": rng.choice([1.000001, 1.1, 1.5, 2, 10, 1000, 1000]),
        "max_scale_down_rate": rng.choice([1.000001, 1.01, 1.1, 2, 2, 3.7, 1000]),
        "scale_down_delay": rng.choice([0, 0, 1, 2, 3, 7, 60, 900]),
        "activation_scale": rng.choice([0, 0, 1, 2, 5, 300]),
        "initial_scale": rng.choice([0, 1, 3]),
        "reachable": rng.random() < 0.85,
        "initial_ready": rng.choice([0, 0, 1, 1, 2, 7, 250]),
    }


def random_level(rng: random.Random, spec: dict[str, Any]) -> float:
    """Draw the load that a trace moves around: some pods' worth, or tiny, or huge (excess stays an int32)."""
    pods = rng.choice([1e-6, 0.3, 1, 3, 8, 8, 20, 40, 1000])
    return float(min(1e6, pods * spec["target_value"]))


def random_stat(rng: random.Random, load: float) -> list[float]:
    """Draw a report of about ``load``, part of it proxied, seldom more proxied than there was."""
    concurrency = load * rng.choice([1, 1, 1, rng.random(), 0])
    proxied = rng.choice([0, 0, 0, concurrency, concurrency * rng.random(), concurrency * 1.01])
    per_second = rng.choice([0.1, 1, 3])
    digits = rng.choice([0, 4, 9])
    return [round(v, digits) for v in (concurrency, proxied, concurrency * per_second, proxied * per_second)]


# Timing: (rng, spec) -> [(at, reports, tick)]


def every_second(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """Report each second, decide each other second, at a phase kept to the millisecond."""
    phase = rng.choice([0, 0, 0.25, 0.273, 0.999])
    return [(round(s + phase, 3), rng.choice([1, 1, 1, 2, 5]), s % 2 == 1) for s in range(length(rng, spec))]


def jittered(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """As each second, every moment off by up to 0.9 s."""
    return [
        (round(s + rng.random() * 0.9, 3), rng.choice([0, 1, 1, 2]), s % 2 == 1)
        for s in range(length(rng, spec))
    ]


def ragged(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """Steps at any distance, several in one second or seconds apart, any of them with a tick."""
    at, moments = 0.0, []
    for _ in range(length(rng, spec)):
        at = round(at + rng.choice([0, 0.001, 0.125, 0.5, 1, 1, 1.7, 3]), 3)
        moments.append((at, rng.choice([0, 1, 1, 2]), rng.random() < 0.6))
    return moments


def with_holes(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """Report each second except in holes around the length of either window; ticks go on."""
    moments: list[tuple[float, int, bool]] = []
    at = 0
    steps = length(rng, spec)
    while len(moments) < steps:
        for _ in range(rng.randint(1, 2 * spec["panic_window"] + 8)):
            moments.append((at, 1, at % 2 == 1))
            at += 1
        hole = rng.choice([1, spec["panic_window"], spec["stable_window"]]) + rng.randint(-1, 5)
        moments += [
            (at + s, 0, True) for s in sorted({0, 1, hole // 2, *range(hole - 5, hole + 1)}) if 0 <= s <= hole
        ]
        at += max(hole, 0) + 1
    return moments


def late(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """As each second, but some steps are reported again after later ones; those carry no tick."""
    moments: list[tuple[float, int, bool]] = []
    for s in range(length(rng, spec)):
        moments.append((s, rng.choice([0, 1, 1]), s % 2 == 1))
        if rng.random() < 0.2:
            back = rng.choice(
                [1, 2, 3, spec["panic_window"], spec["stable_window"] - 1, spec["stable_window"]]
            )
            moments.append((max(0, s - back), rng.choice([1, 2]), False))
    return moments


def stepping_back(rng: random.Random, spec: dict[str, Any]) -> list[tuple[float, int, bool]]:
    """As each second, on a clock that is set back and forth now and then.

    Ticks follow it unless there is a scale-down delay: a tick before the last one then ends the peer's
    process (knative/serving pkg/autoscaler/aggregation/max/window.go), so there is nothing to compare with.
    """
    moments: list[tuple[float, int, bool]] = []
    at, last_tick = 100, 0
    for _ in range(length(rng, spec)):
        tick = rng.random() < 0.6 and (at >= last_tick or spec["scale_down_delay"] == 0)
        last_tick = max(last_tick, at) if tick else last_tick
        moments.append((at, rng.choice([0, 1, 1]), tick))
        at = max(0, at + rng.choice([1] * 30 + [-1, -2, -7, 5, 40]))
    return moments


def length(rng: random.Random, spec: dict[str, Any]) -> int:
    """Draw a number of steps, often more than the stable window has seconds."""
    return int(rng.choice([60, 120, min(400, 2 * spec["stable_window"] + 20)]))


TIMINGS = [every_second, every_second, jittered, jittered, ragged, with_holes, late, stepping_back]


# Load: (rng, level) -> shape


def steady(rng: random.Random, level: float) -> Shape:
    """The same load always."""
    return lambda at: level


def idle(rng: random.Random, level: float) -> Shape:
    """No load, but reports of it."""
    return lambda at: 0.0


def burst(rng: random.Random, level: float) -> Shape:
    """A trickle with one burst, then perhaps nothing."""
    begin, long = rng.randint(0, 60), rng.choice([1, 3, 20, 100])
    before, after = rng.choice([0, 0.01, 0.3]) * level, rng.choice([0, 0, 0.1]) * level
    return lambda at: before if at < begin else level if at < begin + long else after


def blocks(rng: random.Random, level: float) -> Shape:
    """On and off, in equal turns."""
    period = rng.choice([2, 6, 20, 75])
    low = rng.choice([0, 0, 0.5]) * level
    return lambda at: level if int(at // period) % 2 == 0 else low


def ramp(rng: random.Random, level: float) -> Shape:
    """Up to the level and down again."""
    top = rng.randint(5, 150)
    return lambda at: level * max(0.0, 1 - abs(at - top) / top)


def waves(rng: random.Random, level: float) -> Shape:
    """Smooth waves down to zero."""
    period = rng.choice([5, 30, 200])
    return lambda at: level * (1 + math.sin(2 * math.pi * at / period)) / 2


def noise(rng: random.Random, level: float) -> Shape:
    """Anything up to the level, now and then a hundred times as much."""
    return lambda at: level * rng.random() * rng.choice([1] * 20 + [100])


LOADS: list[Callable[[random.Random, float], Shape]] = [
    steady,
    idle,
    burst,
    burst,
    blocks,
    ramp,
    waves,
    noise,
]


# Ready pods: (rng, spec, load) -> function of at


def unchanged(rng: random.Random, spec: dict[str, Any], load: Shape) -> Callable[[float], int]:
    """What there was at the start."""
    return lambda at: int(spec["initial_ready"])


def following(rng: random.Random, spec: dict[str, Any], load: Shape) -> Callable[[float], int]:
    """What the load of a few seconds ago needed."""
    lag, most = rng.choice([2, 10]), rng.choice([5, 5000])
    return lambda at: min(most, math.ceil(load(max(0.0, at - lag)) / spec["target_value"]))


def erratic(rng: random.Random, spec: dict[str, Any], load: Shape) -> Callable[[float], int]:
    """Up and down for no reason, at times to zero."""
    pods = spec["initial_ready"]

    def ready(at: float) -> int:
        nonlocal pods
        if rng.random() < 0.2:
            pods = rng.choice([0, 1, max(0, pods - 1), pods + 1, 2 * pods, rng.randint(0, 40)]) % 5000
        return int(pods)

    return ready


READY = [unchanged, following, following, erratic]


def main() -> None:
    """Print traces, one a line."""
    parser = argparse.ArgumentParser(description="Print random traces, one JSON object a line.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    for trace in generate(arguments.seed, arguments.count):
        print(json.dumps(trace))


if __name__ == "__main__":
    main()
