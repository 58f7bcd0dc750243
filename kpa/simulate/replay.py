"""Recorded loads through the engine: what it would have decided.

A trace is a JSON object: `spec` (settings in seconds and plain numbers), `base` (unix seconds added to each
`at`) and `steps` (`at`, `ready` pods from here on, `stats` reported, `tick` where a decision is taken).
"""

import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.resolve import RevisionSettings
from scaler.engine.engine import Engine

_TRACES_AT_ONCE = 1024
"""Traces held in memory as one fleet."""

_GZIP_MAGIC = b"\x1f\x8b"


class ReplayError(Exception):
    """A trace that cannot be read; the message names line, place and what was expected."""


class TraceSpec(BaseModel):
    """Settings of a trace: windows, delays and periods in seconds, the panic threshold as a ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: Literal["concurrency", "rps"] = "concurrency"
    algorithm: Literal["", "linear", "weighted-exponential"] = ""
    stable_window: float = Field(ge=1, le=3600)
    panic_window: float = Field(ge=1, le=3600)
    target_value: float = Field(gt=0)
    total_value: float = Field(gt=0)
    target_burst_capacity: float = Field(ge=-1)
    panic_threshold: float = Field(gt=0)
    max_scale_up_rate: float = Field(gt=1)
    max_scale_down_rate: float = Field(gt=1)
    scale_rate_period: float = Field(default=0, ge=0, le=600)
    scale_down_delay: float = Field(default=0, ge=0)
    activation_scale: int = Field(default=0, ge=0)
    initial_scale: int = Field(default=1, ge=0)
    reachable: bool = True
    initial_ready: int = Field(default=0, ge=0)

    def settings(self) -> RevisionSettings:
        """Return the settings in the engine's form; what the decision does not read is left at zero."""
        return RevisionSettings(
            metric=self.metric,
            aggregation="weighted-exponential" if self.algorithm == "weighted-exponential" else "linear",
            stable_window=self.stable_window,
            panic_window=self.panic_window,
            target_value=self.target_value,
            total_value=self.total_value,
            panic_threshold=self.panic_threshold,
            max_scale_up_rate=self.max_scale_up_rate,
            max_scale_down_rate=self.max_scale_down_rate,
            scale_rate_period=self.scale_rate_period,
            scale_down_delay=self.scale_down_delay,
            target_burst_capacity=self.target_burst_capacity,
            activation_scale=self.activation_scale,
            initial_scale=self.initial_scale,
            reachable=self.reachable,
            min_scale=0,
            max_scale=0,
            container_concurrency=0,
            activator_capacity=1.0,
            enable_scale_to_zero=True,
            scale_to_zero_grace_period=0.0,
            scale_to_zero_pod_retention_period=0.0,
            progress_deadline=0.0,
            missing_stats="zero",
        )


class ReplayStep(BaseModel):
    """One moment of a trace."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    at: float
    ready: int | None = Field(default=None, ge=0)
    stats: list[tuple[float, float, float, float]] = []
    """Each: concurrency, proxied concurrency, requests, proxied requests."""
    tick: bool = False


class ReplayTrace(BaseModel):
    """A recorded load."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    spec: TraceSpec
    base: float
    steps: list[ReplayStep]


@dataclass(slots=True)
class _Run:
    trace: ReplayTrace
    raw: dict[str, Any]
    next_step: int = 0
    decisions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def due(self) -> float:
        return self.trace.base + self.trace.steps[self.next_step].at

    @property
    def done(self) -> bool:
        return self.next_step >= len(self.trace.steps)


def open_traces(name: str) -> Iterator[bytes]:
    """Yield the lines of a file, plain or gzip; `-` is standard input.

    Raises
    ------
    ReplayError
        The file cannot be read.
    """
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            raw = cast("io.BufferedReader", file)
            yield from gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP_MAGIC else raw
    except (OSError, EOFError) as error:
        raise ReplayError(f"{name}: {error}") from error


def replay(lines: Iterable[bytes], as_fleet: bool = True) -> Iterator[dict[str, Any]]:
    """Yield each trace with its `decisions`.

    Parameters
    ----------
    lines : iterable of bytes
        A JSON object each; blank lines are skipped.
    as_fleet : bool
        All traces of a batch in one engine; else each in its own, which gives the same.

    Raises
    ------
    ReplayError
        A line is not a trace.
    """
    runs = (_read(line, number) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(runs, _TRACES_AT_ONCE if as_fleet else 1)):
        _play(batch)
        for run in batch:
            yield run.raw | {"decisions": run.decisions}


def _read(line: bytes, number: int) -> _Run:
    try:
        raw = json.loads(line)
        return _Run(ReplayTrace.model_validate(raw), raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReplayError(f"line {number}: {place}: {first['msg']}, not {first['input']!r}") from error
    except ValueError as error:
        raise ReplayError(f"line {number}: not a JSON object: {error}") from error


def _play(batch: list[_Run]) -> None:
    """Walk through the moments of all traces, one tick for all that are due."""
    engine = Engine(block_columns=len(batch))
    for index, run in enumerate(batch):
        engine.add(index, run.trace.spec.settings(), run.trace.base, run.trace.spec.initial_ready)
    waiting = [(run.due, index) for index, run in enumerate(batch) if not run.done]
    heapify(waiting)
    while waiting:
        now, due = waiting[0][0], []
        while waiting and waiting[0][0] == now:
            due.append(heappop(waiting)[1])
        ticking = [index for index in due if _apply(engine, index, batch[index], now)]
        engine.tick(now, ticking)
        for index in ticking:
            batch[index].decisions.append(_decision(engine, index, batch[index]))
        for index in due:
            batch[index].next_step += 1
            if not batch[index].done:
                heappush(waiting, (batch[index].due, index))


def _apply(engine: Engine, index: int, run: _Run, now: float) -> bool:
    """Bring the engine to one step of a trace; returns whether it decides there."""
    step = run.trace.steps[run.next_step]
    if step.ready is not None:
        engine.set_ready(index, step.ready)
    for concurrency, proxied_concurrency, requests, proxied_requests in step.stats:
        engine.record(index, int(now // 1), concurrency - proxied_concurrency, requests - proxied_requests)
    return step.tick


def _decision(engine: Engine, index: int, run: _Run) -> dict[str, Any]:
    made = engine.decision(index)
    at = run.raw["steps"][run.next_step]["at"]
    if not made.valid:
        return {"at": at, "valid": False, "stable": 0, "panic": 0, "desired": 0, "excess": 0}
    return {
        "at": at,
        "valid": True,
        "stable": made.stable,
        "panic": made.panic,
        "desired": made.recommended,
        "excess": made.excess,
    }
