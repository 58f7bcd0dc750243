"""Knative's own autoscaler and `kpa serve` in charge of the same revisions, one after the other.

Both get the plays of `plays.py`: ramp, burst, idle and back, bounds edited, a setting of the cluster edited,
a restart. What they write over time must be the same: numbers of pods, path of requests, conditions. Ticks
of Knative's deciders have phases of their own, so a value may come a tick earlier or later; where several
values follow one another within a tick, one of them may be missing. Our own choices are in `OURS`.

Left out: several replicas, and pods that fail (tests of their own).
"""

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kube.control_plane import ControlPlane
from tests.kube.installation import controller_token
from tests.kube.knative_double import playing
from tests.kube.peer_autoscaler import KpaAutoscaler, in_charge, start_knative
from tests.kube.plays import BEGIN, CLUSTER, PLAYS, RESTART, SECONDS, play
from tests.kube.recorder import Recording, Series, bare
from tests.kube.serving import autoscaling
from tests.kube.stub_activator import activator
from tests.kube.stub_pods import StubPods
from tests.peer.programs import program

pytestmark = [pytest.mark.kube, pytest.mark.peer, pytest.mark.timeout(1200)]

TOLERANCE = 3.5
"""Seconds: a tick of 2 s, the second that a scrape stands for, and half a second for writing."""

HELD = 5.0
"""Seconds for which a value must stay to be a step of its own: two ticks and a scrape."""

NUMBERS = ("desiredScale", "actualScale", "replicas", "numActivators")
WORDS = ("mode", "Active", "Ready", "SKSReady", "ScaleTargetInitialized", "Metric Ready")


@dataclass(frozen=True)
class Choice:
    """Where we differ because we chose to.

    Attributes
    ----------
    values : tuple of str
        What differs.
    begin, end : float
        Seconds of the play.
    ours, theirs : str
        What happens.
    reason : str
    """

    values: tuple[str, ...]
    begin: float
    end: float
    ours: str
    theirs: str
    reason: str


OURS = (
    Choice(
        values=("mode", "SKSReady", "Ready"),
        begin=RESTART - 1,
        end=RESTART + 8,
        ours="a revision that its pods serve is served by them through a restart",
        theirs="activators are put into the path until the first decision",
        reason="nothing is known yet, and a path that changes twice costs connections and reports",
    ),
)


@dataclass(frozen=True)
class Runs:
    """What became of the plays."""

    knative: Recording
    kpa: Recording


@pytest.fixture(scope="module")
def runs(control_plane: ControlPlane, stubs: StubPods, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Play everything to both, one after the other."""
    program("autoscaler")
    folder = tmp_path_factory.mktemp("parity")

    async def both() -> Runs:
        return Runs(
            await play_to_knative(control_plane, stubs, folder),
            await play_to_kpa(control_plane, stubs, folder),
        )

    runs = asyncio.run(both())
    for name, recording in (("Knative", runs.knative), ("kpa", runs.kpa)):
        print(f"{name}: {recording.cpu_seconds:.1f} s of processor time, versions seen {recording.changes}")
    return runs


async def play_to_knative(control_plane: ControlPlane, stubs: StubPods, folder: Path) -> Recording:
    """Play with Knative's autoscaler in charge."""
    host, config = stubs.free_ip(), control_plane.kubeconfig(folder / "admin")
    async with playing(control_plane, stubs) as knative, activator(stubs.free_ip()) as stub:
        await knative.configure("config-autoscaler", CLUSTER)
        async with in_charge(lambda: start_knative(config, folder / "knative.log", host, stub)) as charge:
            recording = await play(knative, charge)
        recording.cpu_seconds = charge.cpu_seconds
    return recording


async def play_to_kpa(control_plane: ControlPlane, stubs: StubPods, folder: Path) -> Recording:
    """Play with ours in charge."""
    async with playing(control_plane, stubs) as knative:
        await knative.configure("config-autoscaler", CLUSTER)
        config = control_plane.kubeconfig(folder / "controller", await controller_token(knative.api))
        async with autoscaling(config, folder, stubs) as autoscaler:
            async with in_charge(lambda: KpaAutoscaler(autoscaler).start()) as charge:
                recording = await play(knative, charge)
            recording.cpu_seconds = charge.cpu_seconds
    return recording


def chosen(value: str, at: float) -> bool:
    """Tell whether a difference is one of ours."""
    return any(value in choice.values and choice.begin <= at <= choice.end for choice in OURS)


def strays(one: Recording, other: Recording, revision: str, value: str) -> list[float]:
    """Return the times at which one said what the other did not."""
    mine, theirs = (each.series[revision].get(value, Series()) for each in (one, other))
    return mine.strays(theirs, BEGIN, SECONDS - TOLERANCE, TOLERANCE)


def unchosen(one: Recording, other: Recording, revision: str, value: str) -> list[float]:
    """Likewise, our choices left out."""
    return [at for at in strays(one, other, revision, value) if not chosen(value, at)]


def story(runs: Runs, revision: str, value: str) -> str:
    """Write down what both said."""
    lines = [f"{revision}, {value}:"]
    for name, recording in (("Knative", runs.knative), ("kpa", runs.kpa)):
        steps = recording.series[revision].get(value, Series()).steps
        lines.append(f"  {name}: " + ", ".join(f"{told} at {at:.1f} s" for at, told in steps))
    return "\n".join(lines)


@pytest.mark.parametrize("revision", PLAYS)
@pytest.mark.parametrize("value", NUMBERS + WORDS)
def test_both_say_the_same_at_the_same_time(runs: Runs, revision: str, value: str) -> None:
    ours = unchosen(runs.kpa, runs.knative, revision, value)
    theirs = unchosen(runs.knative, runs.kpa, revision, value)
    assert not ours, f"Knative did not say so near {ours[0]:.1f} s: {story(runs, revision, value)}"
    assert not theirs, f"kpa did not say so near {theirs[0]:.1f} s: {story(runs, revision, value)}"


@pytest.mark.parametrize("revision", PLAYS)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("desiredScale", HELD), ("replicas", HELD), ("mode", 0), ("Active", 0), ("ScaleTargetInitialized", 0)],
)
def test_both_go_through_the_same_steps(runs: Runs, revision: str, value: str, seconds: float) -> None:
    """In the same order: each number that lasted, each word."""
    theirs, ours = (
        each.series[revision].get(value, Series()).held(seconds, BEGIN, RESTART)
        for each in (runs.knative, runs.kpa)
    )
    assert ours == theirs, story(runs, revision, value)


@pytest.mark.parametrize("revision", PLAYS)
@pytest.mark.parametrize("kind", ["metrics", "serverlessservices", "podautoscalers"])
def test_both_leave_the_same_objects(runs: Runs, revision: str, kind: str) -> None:
    theirs, ours = (bare(each.objects[revision][kind]) for each in (runs.knative, runs.kpa))
    assert ours == theirs


@pytest.mark.parametrize("choice", OURS, ids=lambda choice: choice.reason)
def test_our_choices_are_still_choices(runs: Runs, choice: Choice) -> None:
    found = [
        at
        for revision in PLAYS
        for value in choice.values
        for at in strays(runs.knative, runs.kpa, revision, value)
        if choice.begin <= at <= choice.end
    ]
    assert found, f"Knative does the same now: {choice.ours}"


def test_times_of_steps_are_about_a_tick_apart(runs: Runs) -> None:
    apart = []
    for revision in PLAYS:
        ours, theirs = (
            [each for each in recording.series[revision]["desiredScale"].steps if BEGIN < each[0] < RESTART]
            for recording in (runs.kpa, runs.knative)
        )
        if [value for _, value in ours] == [value for _, value in theirs]:
            apart += [one[0] - other[0] for one, other in zip(ours, theirs, strict=True)]
    print(f"{len(apart)} steps: ours come {statistics.mean(apart):+.2f} s after Knative's, in the mean")
    assert abs(statistics.mean(apart)) < 1.5
