"""The documentation: links and paths exist, generated parts are up to date, the site can be built."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kpa.commands import reference
from tests.tools.import_graph import PACKAGES, join, read_imports

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
        *(page for folder in ("docs", "bench", "tests") for page in (ROOT / folder).rglob("*.md")),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FOLDERS = ("kpa", "metrics", "scaler", "config", "tests", "bench", "docs", "examples")
NAMED = re.compile(rf"(?<![\w./<-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
"""A path from the top of the repository, as in `kpa/commands/serve` or `docs/scale.md`."""
FILE = re.compile(r"`((?:\.\./)*(?:\w+\.py|test_\w+))`")
"""A module by its name alone, as in `programs.py` or `test_shadow`."""


def links(page: Path) -> Iterator[str]:
    for target in LINK.findall(page.read_text()):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """Anchors of headings, as GitHub and mkdocs make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert file.is_relative_to(ROOT), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_english_is_plain(page: Path) -> None:
    """Words of older or literary English, and `wanted`, which now is `requested`."""
    text = page.read_text().replace("kpa.dev/wanted-by", "")  # the annotation keeps its name
    text = text.replace("dropped the fields `desired` and `wanted`", "")  # the changelog says what has gone
    found = re.findall(r"\b(told|nobody|wanted|whoever|anew|let no|of yesterday)\b", text, re.IGNORECASE)
    assert found == []


def missing(page: Path) -> Iterator[str]:
    """Paths and modules that a page names and that do not exist; `.py` may be left out."""
    text = page.read_text()
    for name in NAMED.findall(text):
        if not any((ROOT / f"{name}{ending}").exists() for ending in ("", ".py")):
            yield name
    for name in FILE.findall(text):
        last = Path(name).name.removesuffix(".py")
        if not any(True for folder in FOLDERS for _ in (ROOT / folder).rglob(f"{last}.py")):
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_path_exists(page: Path) -> None:
    assert list(missing(page)) == []


def test_the_architecture_shows_the_floors_and_imports_of_all_folders() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rows = dict(re.findall(r"^\| `([\w/]+)/` \| .* \| (.*) \|$", text, re.MULTILINE))
    shown = {name: set(re.findall(r"`([\w/]+)`", imports)) for name, imports in rows.items()}
    floors = {
        name: int(floor)
        for floor, names in re.findall(r"^ {4,5}(\d+)   (.*)$", text, re.MULTILINE)
        for name in re.findall(r"[a-z]\w+(?:/\w+)?(?=\*| |$)", names)
    }
    paths = [path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    files = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    edges = join(read_imports(ROOT, files), lambda module: "/".join(files[module].parent.parts[:2]))
    for importer, imported in edges:
        if importer != "kpa":  # __main__ alone
            assert imported in shown[importer], f"{importer} imports {imported}"
            assert floors[importer] > floors[imported], f"{importer} imports {imported}"


def test_every_module_that_the_documentation_runs_exists() -> None:
    runs = {
        name: page.name
        for page in PAGES
        if page.name != "CHANGELOG.md"  # names what has gone
        for name in re.findall(r"python -m ((?:kpa|metrics|scaler|config)[.\w]*\w)", page.read_text())
    }
    assert {name: page for name, page in runs.items() if importlib.util.find_spec(name) is None} == {}


def test_the_reference_of_commands_is_what_the_code_says() -> None:
    written = (ROOT / "docs/commands.md").read_text()
    assert written.endswith(reference.markdown() + "\n"), "run `make reference`"


def test_every_command_is_in_the_readme() -> None:
    commands = re.findall(r"^## kpa (\S+)$", reference.markdown(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert [name for name in commands if f"`kpa {name}" not in readme] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    shown = set(re.findall(r"[\w-]+\.md", str(navigation)))
    assert shown == {page.name for page in ROOT.glob("docs/*.md")}


@pytest.mark.process
def test_the_site_can_be_built(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outside = re.findall(
        r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', (tmp_path / "index.html").read_text()
    )
    assert outside == []
