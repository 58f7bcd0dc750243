"""Services that are scaled by their load, to the numbers and to the second that the rules give.

Each service of one `kpa local` lives through a story of its own, all at the same time and only once; the
tests look at what was recorded. Windows are short, so that a story takes less than a minute.

Left out: the rules themselves, which the tests of the engine hold against Knative's decisions.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import yaml

from config.autoscaler import AutoscalerConfig
from config.resolve import RevisionSettings, resolve
from kpa.controller.status import RevisionStatus
from tests.e2e.conftest import Launch
from tests.e2e.running import DEADLINE, REPOSITORY, Answer, Client, Kpa, client, failures, service

pytestmark = [pytest.mark.e2e, pytest.mark.timed, pytest.mark.timeout(300)]

GRACE, WINDOW = 4.0, 6.0
TICK = 2.0
SETTINGS = {
    "allow-zero-initial-scale": "true",
    "stable-window": f"{WINDOW:g}s",
    "scale-to-zero-grace-period": f"{GRACE:g}s",
    "scale-to-zero-pod-retention-period": "0s",
    "scale-down-delay": "0s",  # the profile's minute would make each story one minute longer
    "max-scale-down-rate": "10",
}
LOOK = 0.1
"""Seconds between two looks at all revisions."""

LATE = 1.9
"""Seconds by which something that is due may happen late on a busy machine; what it might be taken for is due
4 s sooner or later."""


class Moment(NamedTuple):
    """What was known of a revision at a unix time."""

    at: float
    status: RevisionStatus


@dataclass
class Story:
    """What a service lived through."""

    settings: RevisionSettings
    answers: list[Answer] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def first(self, condition: Callable[[RevisionStatus], object], after: float = 0.0) -> float:
        """Time at which a condition was seen first."""
        return self.between(condition, after)[1]

    def between(
        self, condition: Callable[[RevisionStatus], object], after: float = 0.0
    ) -> tuple[float, float]:
        """Times of the last look before a condition was seen, and of the first that saw it."""
        before = after
        for at, status in self.moments:
            if at < after:
                continue
            if condition(status):
                return before, at
            before = at
        raise AssertionError(f"never seen; last: {self.moments[-1] if self.moments else None}")

    @property
    def replicas(self) -> list[int]:
        """Numbers of replicas asked for, in order, each change once."""
        counts = [moment.status.replicas for moment in self.moments]
        return counts[:1] + [after for before, after in pairwise(counts) if after != before]


class Stage:
    """A running kpa whose revisions are looked at all the time."""

    def __init__(self, kpa: Kpa, client: Client, stories: Mapping[str, Story]) -> None:
        self.kpa, self.client, self.stories = kpa, client, stories
        self.now: dict[str, RevisionStatus] = {}
        self._looked = asyncio.Event()

    async def look(self) -> None:
        """Record all revisions until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            fleet = await self.client.fleet(self.kpa.telemetry_port)
            for status in fleet.revisions:
                name = status.service.removesuffix("-predictor")  # KServe's name of an InferenceService's
                self.now[name] = status
                self.stories[name].moments.append(Moment(fleet.time, status))
            self._looked.set()
            self._looked = asyncio.Event()
            await asyncio.sleep(max(0.0, began + LOOK - loop.time()))

    async def load(
        self,
        name: str,
        clients: int,
        seconds: float,
        path: str,
        until: Callable[[RevisionStatus], object] = lambda status: True,
    ) -> None:
        """Keep requests in flight for a time, and until a status; POST, as nobody may send those twice."""
        self.stories[name].answers += await self.client.load(
            name, clients, seconds, path, "POST", lambda: name in self.now and until(self.now[name])
        )

    async def until(self, name: str, condition: Callable[[RevisionStatus], object], what: str) -> None:
        """Wait until a status is seen."""
        try:
            async with asyncio.timeout(DEADLINE):
                while name not in self.now or not condition(self.now[name]):
                    await self._looked.wait()
        except TimeoutError:
            raise AssertionError(f"{name}: never seen {what}\n{self.kpa.log_of(name)}") from None

    async def until_zero(self, name: str) -> None:
        """Wait until the last pod has gone."""
        await self.until(name, lambda status: status.replicas == 0, "zero")


async def sixty(stage: Stage, name: str) -> None:
    """60 requests in flight, each 2 s long, for a while."""
    await stage.until(name, lambda status: status.ready == 1, "its first pod")
    await stage.load(name, 60, 16, "/?sleep=2000", lambda status: status.ready == 8)


async def wave(stage: Stage, name: str) -> None:
    """Up from zero, down, up again while requests go on; then to zero and back."""
    await stage.until(name, lambda status: status.replicas == 0, "zero")
    most = math.ceil(20 / stage.stories[name].settings.target_value)
    for _ in range(2):
        await stage.load(name, 2, 3, "/?sleep=100", lambda status: status.ready == 1)
        await stage.load(name, 20, 8, "/?sleep=100", lambda status: status.ready >= most)
    await stage.until_zero(name)
    await stage.load(name, 1, 0.5, "/?sleep=100")


async def pause(stage: Stage, name: str) -> None:
    """A short load, then nothing until the last pod has gone."""
    await stage.load(name, 1, 8, "/?sleep=200")
    await stage.until_zero(name)


async def press(stage: Stage, name: str) -> None:
    """More load than its pods are meant for, then none."""
    await stage.until(name, lambda status: status.ready > 0, "its first pod")
    await stage.load(name, 30, 8, "/?sleep=500", lambda status: status.ready == 2)
    await asyncio.sleep(2 * WINDOW)


async def rest(stage: Stage, name: str) -> None:
    """No load at all."""
    await stage.until(name, lambda status: status.replicas == 3, "three pods")
    await stage.until_zero(name)


async def model(stage: Stage, name: str) -> None:
    """To zero, then twelve requests in flight, then to zero again."""
    await stage.until(name, lambda status: status.ready == 1, "its first pod")
    await stage.until_zero(name)
    await stage.load(name, 12, 12, "/", lambda status: status.ready == 4)
    await stage.until_zero(name)


Play = Callable[[Stage, str], Awaitable[None]]
ASLEEP: Mapping[str, object] = {"initial-scale": 0}
DIRECT: Mapping[str, object] = {"initial-scale": 0, "target-burst-capacity": 0}
SLOW = {"three": {"LOAD_SECONDS": 5}}
"""Environment of those that must not be ready before anybody looks."""

STORIES: Mapping[str, tuple[Play, Mapping[str, object], int]] = {
    "sixty": (sixty, {"window": "30s"}, 10),
    "wave": (wave, ASLEEP, 5),
    "retained": (pause, {**ASLEEP, "scale-to-zero-pod-retention-period": "8s"}, 5),
    "settled": (pause, DIRECT, 5),
    "settled-late": (pause, {**DIRECT, "scale-to-zero-pod-retention-period": "2s"}, 5),
    "in-path": (pause, ASLEEP, 5),
    "unscraped": (pause, {**ASLEEP, "target-burst-capacity": -1}, 5),
    "fixed": (press, {"min-scale": 2, "max-scale": 2}, 5),
    "capped": (press, {"max-scale": 2}, 5),
    "three": (rest, {"initial-scale": 3}, 5),
}
MODEL_TIMES = "6s"


def inference_service() -> dict[str, Any]:
    """The example as it is shipped, with its window and its retention cut to a few seconds."""
    text = (REPOSITORY / "examples" / "inference-service.yaml").read_text()
    document: dict[str, Any] = yaml.safe_load(text)
    for key in ("window", "scale-to-zero-pod-retention-period"):
        assert document["metadata"]["annotations"][f"autoscaling.knative.dev/{key}"] == "30s"
        document["metadata"]["annotations"][f"autoscaling.knative.dev/{key}"] = MODEL_TIMES
    return document


@pytest.fixture(scope="module")
def stories(launch: Launch) -> Mapping[str, Story]:
    """All stories, played."""
    config = AutoscalerConfig.from_config_map(SETTINGS)
    told = {
        name: Story(
            resolve(config, {f"autoscaling.knative.dev/{key}": str(value) for key, value in own.items()}, cc)
        )
        for name, (_, own, cc) in STORIES.items()
    }
    annotations = {"autoscaling.knative.dev/target": "4", "autoscaling.knative.dev/max-scale": "4"}
    told["sentiment"] = Story(resolve(config, annotations, 8))
    manifests = [
        service(name, own, concurrency=cc, env=SLOW.get(name)) for name, (_, own, cc) in STORIES.items()
    ]
    kpa = launch(*manifests, inference_service(), settings=SETTINGS)
    asyncio.run(play(kpa, told))
    return told


async def play(kpa: Kpa, told: Mapping[str, Story]) -> None:
    """Play all stories at the same time."""
    async with client(kpa) as requests:
        stage = Stage(kpa, requests, told)
        looking = asyncio.create_task(stage.look())
        async with asyncio.TaskGroup() as group:
            for name, (story, _, _) in STORIES.items():
                group.create_task(story(stage, name))
            group.create_task(model(stage, "sentiment"))
        await asyncio.sleep(3 * LOOK)
        looking.cancel()
        await asyncio.wait([looking])


def test_sixty_requests_in_flight_get_the_replicas_that_the_rules_give(stories: Mapping[str, Story]) -> None:
    story = stories["sixty"]
    assert story.settings.target_value == 8.5
    expected = math.ceil(60 / story.settings.target_value)
    assert max(story.replicas) == expected == 8
    assert max(moment.status.ready for moment in story.moments) == 8
    assert any(moment.status.mode == "panic" for moment in story.moments)
    assert len(story.answers) >= 60 * 3
    assert not failures(story.answers)


def test_a_load_that_runs_through_up_and_down_sees_only_200s(stories: Mapping[str, Story]) -> None:
    story = stories["wave"]
    print(story.replicas, len(story.answers))
    assert len(story.answers) > 500
    assert not failures(story.answers)
    most = math.ceil(20 / story.settings.target_value)
    assert story.replicas[0] == 0
    assert max(story.replicas) >= most
    up = story.first(lambda status: status.ready >= most)
    down = story.first(lambda status: status.ready == 1, up)
    again = story.first(lambda status: status.ready >= most, down)
    zero = story.first(lambda status: status.replicas == 0, again)
    awake = story.first(lambda status: status.replicas == 1, zero)  # the last request found it at zero
    assert up < down < again < zero < awake


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        pytest.param("retained", 8.0, id="retention longer than grace"),
        pytest.param("settled", GRACE, id="no retention, requests went to the pod directly"),
        pytest.param("settled-late", GRACE, id="retention shorter than grace"),
        pytest.param("in-path", 0.0, id="no retention, activator in path for longer than grace"),
        pytest.param("unscraped", 0.0, id="no retention, activator always in path"),
    ],
)
def test_the_last_pod_goes_to_the_second(stories: Mapping[str, Story], name: str, seconds: float) -> None:
    """The last request leaves the window, the next tick makes the revision inactive, then the clock runs.

    A second counts as a whole, and what the queue-proxy measured in one is scraped in the next.
    """
    story = stories[name]
    assert not failures(story.answers)
    idle = max(answer.end for answer in story.answers)  # as seen by a client that may be late
    still_active, inactive = story.between(lambda status: status.activity == "inactive", idle)
    still_there, stopped = story.between(lambda status: status.replicas == 0, idle)
    print(f"{name}: inactive after {inactive - idle:.2f} s, then zero after {stopped - inactive:.2f} s")
    assert inactive - idle >= WINDOW - 1.0 - LATE
    assert still_active - idle <= WINDOW + 1.0 + TICK + LATE
    assert stopped - still_active >= seconds
    assert still_there - inactive <= seconds + LATE
    announced = story.first(lambda status: status.recommended == 0, idle)
    if seconds:
        status = next(status for at, status in story.moments if at > announced)
        assert status.next_event is not None
        assert status.next_event.what == "scale to zero"


def test_an_announced_end_comes_when_it_was_announced(stories: Mapping[str, Story]) -> None:
    story = stories["retained"]
    still_there, stopped = story.between(lambda status: status.replicas == 0, story.answers[-1].end)
    announced = {
        moment.status.next_event.at
        for moment in story.moments
        if moment.status.next_event is not None and moment.status.next_event.what == "scale to zero"
    }
    (due,) = announced
    assert stopped >= due
    assert still_there - due <= LATE


def test_a_service_of_fixed_size_is_never_scaled(stories: Mapping[str, Story]) -> None:
    story = stories["fixed"]
    assert story.replicas == [2]
    assert {moment.status.mode for moment in story.moments} == {"fixed"}
    assert max(moment.status.recommended for moment in story.moments) > 2
    assert not failures(story.answers)


def test_max_scale_holds_under_any_load(stories: Mapping[str, Story]) -> None:
    story = stories["capped"]
    assert max(story.replicas) == 2
    assert max(moment.status.recommended for moment in story.moments) > 2
    assert max(moment.status.ready for moment in story.moments) == 2
    assert not failures(story.answers)


def test_the_initial_scale_is_reached_before_anything_else(stories: Mapping[str, Story]) -> None:
    story = stories["three"]
    assert story.replicas == sorted(story.replicas, reverse=True)
    assert (story.replicas[0], story.replicas[-1]) == (3, 0)
    waiting = [moment.status for moment in story.moments if moment.status.activity == "activating"]
    assert {status.replicas for status in waiting} == {3}
    assert story.moments[-1].status.activity == "inactive"  # so it was active, which takes all three


def test_an_inference_service_goes_from_zero_to_its_most_replicas_and_back(
    stories: Mapping[str, Story],
) -> None:
    story = stories["sentiment"]
    assert not failures(story.answers)
    assert len(story.answers) >= 12
    assert story.replicas[0] == 1
    zero = story.first(lambda status: status.replicas == 0)
    many = story.first(
        lambda status: status.ready == min(4, math.ceil(12 / story.settings.target_value)), zero
    )
    assert story.first(lambda status: status.replicas == 0, many) > many
    assert max(story.replicas) == 4
