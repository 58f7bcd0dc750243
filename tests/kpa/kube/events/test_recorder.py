"""Events are counted instead of repeated, and no object gets many. Time is virtual."""

import logging
from typing import Any

import pytest

from kpa.kube.api.errors import Forbidden, KubeError, NotFound
from kpa.kube.api.resource import Resource
from kpa.kube.events import recorder as recorder_module
from kpa.kube.events.events import INTERNAL_ERROR, PA_CONTROLLER, Involved
from kpa.kube.events.recorder import EventRecorder
from tests.kpa.kube.kube_samples import T0


class Client:
    """Stores Events by name; answers the next requests with `fails`."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.writes = 0
        self.fails: list[KubeError] = []

    def _fail(self) -> None:
        self.writes += 1
        if self.fails:
            raise self.fails.pop(0)

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self._fail()
        self.events[body["metadata"]["name"]] = body
        return body

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        self._fail()
        if name not in self.events:
            raise NotFound("gone")
        self.events[name] |= body
        return self.events[name]


class Rig:
    """A recorder whose time a test sets."""

    def __init__(self) -> None:
        self.client, self.now = Client(), T0
        self.recorder = EventRecorder(self.client, "autoscaler-1", lambda: self.now)  # type: ignore[arg-type]

    async def warn(self, message: str = "boom", name: str = "cart-00002") -> None:
        involved = Involved("autoscaling.internal.knative.dev/v1alpha1", "PodAutoscaler", "shop", name, "uid")
        await self.recorder.warn(involved, INTERNAL_ERROR, message, PA_CONTROLLER)
        self.now += 1.0

    @property
    def told(self) -> list[tuple[str, int]]:
        """Texts and their counts."""
        return [(event["message"], event["count"]) for event in self.client.events.values()]


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_what_happens_again_is_counted(rig: Rig) -> None:
    for _ in range(3):
        await rig.warn()
    await rig.warn("another")
    assert rig.told == [("boom", 3), ("another", 1)]
    [first, _] = rig.client.events.values()
    assert first["firstTimestamp"] == "2023-11-14T22:13:20Z"
    assert first["lastTimestamp"] == "2023-11-14T22:13:22Z"


async def test_a_revision_that_fails_every_second_costs_a_write_in_five_minutes(rig: Rig) -> None:
    for _ in range(3600):
        await rig.warn()
    assert rig.client.writes == 25 + 11  # the last one of the hour is not due yet


async def test_texts_that_differ_each_time_are_limited_as_well(rig: Rig) -> None:
    for number in range(100):
        await rig.warn(f"boom {number}")
    assert len(rig.told) == 25


async def test_objects_do_not_share_a_limit(rig: Rig) -> None:
    for number in range(100):
        await rig.warn(name=f"cart-{number:05d}")
    assert len(rig.told) == 100


async def test_an_event_that_is_gone_is_written_anew(rig: Rig) -> None:
    await rig.warn()
    rig.client.events.clear()
    await rig.warn()
    assert rig.told == [("boom", 1)]


async def test_an_event_that_cannot_be_written_hinders_nobody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.client.fails = [Forbidden("create events: may not (403)")]
    with caplog.at_level(logging.INFO):
        await rig.warn()
    assert "Event InternalError for cart-00002 not written: create events: may not (403)" in caplog.text
    await rig.warn()
    assert rig.told == [("boom", 1)]


async def test_only_the_last_events_are_remembered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_REMEMBERED", 10)
    for number in range(50):
        await rig.warn(name=f"cart-{number:05d}")
    await rig.warn(name="cart-00049")
    await rig.warn(name="cart-00000")
    again = [event["involvedObject"]["name"] for event in rig.client.events.values() if event["count"] == 2]
    assert again == ["cart-00049"], "the last one was remembered"
    assert len(rig.client.events) == 51, "the first one was forgotten"
