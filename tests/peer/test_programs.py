"""Programs are built once for all who ask, again when their source changed, and never left out in silence."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.peer import programs

pytestmark = pytest.mark.peer


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and a build that is only noted down."""
    names: list[str] = []

    def note(name: str, binary: Path) -> None:
        names.append(name)
        binary.touch()

    monkeypatch.setenv("KPA_PEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(programs, "build", note)
    return names


def test_many_who_ask_at_once_get_one_build(built: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(programs.program, ["decisions"] * 8))

    assert built == ["decisions"]
    assert paths == {programs.cache_folder() / "decisions"}


def test_a_changed_source_is_built_again(
    built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    shutil.copytree(programs.MODULE / "decisions", module / "decisions")
    for name in ("go.mod", "go.sum"):
        shutil.copy(programs.MODULE / name, module)
    monkeypatch.setattr(programs, "MODULE", module)
    programs.program("decisions")
    programs.program("decisions")
    assert built == ["decisions"]

    with (module / "decisions" / "main.go").open("a") as source:
        source.write("// changed\n")
    programs.program("decisions")

    assert built == ["decisions", "decisions"]


def test_a_missing_go_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(programs.BuildError, match=r"need Go 1\.25 .* pytest -m 'not peer'"):
        programs.build("queue", tmp_path / "queue")


def test_a_failed_build_says_what_go_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(programs.PACKAGES, "queue", "./nowhere")

    with pytest.raises(programs.BuildError, match=r"(?s)go build .* failed:.*nowhere"):
        programs.build("queue", tmp_path / "queue")
