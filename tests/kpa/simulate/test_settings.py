"""Settings from a ConfigMap, keys set over it, and annotations.

Covered: what wins, warnings, every refusal in one line with what was expected.
"""

from pathlib import Path

import pytest

from config.autoscaler import AutoscalerConfig
from kpa.simulate.errors import InputError
from kpa.simulate.settings import read_annotations, read_settings

MAP = "{kind: ConfigMap, metadata: {name: config-autoscaler}, data: {%s}}"


def written(folder: Path, data: str) -> str:
    path = folder / "config.yaml"
    path.write_text(MAP % data)
    return str(path)


def test_without_anything_the_defaults_hold() -> None:
    assert read_settings(None, ()) == (AutoscalerConfig(), {}, [])


def test_what_is_set_wins_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "stable-window: 2m, scale-down-delay: 5s")
    config, data, warnings = read_settings(file, ["stable-window=30s", "defaults=knative"])
    assert (config.stable_window, config.scale_down_delay, config.max_scale_up_rate) == (30.0, 5.0, 1000.0)
    assert data == {"stable-window": "30s", "scale-down-delay": "5s", "defaults": "knative"}
    assert warnings == []


def test_a_key_of_the_file_that_nothing_reads_is_a_warning(tmp_path: Path) -> None:
    file = written(tmp_path, "stable-windw: 2m")
    warnings = read_settings(file, ()).warnings
    assert warnings == [f"{file}: stable-windw = '2m': unknown key, ignored; did you mean stable-window?"]


@pytest.mark.parametrize(
    ("data", "assignments", "problem"),
    [
        ("stable-window: 3s", (), r"config\.yaml: stable-window = '3s': must be a duration \(such as 90s"),
        ("", ("stable-window=3s",), r"config\.yaml, --set: stable-window = '3s': must be a duration"),
        ("", ("stable-windw=30s",), r"^--set stable-windw=30s: unknown key; did you mean stable-window\?$"),
        ("", ("zzz=1",), r"^--set zzz=1: unknown key; known are those of kpa check-config$"),
        ("", ("stable-window",), r"^--set 'stable-window' must be key=value$"),
        ("a: b: c", (), r"config\.yaml: not YAML: line 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, data: str, assignments: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as refused:
        read_settings(written(tmp_path, data), assignments)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"^nope\.yaml: No such file"):
        read_settings("nope.yaml", ())


def test_annotations_need_no_prefix() -> None:
    given = ["min-scale=2", "autoscaling.knative.dev/window=2m", "serving.knative.dev/progress-deadline=5m"]
    assert read_annotations(given, AutoscalerConfig()) == {
        "autoscaling.knative.dev/min-scale": "2",
        "autoscaling.knative.dev/window": "2m",
        "serving.knative.dev/progress-deadline": "5m",
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("minscale=2", r"unknown annotation; did you mean autoscaling\.knative\.dev/min-scale\?"),
        ("min-scale=two", r"min-scale = 'two': must be an integer"),
        ("window=3s", r"window = '3s': must be a duration"),
    ],
)
def test_annotations_that_knative_would_refuse_are_refused(given: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_annotations([given], AutoscalerConfig())
