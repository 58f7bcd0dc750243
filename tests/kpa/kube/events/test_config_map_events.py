"""Events on ConfigMaps: one for each version that cannot be used, and one when that is over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.autoscaler import NAME as AUTOSCALER
from config.deployment import NAME as DEPLOYMENT
from kpa.kube.api.errors import AlreadyExists, Forbidden, KubeError
from kpa.kube.api.resource import Resource
from kpa.kube.events.config_map_events import ConfigMapEvents
from kpa.kube.objects.config_maps import ConfigMap
from tests.kpa.kube.kube_samples import T0


class Client:
    """Takes Events; refuses the next one with `error`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.error: KubeError | None = None

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events.append(body)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return body


class Rig:
    """What tells of maps, running."""

    def __init__(self) -> None:
        self.client = Client()
        self.events = ConfigMapEvents(self.client, "knative-serving", "autoscaler-1", lambda: T0)  # type: ignore[arg-type]

    def read(self, version: str, *problems: str, name: str = AUTOSCALER) -> None:
        self.events.read(name, ConfigMap({}, f"uid of {name}", version), list(problems))

    async def told(self, count: int) -> list[tuple[str, str, str]]:
        """Wait until so many Events were written; returns severity, reason and name."""
        async with asyncio.timeout(30):
            while len(self.client.events) < count:
                await asyncio.sleep(0.001)
        return [(each["type"], each["reason"], each["metadata"]["name"]) for each in self.client.events]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    task = asyncio.create_task(rig.events.run())
    yield rig
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_bad_version_is_told_with_all_that_is_wrong(rig: Rig) -> None:
    rig.read("7", "stable-window = 'soon': must be a duration", "max-scale-up-rate = '1': must be above 1")
    await rig.told(1)
    [written] = rig.client.events
    assert written["message"] == (
        "stable-window = 'soon': must be a duration; max-scale-up-rate = '1': must be above 1; "
        "the last good settings stay in force"
    )
    assert written["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "knative-serving",
        "name": "config-autoscaler",
        "uid": "uid of config-autoscaler",
        "resourceVersion": "7",
    }
    assert written["source"] == {"component": "autoscaler"}


async def test_the_end_of_it_is_told_once(rig: Rig) -> None:
    rig.read("6")
    rig.read("7", "bad")
    rig.read("8", "worse")
    rig.read("9")
    rig.read("10")
    rig.read("11", "bad again", name=DEPLOYMENT)
    assert await rig.told(4) == [
        ("Warning", "InvalidConfiguration", "config-autoscaler.7"),
        ("Warning", "InvalidConfiguration", "config-autoscaler.8"),
        ("Normal", "ValidConfiguration", "config-autoscaler.9"),
        ("Warning", "InvalidConfiguration", "config-deployment.11"),
    ]


@pytest.mark.parametrize(
    "error", [AlreadyExists("another replica was faster"), Forbidden("no")], ids=["told", "forbidden"]
)
async def test_an_event_that_is_refused_ends_nothing(rig: Rig, error: KubeError) -> None:
    rig.client.error = error
    rig.read("7", "bad")
    rig.read("8", "worse")
    assert len(await rig.told(2)) == 2
