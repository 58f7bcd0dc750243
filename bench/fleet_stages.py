"""What is measured of one autoscaler on one fleet, stage by stage."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from fleet_cluster import FLEET, ZERO, Cluster
from fleet_pods import FleetPods
from fleet_probe import LONGEST, FleetProbe

from tests.kube.audit import read_log
from tests.kube.control_plane import ControlPlane
from tests.kube.peer_autoscaler import Running, cpu_seconds

TAKE_UP_SECONDS = 900.0
RESTART_SECONDS = 60.0
CALM, HURRY = 1.0, 0.2
"""Seconds between probes, at rest and in a take-up: Knative's autoscaler sends ten requests a second, and one
revision that wakes takes four or five of them."""
SETTLE_SECONDS = 8.0  # from the end of a take-up until nothing of it goes on


@dataclass
class Figures:
    """What was measured of one autoscaler; times in seconds, memory in MiB.

    Attributes
    ----------
    take_up : float
        From the creation of the first PodAutoscaler until all are ready and decided on.
    alone : float
        What the API server alone needs for the writes of that, on the same machine (`fleet_floor`).
    take_up_cpu : float
        CPU seconds of that.
    taken_up : int
        Revisions that were by then; 0 if another autoscaler had taken them up before.
    writes, conflicts : int
        Writes of the take-up but for leases, and those of them that were refused as conflicts.
    cores : float
        CPU seconds a second at rest.
    scrape_us : float
        CPU microseconds per pod asked, at rest.
    writes_at_rest : int
        But for leases.
    rss : float
        At rest.
    restart : float
        From the start of a new process until all pods were asked.
    reaction, reaction_in_take_up : list of float
        Seconds from an activator's first frame until the Deployment was seen to have replicas.
    lag : float
        Seconds by which our event loop was late at most, in 99 of 100 looks; 0 for Knative's.
    load : float
        Processes that wanted to run, on average of a minute, when it began.
    """

    autoscaler: str
    revisions: int
    pods: int
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    take_up: float = 0.0
    alone: float = 0.0
    take_up_cpu: float = 0.0
    taken_up: int = 0
    writes: int = 0
    conflicts: int = 0
    cores: float = 0.0
    scrape_us: float = 0.0
    writes_at_rest: int = 0
    rss: float = 0.0
    restart: float = 0.0
    lag: float = 0.0
    reaction: list[float] = field(default_factory=list)
    reaction_in_take_up: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return all as plain values."""
        return asdict(self)


class Stages:
    """One autoscaler on one fleet.

    Parameters
    ----------
    control_plane : ControlPlane
    cluster : Cluster
    pods : FleetPods
    probe : FleetProbe
    start : callable
        Starts the autoscaler and returns when it is ready.
    rest_seconds : float
        How long it is watched at rest.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        cluster: Cluster,
        pods: FleetPods,
        probe: FleetProbe,
        start: Callable[[], Awaitable[Running]],
        rest_seconds: float,
    ) -> None:
        self._control_plane, self._cluster, self._pods, self._probe = control_plane, cluster, pods, probe
        self._start, self._rest_seconds = start, rest_seconds

    async def measure(self, figures: Figures) -> Figures:
        """Go through all stages."""
        cluster = self._cluster
        await cluster.reset(FLEET, ZERO)
        await cluster.create(ZERO)
        running = await self._start()
        try:
            await cluster.until(lambda: cluster.at_zero == len(cluster.zero), TAKE_UP_SECONDS)
            await asyncio.sleep(SETTLE_SECONDS)
            half = len(cluster.zero) // 2
            await self._take_up(running, figures, cluster.zero[:half])
            await self._settled(running, figures)
            await running.stop()
            running = await self._restart(figures)
        finally:
            await running.stop()
        return figures

    async def measure_taken_up(self, figures: Figures) -> Figures:
        """Go through the stages of a fleet that another autoscaler has taken up."""
        cluster = self._cluster
        await cluster.reset(ZERO)
        await cluster.create(ZERO)
        running = await self._restart(figures)
        try:
            await cluster.until(lambda: cluster.at_zero == len(cluster.zero), TAKE_UP_SECONDS)
            await self._settled(running, figures)
        finally:
            await running.stop()
        return figures

    async def _settled(self, running: Running, figures: Figures) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        await self._rest(running, figures)
        half = len(self._cluster.zero) // 2
        figures.reaction = await self._probe.react(running.reports, self._cluster.zero[half:], CALM)
        if figures.autoscaler == "kpa":
            figures.lag = await event_loop_lag(running.reports.partition(":")[0])

    async def _take_up(self, running: Running, figures: Figures, zero: list[str]) -> None:
        cluster, pid = self._cluster, running.process.pid
        spent, began = cpu_seconds(pid), time.monotonic()
        with self._audited() as requests:
            creating = asyncio.create_task(cluster.create(FLEET))
            await cluster.until(lambda: cluster.taken_up > 0, TAKE_UP_SECONDS)
            probing = asyncio.create_task(self._probe.react(running.reports, zero, HURRY))
            await creating
            await cluster.until(lambda: cluster.taken_up == len(cluster.fleet), TAKE_UP_SECONDS)
            figures.take_up, figures.take_up_cpu = time.monotonic() - began, cpu_seconds(pid) - spent
            figures.taken_up = cluster.taken_up
            figures.reaction_in_take_up = await probing
        figures.writes, figures.conflicts = len(requests), sum(status == 409 for status in requests)

    async def _rest(self, running: Running, figures: Figures) -> None:
        pid = running.process.pid
        with self._audited() as requests:
            scrapes, spent, began = sum(self._pods.scrapes()), cpu_seconds(pid), time.monotonic()
            await asyncio.sleep(self._rest_seconds)
            spent, seconds = cpu_seconds(pid) - spent, time.monotonic() - began
            scrapes = sum(self._pods.scrapes()) - scrapes
        figures.cores, figures.scrape_us = spent / seconds, spent / max(scrapes, 1) * 1e6
        figures.writes_at_rest, figures.rss = len(requests), rss(pid)

    async def _restart(self, figures: Figures) -> Running:
        before, began = self._pods.scrapes(), time.monotonic()
        running = await self._start()
        while time.monotonic() - began < RESTART_SECONDS:
            if all(now > then for now, then in zip(self._pods.scrapes(), before, strict=True)):
                break
            await asyncio.sleep(0.05)
        figures.restart = time.monotonic() - began
        return running

    @contextmanager
    def _audited(self) -> Iterator[list[int]]:
        """Give, at the end, the HTTP status of each write that was no lease's."""
        file = self._control_plane.audit_file
        offset, statuses = file.stat().st_size, list[int]()
        yield statuses
        writes = [each for each in read_log(file, offset) if each.writes and each.resource != "leases"]
        statuses.extend(each.status for each in writes)


def quantile(seconds: list[float], part: float) -> float:
    """Return the value that so large a part of all does not exceed; `LONGEST` if there is none."""
    return sorted(seconds)[min(int(part * len(seconds)), len(seconds) - 1)] if seconds else LONGEST


async def event_loop_lag(host: str) -> float:
    """Return the bound that 99 of 100 lags of our event loop keep, by our telemetry."""
    name = "kpa_event_loop_lag_seconds"
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:9090/metrics") as answer:
        lines = (await answer.text()).splitlines()
    counts = [line.split() for line in lines if line.startswith(f"{name}_bucket")]
    bounds = [(float(label.split('"')[1]), float(count)) for label, count in counts]
    return next(bound for bound, count in bounds if count >= 0.99 * bounds[-1][1])


def rss(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))
