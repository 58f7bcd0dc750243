"""What the demonstration runs.

Covered: both documents are accepted by those who read them and mean what the screen says.
"""

import sys
from pathlib import Path

import yaml

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.demo.scenario import DemoScenario
from kpa.demo.trace import BUILTIN
from kpa.local.manifests.documents import read_files


def test_the_documents_are_accepted_without_a_warning(tmp_path: Path) -> None:
    manifest, config_map = DemoScenario().write(tmp_path)
    config = AutoscalerConfig.from_config_map(yaml.safe_load(config_map.read_text())["data"])
    documents = read_files([manifest], config)
    (service,) = documents.services
    assert documents.warnings == ()
    assert service.template.argv == (sys.executable, "-m", "kpa.demo.model_server")
    settings = resolve(config, service.annotations, service.template.container_concurrency)
    assert (settings.stable_window, settings.panic_window) == (15, 3)
    assert (settings.target_value, settings.min_scale, settings.max_scale) == (3.5, 0, 8)
    assert settings.initial_scale == 0
    assert (settings.scale_to_zero_grace_period, settings.scale_to_zero_pod_retention_period) == (4, 4)
    assert (settings.scale_rate_period, config.tick_interval) == (4, 1)


def test_the_screen_states_the_settings_that_are_written() -> None:
    scenario = DemoScenario(
        stable_window=20, panic_window=4, grace_period=5, pod_retention=6, tick_interval=2
    )
    text = " ".join(scenario.statement())
    for part in ("stable window 20s", "panic window 4s", "grace 5s", "retention 6s", "tick 2s"):
        assert part in text


def test_the_builtin_trace_is_idle_for_longer_than_the_way_to_zero_takes() -> None:
    (idle,) = (stretch for stretch in BUILTIN if stretch.name == "idle")
    assert idle.length > DemoScenario().to_zero_seconds + 10
