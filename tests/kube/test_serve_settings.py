"""`kpa serve` takes its ConfigMaps as they come: live, broken, or not there."""

import asyncio
import json

import aiohttp
import pytest

from tests.kube.api import path
from tests.kube.installation import SYSTEM, config_maps
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube


async def test_nonsense_leaves_the_last_good_settings_in_force(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", {"stable-window": "6s"})
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "1"})
    revision.load(42.0)
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    assert await _window(knative) == 6.0

    await knative.configure("config-autoscaler", {"stable-window": "soon", "max-scale-up-rate": "0.5"})
    await serving.logs("ConfigMap config-autoscaler: ")
    await _series(serving, "kpa_config_valid", 0.0)
    text = serving.log.read_text()
    assert all(word in text for word in ("stable-window", "'soon'", "max-scale-up-rate"))
    assert await _window(knative) == 6.0

    await knative.configure("config-autoscaler", {"stable-window": "12s"})
    await _series(serving, "kpa_config_valid", 1.0)
    await knative.until(lambda: _stable_window(revision.metric) == 12.0, "the new window is in force")


async def test_settings_that_are_not_there_are_the_defaults(knative: Knative, autoscaler: Autoscaler) -> None:
    for name in config_maps():
        await knative.unconfigure(name)
    serving = await autoscaler.start()
    revision = await knative.create("hello-00001", annotations={"min-scale": "2"})
    await knative.until(lambda: revision.condition("Ready") == ("True", ""), "ready")
    assert revision.replicas == 2
    assert (await serving.telemetry())["kpa_config_valid"] == 1.0
    await knative.configure("config-autoscaler", {"stable-window": "8s"})
    await knative.until(lambda: _stable_window(revision.metric) == 8.0, "settings that come are taken")
    await knative.unconfigure("config-autoscaler")
    await asyncio.sleep(1.0)
    assert _stable_window(revision.metric) == 8.0, "a deleted ConfigMap changes nothing"


async def test_a_bad_configmap_says_so_on_itself_once_and_that_it_is_good_again(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    replicas = [await autoscaler.start(), await autoscaler.start()]
    bad = {"stable-window": "soon"}
    await knative.configure("config-autoscaler", bad)
    for serving in replicas:
        await serving.logs("ConfigMap config-autoscaler: ")
    await knative.configure("config-autoscaler", {**bad, "_example": "an edit that nobody reads"})
    await knative.configure("config-autoscaler", {"stable-window": "7s"})
    for serving in replicas:
        await serving.logs("settings of config-autoscaler are in force")
    restarted = await autoscaler.start()
    await knative.configure("config-logging", {"loglevel.autoscaler": "loud"})
    await restarted.logs("ConfigMap config-logging: loglevel.autoscaler = 'loud': must be debug, ")

    async def told() -> list[tuple[str, str, str, int]]:
        events = await knative.api.items(path("events", SYSTEM))
        found = [each for each in events if each["involvedObject"]["kind"] == "ConfigMap"]
        found.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [
            (each["involvedObject"]["name"], each["type"], each["reason"], each["count"]) for each in found
        ]

    expected = [
        ("config-autoscaler", "Warning", "InvalidConfiguration", 1),
        ("config-autoscaler", "Normal", "ValidConfiguration", 1),
        ("config-logging", "Warning", "InvalidConfiguration", 1),
    ]
    async with asyncio.timeout(60):
        while await told() != expected:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    assert await told() == expected
    stored = await knative.api.get(path("configmaps", SYSTEM, "config-autoscaler"))
    [event, *_] = await knative.api.items(path("events", SYSTEM))
    assert event["involvedObject"]["uid"] == stored["metadata"]["uid"], "kubectl describe finds it"
    assert event["message"].startswith("stable-window = 'soon': must be ")


async def test_the_log_level_is_followed(knative: Knative, autoscaler: Autoscaler) -> None:
    serving = await autoscaler.start()
    await serving.logs("we lead")
    await knative.configure("config-logging", {"loglevel.autoscaler": "error"})
    await asyncio.sleep(1.0)
    quiet = await knative.create("quiet-00001", annotations={"min-scale": "2"})
    await knative.until(lambda: quiet.condition("Ready") == ("True", ""), "ready")
    assert "quiet-00001" not in serving.log.read_text()
    await knative.configure("config-logging", {"loglevel.autoscaler": ""})
    await serving.logs("settings of config-logging are in force")
    await quiet.annotate(min_scale="3")
    await serving.logs("scaled from 2 to 3")


async def test_the_form_of_the_log_is_followed_in_a_map_of_any_name(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    serving = await autoscaler.start(environment={"CONFIG_LOGGING_NAME": "config-logging-kpa"})
    await serving.logs("we lead")
    form = {"messageKey": "msg", "timeKey": "ts", "timeEncoder": "epoch", "nameKey": ""}
    zap = {"level": "debug", "encoding": "json", "encoderConfig": form, "outputPaths": ["stdout"]}
    await knative.configure("config-logging-kpa", {"zap-logger-config": json.dumps(zap)})
    await serving.logs('"msg": "settings of config-logging-kpa are in force"')
    lines = [json.loads(line) for line in serving.log.read_text().splitlines() if line.startswith("{")]
    told = next(line for line in lines if line["msg"] == "settings of config-logging-kpa are in force")
    assert {key: type(value) for key, value in told.items()} == {"ts": float, "level": str, "msg": str}

    await knative.configure(
        "config-logging-kpa", {"zap-logger-config": json.dumps(zap | {"encoding": "xml"})}
    )
    problem = "ConfigMap config-logging-kpa: zap-logger-config encoding = 'xml': must be json or console"
    await serving.logs(f'"msg": "{problem}; the last good settings stay in force"')
    await _series(serving, "kpa_config_valid", 0.0)
    await knative.configure("config-logging-kpa", {})
    await serving.logs("kpa.kube.objects.config_maps: settings of config-logging-kpa are in force")
    await _series(serving, "kpa_config_valid", 1.0)


async def test_the_port_of_profiles_has_none(knative: Knative, autoscaler: Autoscaler) -> None:
    serving = await autoscaler.start()
    await knative.configure("config-observability", {"runtime-profiling": "enabled"})
    await serving.logs("port 8008 answers 404 always")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{serving.host}:8008/debug/pprof/") as answer,
    ):
        assert answer.status == 404


async def test_a_bad_leader_election_ends_it_with_the_reason(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-leader-election", {"buckets": "many"})
    serving = await autoscaler.start(ready=False)
    assert await serving.process.wait() == 2
    assert (
        "ConfigMap config-leader-election: buckets = 'many': must be a whole number"
        in serving.log.read_text()
    )
    [event] = await knative.api.items(path("events", SYSTEM))
    assert (event["involvedObject"]["name"], event["reason"]) == (
        *("config-leader-election", "InvalidConfiguration"),
    )
    assert event["message"].endswith("from 1 to 1000; the autoscaler cannot start")


async def _window(knative: Knative) -> float | None:
    """Return the window that the first revision's Metric has after a moment in which it could change."""
    await asyncio.sleep(0.5)
    return _stable_window(next(iter(knative.revisions.values())).metric)


def _stable_window(metric: dict[str, object] | None) -> float | None:
    """Return the stable window of a Metric, in seconds."""
    spec = (metric or {}).get("spec")
    return float(spec["stableWindow"]) / 1e9 if isinstance(spec, dict) else None


async def _series(serving: Serving, name: str, value: float) -> None:
    async with asyncio.timeout(60):
        while (await serving.telemetry())[name] != value:
            await asyncio.sleep(0.05)
