"""Scripted loads: what becomes of the requests and the settings of revisions, second by second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kube.knative_double import Knative
from tests.kube.peer_autoscaler import ActivatorReports, Charge
from tests.kube.recorder import Recording, recording
from tests.kube.revision_double import RevisionDouble

CLUSTER = {
    "stable-window": "8s",
    "panic-window-percentage": "25",
    "scale-to-zero-grace-period": "4s",
    "allow-zero-initial-scale": "true",
    "target-burst-capacity": "0",
}
NO_PANIC = {"panic-threshold-percentage": "1000"}
SECONDS = 90.0
BEGIN = 12.0
"""Seconds that all have to take the revisions up."""

CONFIG_EDIT, RESTART = 60.0, 70.0

Action = Callable[[RevisionDouble, ActivatorReports], Awaitable[None]]


@dataclass(frozen=True)
class Play:
    """What happens to one revision.

    Attributes
    ----------
    steps : tuple of (float, action)
        Seconds after the beginning, in order, and what is done then.
    replicas, container_concurrency, start_seconds
        As of `Knative.create`.
    annotations : dict
        Short names.
    """

    steps: tuple[tuple[float, Action], ...]
    replicas: int = 1
    container_concurrency: int = 10
    start_seconds: float = 0.5
    annotations: dict[str, str] = field(default_factory=dict)


def load(concurrency: float, requests_per_second: float = 0.0) -> Action:
    """Pods have so much to do from now on."""

    async def act(revision: RevisionDouble, _: ActivatorReports) -> None:
        revision.load(concurrency, requests_per_second)

    return act


def queue(concurrency: float) -> Action:
    """An activator has so many requests from now on."""

    async def act(revision: RevisionDouble, reports: ActivatorReports) -> None:
        reports.hold(revision.name, concurrency)

    return act


def annotate(**annotations: str | None) -> Action:
    """Annotations are edited."""

    async def act(revision: RevisionDouble, _: ActivatorReports) -> None:
        await revision.annotate(**annotations)

    return act


def edit(**spec: Any) -> Action:
    """The spec is edited."""

    async def act(revision: RevisionDouble, _: ActivatorReports) -> None:
        await revision.edit({"spec": spec})

    return act


PLAYS = {
    "ramp": Play(
        steps=(
            (0, load(5)),
            (14, load(12)),
            (24, load(19)),
            (34, load(27)),
            (42, load(12)),
            (56, load(5)),
        ),
        annotations={"target-burst-capacity": "10", **NO_PANIC},
    ),
    "burst": Play(steps=((0, load(5)), (16, load(75)), (26, load(5)))),
    "zero": Play(
        steps=((14, queue(2)), (24, queue(0)), (46, queue(15)), (52, queue(0))),
        replicas=0,
        annotations={"initial-scale": "0"},
    ),
    "unlimited-burst-capacity": Play(
        steps=((0, queue(2)), (20, queue(0)), (44, queue(2)), (50, queue(0))),
        annotations={"target-burst-capacity": "-1"},
    ),
    "bounds": Play(
        steps=(
            (0, load(5)),
            (14, load(40)),
            (24, annotate(max_scale="5")),
            (32, annotate(min_scale="3")),
            (36, load(5)),
            (52, annotate(min_scale=None)),
            (60, annotate(min_scale="2")),
        ),
        replicas=2,
        annotations={"min-scale": "2", "max-scale": "4"},
    ),
    "retention": Play(
        steps=((0, load(5)), (14, load(0))),
        annotations={"scale-to-zero-pod-retention-period": "10s", "target-burst-capacity": "100"},
    ),
    "delay": Play(steps=((0, load(20)), (14, load(5))), annotations={"scale-down-delay": "8s"}),
    "rps": Play(
        steps=((0, load(1, 5)), (14, load(1, 20)), (26, load(1, 5))),
        annotations={"metric": "rps", "target": "10", **NO_PANIC},
    ),
    "initial-scale": Play(
        steps=((0, load(1)), (14, load(0))), replicas=3, annotations={"initial-scale": "3"}
    ),
    "unreachable": Play(
        steps=((0, load(20)), (20, edit(reachability="Unreachable")), (26, load(0))),
        replicas=4,
        annotations={"min-scale": "4"},
    ),
    "weighted": Play(
        steps=((0, load(5)), (14, load(40)), (34, load(1))),
        annotations={
            "metric-aggregation-algorithm": "weighted-exponential",
            "window": "30s",
            "max-scale": "3",
            **NO_PANIC,
        },
    ),
    "never-ready": Play(
        steps=(),
        start_seconds=1000.0,
        annotations={"serving.knative.dev/progress-deadline": "1s"},
    ),
    "steady": Play(steps=((0, load(20)),), annotations=dict(NO_PANIC)),
    "restarted-in-panic": Play(steps=((0, load(5)), (62, load(40)), (68, load(5)))),
}


async def play(knative: Knative, charge: Charge) -> Recording:
    """Play everything at once to the autoscaler in charge; later it gets another setting and is restarted."""
    reports = ActivatorReports(knative.namespace)
    async with recording(knative.api, knative.namespace) as result:
        await _at_odd_second()
        result.origin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            reporter = group.create_task(reports.run(lambda: charge.running))
            scripts = [_follow(result.origin, name, each, knative, reports) for name, each in PLAYS.items()]
            await asyncio.gather(*scripts, _administrate(result.origin, knative, charge))
            reporter.cancel()
    return result


async def _follow(
    origin: float, name: str, script: Play, knative: Knative, reports: ActivatorReports
) -> None:
    revision = await knative.create(
        name,
        replicas=script.replicas,
        container_concurrency=script.container_concurrency,
        annotations=script.annotations,
        start_seconds=script.start_seconds,
    )
    for at, act in script.steps:
        await _until(origin + at)
        await act(revision, reports)
    await _until(origin + SECONDS)


async def _administrate(origin: float, knative: Knative, charge: Charge) -> None:
    await _until(origin + CONFIG_EDIT)
    await knative.configure("config-autoscaler", {**CLUSTER, "container-concurrency-target-percentage": "50"})
    await _until(origin + RESTART)
    await charge.restart()


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.monotonic()))


async def _at_odd_second() -> None:
    """Begin where our ticks have just been, so that those after a step of the load see it whole."""
    now = time.time()
    await asyncio.sleep(1.0 - now % 2 if now % 2 < 1 else 3.0 - now % 2)
