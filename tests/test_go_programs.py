"""Programs are built once for all who ask, again when their source changed, and never left out in silence."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.go_programs import BuildError, GoModule


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoModule:
    """A module of one program, and an empty cache for its builds."""
    folder = tmp_path / "module"
    (folder / "hello").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n")
    (folder / "go.sum").touch()
    (folder / "hello" / "main.go").write_text("package main\n\nfunc main() {}\n")
    monkeypatch.setenv("HELLO_CACHE", str(tmp_path / "cache"))
    return GoModule(folder, "hello", "HELLO_CACHE", {"hello": "./hello"}, "the tests marked 'hello' say so")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Builds are only noted down."""
    names: list[str] = []

    def note(_: GoModule, name: str, binary: Path) -> None:
        names.append(name)
        binary.touch()

    monkeypatch.setattr(GoModule, "build", note)
    return names


def test_many_who_ask_at_once_get_one_build(module: GoModule, built: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(module.program, ["hello"] * 8))

    assert built == ["hello"]
    assert paths == {module.cache_folder() / "hello"}


@pytest.mark.parametrize("file", ["hello/main.go", "go.mod", "go.sum"])
def test_a_changed_source_is_built_again(module: GoModule, built: list[str], file: str) -> None:
    module.program("hello")
    module.program("hello")
    assert built == ["hello"]

    with (module.folder / file).open("a") as source:
        source.write("// changed\n")
    module.program("hello")

    assert built == ["hello", "hello"]


def test_a_missing_go_is_an_error_that_says_what_to_do(
    module: GoModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BuildError, match=r"'hello' say so and need Go 1\.25 .* pytest -m 'not hello'"):
        module.program("hello")


@pytest.mark.peer
def test_a_failed_build_says_what_go_said(module: GoModule) -> None:
    with pytest.raises(BuildError, match=r"(?s)go build .* failed:.*nowhere"):
        replace(module, packages={"hello": "./nowhere"}).program("hello")
