"""ConfigMaps: what is read of them, what is refused and how, and who is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from config.autoscaler import NAME as AUTOSCALER
from config.deployment import NAME as DEPLOYMENT
from config.logs import NAME as LOGGING
from config.logs import Form, LogConfig
from config.network import NAME as NETWORK
from config.network import NetworkConfig
from config.observability import NAME as OBSERVABILITY
from config.readers import Names
from kpa.kube.api.client import KubeClient
from kpa.kube.objects import config_maps as settings_module
from kpa.kube.objects.config_maps import ClusterSettings, ConfigMap
from metrics.key import Key
from tests.kpa.kube.api_client import api_and_client
from tests.kpa.kube.fake_api import THINGS, FakeApi

SYSTEM = "knative-serving"


class Told:
    """Settings of a fake API server, and what they told."""

    def __init__(self, api: FakeApi, client: KubeClient, names: Names | None) -> None:
        self.api = api
        self.changed: list[str] = []
        self.problems: list[tuple[str, list[str]]] = []
        self.maps: list[ConfigMap] = []
        self.settings = ClusterSettings(client, SYSTEM, self.changed.append, self._read, names)

    def _read(self, name: str, config_map: ConfigMap, problems: list[str]) -> None:
        self.problems.append((name, problems))
        self.maps.append(config_map)

    @property
    def changes(self) -> int:
        return len(self.changed)

    async def put(self, name: str, data: dict[str, str] | None) -> None:
        """Store a map and wait until it was looked at."""
        before = len(self.problems)
        self.api.put(name, None, SYSTEM, data=data)
        async with asyncio.timeout(5):
            while len(self.problems) == before:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def following(names: Names | None = None) -> AsyncIterator[Told]:
    async with api_and_client() as (api, client):
        told = Told(api, client, names)
        task = asyncio.create_task(told.settings.informer.run())
        try:
            await told.settings.informer.synced.wait()
            yield told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def config_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake API server serves one kind."""
    monkeypatch.setattr(settings_module, "CONFIGMAPS", THINGS)


async def test_without_maps_the_defaults_are_in_force() -> None:
    async with following() as told:
        assert told.settings.autoscaler.defaults == "inference"
        assert told.settings.progress_deadline == 600.0
        assert (told.changes, told.problems) == (0, [])


async def test_a_new_map_is_in_force_at_once() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "30s"})
        assert told.settings.autoscaler.stable_window == 30.0
        assert told.changes == 1


async def test_maps_may_have_other_names() -> None:
    names = Names("config-autoscaler-shadow", logging="logging-shadow", observability="observability-shadow")
    async with following(names) as told:
        for usual in (AUTOSCALER, LOGGING, OBSERVABILITY):
            told.api.put(usual, None, SYSTEM, data={"stable-window": "30s", "loglevel.autoscaler": "debug"})
        await told.put("config-autoscaler-shadow", {"stable-window": "40s"})
        await told.put("logging-shadow", {"loglevel.autoscaler": "error"})
        await told.put("observability-shadow", {"runtime-profiling": "sometimes"})
        assert told.settings.autoscaler.stable_window == 40.0
        assert told.settings.values.logs.level == "error"
        assert [name for name, _ in told.problems] == [
            *("config-autoscaler-shadow", "logging-shadow", "observability-shadow")
        ]
        assert told.changed == ["config-autoscaler-shadow", "logging-shadow"]


async def test_the_same_settings_again_change_nothing() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "30s"})
        await told.put(AUTOSCALER, {"stable-window": "0.5m"})
        assert told.changes == 1


async def test_a_bad_map_leaves_the_last_good_one_in_force_and_every_problem_is_told() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "30s"})
        await told.put(AUTOSCALER, {"stable-window": "soon", "max-scale-up-rate": "1"})
        name, problems = told.problems[-1]
        assert name == AUTOSCALER
        assert len(problems) == 2
        assert any("stable-window" in text and "soon" in text for text in problems)
        assert told.settings.autoscaler.stable_window == 30.0
        assert told.changes == 1
        await told.put(AUTOSCALER, {"stable-window": "40s"})
        assert told.problems[-1] == (AUTOSCALER, [])
        assert told.settings.autoscaler.stable_window == 40.0


async def test_an_empty_map_has_the_defaults() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"defaults": "knative"})
        await told.put(AUTOSCALER, None)
        assert told.settings.autoscaler.defaults == "inference"


async def test_unknown_keys_are_named_but_examples_are_not(caplog: pytest.LogCaptureFixture) -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-windw": "30s", "_example": "stable-window: 60s"})
        assert [record.message for record in caplog.records] == [
            "config-autoscaler: stable-windw = '30s': unknown key, ignored; did you mean stable-window?"
        ]


async def test_an_edited_example_is_no_change() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "30s", "_example": "old"})
        told.api.put(AUTOSCALER, None, SYSTEM, data={"stable-window": "30s", "_example": "new"})
        await told.put(DEPLOYMENT, {})
        assert [name for name, _ in told.problems] == [AUTOSCALER, DEPLOYMENT]


async def test_a_deleted_map_leaves_its_settings_in_force() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "30s"})
        told.api.remove(AUTOSCALER, SYSTEM)
        await told.put(DEPLOYMENT, {"progress-deadline": "20s"})
        assert told.settings.autoscaler.stable_window == 30.0


async def test_other_maps_are_not_kept() -> None:
    async with following() as told:
        told.api.put("config-gc", None, SYSTEM, data={"stable-window": "soon"})
        await told.put(DEPLOYMENT, {})
        assert list(told.settings.informer.cache) == [Key(SYSTEM, DEPLOYMENT)]


async def test_the_progress_deadline_is_in_force_at_once_and_a_bad_one_changes_nothing() -> None:
    async with following() as told:
        await told.put(DEPLOYMENT, {"progress-deadline": "20s"})
        await told.put(DEPLOYMENT, {"progress-deadline": "long"})
        assert told.settings.progress_deadline == 20.0
        message = "progress-deadline = 'long': must be a duration of whole seconds above 0"
        assert told.problems[-1] == (DEPLOYMENT, [message])


async def test_a_map_is_told_with_what_an_event_about_it_needs() -> None:
    async with following() as told:
        await told.put(AUTOSCALER, {"stable-window": "soon"})
        stored = told.api.objects[Key(SYSTEM, AUTOSCALER)]["metadata"]
        assert told.maps[-1].version == stored["resourceVersion"]
        assert told.maps[-1].uid == stored.get("uid", "")


async def test_what_is_logged_and_how_is_taken_live_and_a_bad_edit_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    zap = {"level": "error", "encoding": "json", "encoderConfig": {"messageKey": "msg"}, "outputs": []}
    async with following() as told:
        await told.put(LOGGING, {"loglevel.controller": "error"})
        assert told.changed == []
        await told.put(LOGGING, {"loglevel.autoscaler": "debug", "zap-logger-config": json.dumps(zap)})
        taken = LogConfig("debug", "json", form=Form(message_key="msg"))
        assert told.settings.values.logs == taken
        assert caplog.messages[0].startswith("config-logging: zap-logger-config outputs = '[]': unknown key")
        await told.put(LOGGING, {"loglevel.autoscaler": "loud", "zap-logger-config": "{"})
        assert told.settings.values.logs == taken
        level, document = told.problems[-1][1]
        assert level.startswith("loglevel.autoscaler = 'loud': must be debug, info, warn, ")
        assert document.startswith("zap-logger-config = '{': must be a JSON object: ")
        await told.put(LOGGING, {})
        assert told.settings.values.logs == LogConfig()
        assert told.changed == [LOGGING, LOGGING]


async def test_what_we_do_not_do_is_said_and_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with following() as told:
        await told.put(OBSERVABILITY, {"metrics-protocol": "prometheus", "runtime-profiling": "disabled"})
        assert caplog.records == []
        await told.put(OBSERVABILITY, {"metrics-protocol": "grpc", "runtime-profiling": "enabled"})
        assert [record.message for record in caplog.records] == [
            "config-observability: metrics-protocol = 'grpc' has no effect: "
            "/metrics is served on port 9090 always",
            "config-observability: runtime-profiling = 'enabled' has no effect: port 8008 answers 404 always",
        ]
        assert told.problems[-1] == (OBSERVABILITY, [])
        await told.put(OBSERVABILITY, {"metrics-protocol": "carrier-pigeon", "runtime-profiling": "often"})
        assert told.problems[-1][1] == [
            "metrics-protocol = 'carrier-pigeon': must be none or prometheus or http/protobuf or grpc",
            "runtime-profiling = 'often': must be disabled or enabled",
        ]
        assert told.changed == []


async def test_how_pods_are_reached_is_taken_live_and_a_bad_edit_changes_nothing() -> None:
    async with following() as told:
        assert told.settings.values.network == NetworkConfig()
        await told.put(NETWORK, {"mesh-compatibility-mode": "enabled", "rollout-duration": "120"})
        assert told.settings.values.network == NetworkConfig("enabled")
        await told.put(NETWORK, {"mesh-compatibility-mode": "perhaps"})
        problem = "mesh-compatibility-mode = 'perhaps': must be auto, enabled or disabled"
        assert told.problems[-1] == (NETWORK, [problem])
        assert told.settings.values.network == NetworkConfig("enabled")
        await told.put(NETWORK, {"enable-mesh-pod-addressability": "true"})
        assert told.settings.values.network == NetworkConfig("auto", True)
        assert told.changed == [NETWORK, NETWORK]
