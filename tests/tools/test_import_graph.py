"""The measure of the floor plan, on small trees of which each is wrong in one way.

Left out: the tree of the project itself, which `make lint` measures.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import import_graph
from tests.tools.import_graph import check


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_tree_in_order_has_figures_and_no_faults(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "config/key.py": "",
            "metrics/windows/ring.py": "import numpy\nfrom config.key import Key",
            "metrics/stat.py": "def read():\n    import config.key",
            "kpa/__init__.py": "",
            "kpa/__main__.py": "from kpa.web.pages import chart",
            "kpa/web/server.py": "from metrics.windows import ring\nfrom kpa.web.pages import chart",
            "kpa/web/pages/chart.py": "if TYPE_CHECKING:\n    from metrics.stat import Stat",
        },
    )
    figures, wrong = check(tmp_path)
    assert figures == (
        "5 rooms, 4 floors, 5 arrows, 0 circles; 6 imports: 4 at the top, 1 in a function, 1 for types"
    )
    assert wrong == []


CIRCLES = {
    "between packages": (
        {"config/a.py": "import kpa.x.b", "kpa/x/b.py": "import config.a"},
        [
            "folder .: a circle of config, kpa",
            "config.a imports kpa.x.b in line 1",
            "kpa.x.b imports config.a",
        ],
    ),
    "of three rooms": (
        {
            "kpa/x/a.py": "import kpa.y.b",
            "kpa/y/b.py": "import kpa.z.c",
            "kpa/z/c.py": "import kpa.x.d",
            "kpa/x/d.py": "",
        },
        ["folder kpa: a circle of kpa/x, kpa/y, kpa/z", "kpa.z.c imports kpa.x.d in line 1"],
    ),
    "of a folder with its subfolder": (
        {
            "kpa/web/a.py": "import kpa.web.pages.b",
            "kpa/web/pages/b.py": "\nimport kpa.web.c",
            "kpa/web/c.py": "",
        },
        ["folder kpa/web: a circle of kpa/web, kpa/web/pages", "kpa.web.pages.b imports kpa.web.c in line 2"],
    ),
    "of modules": (
        {"kpa/x/a.py": "from kpa.x import b", "kpa/x/b.py": "from . import a"},
        ["modules: a circle of kpa.x.a, kpa.x.b", "kpa.x.b imports kpa.x.a in line 1"],
    ),
    "closed inside a function": (
        {"kpa/x/a.py": "import kpa.y.b", "kpa/y/b.py": "async def f():\n    import kpa.x.a"},
        ["folder kpa: a circle of kpa/x, kpa/y", "kpa.y.b imports kpa.x.a in line 2 in a function"],
    ),
    "closed for types": (
        {"kpa/x/a.py": "import kpa.y.b", "kpa/y/b.py": "if typing.TYPE_CHECKING:\n    from kpa.x.a import A"},
        ["folder kpa: a circle of kpa/x, kpa/y", "kpa.y.b imports kpa.x.a in line 2 for types"],
    ),
    "hidden by what a package exports": (
        {
            "kpa/x/a.py": "from kpa.y import B",
            "kpa/y/__init__.py": "from .deep.b import C as B",
            "kpa/y/deep/b.py": "from ...x import a",
        },
        ["folder kpa: a circle of kpa/x, kpa/y", "modules: a circle of kpa.x.a, kpa.y, kpa.y.deep.b"],
    ),
}


@pytest.mark.parametrize(("files", "said"), CIRCLES.values(), ids=CIRCLES.keys())
def test_a_circle_is_found_at_its_level_with_the_imports_that_make_it(
    tmp_path: Path, files: dict[str, str], said: list[str]
) -> None:
    _, wrong = check(tree(tmp_path, files))
    for text in said:
        assert any(text in line for line in wrong), "\n".join(wrong)


def test_what_a_package_exports_counts_for_the_module_where_it_is(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "scaler/engine/block.py": "class Block: ...",
            "scaler/engine/__init__.py": "from scaler.engine.block import Block",
            "scaler/__init__.py": "from scaler.engine import Block",
            "kpa/x/a.py": "from scaler import Block",
        },
    )
    assert check(tmp_path)[0].startswith("3 rooms, 3 floors, 3 arrows, 0 circles;")


def test_a_loose_module_is_named(tmp_path: Path) -> None:
    tree(tmp_path, {"kpa/__init__.py": "", "kpa/__main__.py": "", "kpa/fleet.py": "", "metrics/stat.py": ""})
    assert check(tmp_path)[1] == ["kpa/fleet.py: a loose module"]


@pytest.mark.parametrize(
    ("files", "wrong"), [(25, []), (26, ["kpa/x: 26 files in one folder: at most 25 are allowed"])]
)
def test_a_flat_folder_is_named(tmp_path: Path, files: int, wrong: list[str]) -> None:
    tree(tmp_path, {f"kpa/x/m{number}.py": "" for number in range(files)} | {"kpa/x/inside/static.js": ""})
    assert check(tmp_path)[1] == wrong


@pytest.mark.parametrize(
    ("limit", "wrong"),
    [
        ("rooms", "3 rooms: at most 2 are allowed"),
        ("floors", "3 floors: at most 2 are allowed"),
        ("arrows", "3 arrows: at most 2 are allowed"),
    ],
)
def test_each_figure_has_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, wrong: str
) -> None:
    tree(
        tmp_path,
        {"kpa/x/a.py": "import kpa.y.b, config.c", "kpa/y/b.py": "import config.c", "config/c.py": ""},
    )
    assert check(tmp_path)[1] == []
    monkeypatch.setitem(import_graph.LIMITS, limit, 2)
    assert check(tmp_path)[1] == [wrong]


@pytest.mark.process
def test_the_program_fails_with_what_is_wrong(tmp_path: Path) -> None:
    tree(tmp_path, {"kpa/fleet.py": ""})
    program = tmp_path / "tests/tools/import_graph.py"
    program.parent.mkdir(parents=True)
    program.write_bytes(Path(import_graph.__file__).read_bytes())
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "kpa/fleet.py: a loose module\n")
    assert ran.stdout.startswith("1 rooms, 1 floors, 0 arrows, 0 circles;")
    (tmp_path / "kpa/fleet.py").unlink()
    assert subprocess.run([sys.executable, program], stdout=subprocess.DEVNULL, check=False).returncode == 0
