"""The container image: what its Dockerfile promises, and that the packages need no writable place.

Left out: building it, which needs a container engine.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "metrics", "scaler", "kpa")


class Step(NamedTuple):
    instruction: str
    arguments: str


def stages() -> list[list[Step]]:
    """Instructions by stage; a stage begins with FROM."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    steps = [Step(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]
    starts = [index for index, step in enumerate(steps) if step.instruction == "FROM"]
    return [steps[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def arguments(instruction: str) -> list[str]:
    return [step.arguments for step in stages()[-1] if step.instruction == instruction]


def test_one_stage_builds_and_the_last_one_only_takes_the_result() -> None:
    build, final = stages()
    assert build[0].arguments == "python:3.11-slim AS build"
    assert final[0].arguments == "python:3.11-slim"
    assert arguments("COPY") == ["--from=build /opt/kpa /opt/kpa"]
    assert arguments("ADD") == []


def test_the_last_stage_installs_nothing_and_drops_what_could() -> None:
    (run,) = arguments("RUN")
    assert "uninstall" in run
    assert {"pip", "setuptools", "wheel"} <= set(run.split())
    assert not re.search(r"\binstall\b|apt|curl|gcc|wget", run)


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    (user,) = arguments("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert [step.instruction for step in stages()[-1]][-2:] == ["USER", "ENTRYPOINT"]


def test_it_writes_nothing_outside_tmp() -> None:
    environment = dict(pair.split("=", 1) for pair in " ".join(arguments("ENV")).split())
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["HOME"] == "/tmp"
    assert arguments("WORKDIR") == ["/tmp"]
    assert arguments("VOLUME") == []


def test_it_starts_kpa_itself_without_a_shell() -> None:
    (entrypoint,) = arguments("ENTRYPOINT")
    assert json.loads(entrypoint) == ["python", "-m", "kpa"]
    assert arguments("CMD") == []


def test_it_is_built_from_all_that_the_package_needs() -> None:
    copied = " ".join(step.arguments for step in stages()[0] if step.instruction == "COPY").split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *packages}
    assert needed <= set(copied)
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in needed} <= set(sent)
    assert "*" in sent


@pytest.mark.process
@pytest.mark.timeout(60)
def test_the_packages_start_from_a_place_that_they_leave_untouched(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(tmp_path.rglob("*"))
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent", "PYTHONPATH": str(tmp_path)}
    for command in (["-m", "kpa", "--help"], ["-c", "import kpa.web.server, kpa.runtime.logs"]):
        run = [sys.executable, *command]
        subprocess.run(run, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=50)
    assert sorted(tmp_path.rglob("*")) == before
