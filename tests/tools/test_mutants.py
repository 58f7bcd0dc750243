"""Mutants of a tiny package: which there are, which the tests of the package kill, what is said of them.

Left out: mutants that take too long, which would make this test take long.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.mutations import mutations

ROOT = Path(__file__).parents[2]

CODE = """
def is_many(number):
    return number > 5

def unused(number):
    return number
"""

TESTS = """
from shop.price import is_many

def test_green():
    assert is_many(6)
    assert not is_many(4)

def test_red():
    assert is_many(5)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("a <= b != c", ["a < b != c", "a > b != c", "a <= b == c"]),
        ("x is not None", ["x is None"]),
        ("a not in b", ["a in b"]),
        ("a or b", ["a and b"]),
        ("not a", ["a"]),
        ("a + b", ["a - b"]),
        ("a - 2.5", ["a + 2.5"]),
        ("a * b // c", ["a * b * c", "a / b // c"]),
        ("a += 1", ["a -= 1", "a += 0"]),
        ("a[-1]", ["a[1]", "a[-0]"]),
        ("a = 0.0", ["a = 1.0"]),
        ("a = True", ["a = False"]),
        ("max(a)", ["min(a)", "pass"]),
        ("a = np.minimum(b)", ["a = np.maximum(b)"]),
        ("a = all(b)", ["a = any(b)"]),
        ("a = b if c() else d", ["a = b if not c() else d"]),
        ("a = [b for b in c if d]", ["a = [b for b in c if not d]"]),
        ("while a: ...", ["while not a: ..."]),
        ("def f(): return a", ["def f(): return None"]),
        ("window.clear(column)", ["pass"]),
        ("await window.clear(column)", ["pass"]),
        ("a = 'ä'; b = 1", ["a = 'ä'; b = 0"]),
    ],
)
def test_each_place_has_its_changes(before: str, after: list[str]) -> None:
    changed = [change.apply(before.encode()).decode() for change in mutations(before.encode())]
    assert sorted(without_brackets(text) for text in changed) == sorted(map(without_brackets, after))


def without_brackets(text: str) -> str:
    return text.replace("(", "").replace(")", "")


@pytest.mark.parametrize(
    "text",
    [
        '"""Text of 1 + 1."""',
        "_log.info('%d', a + 1)",
        "def __repr__(self): return 'a' + 'b'",
        "def f(a: Annotated[int, 1]) -> Annotated[int, 1]: ...",
        "a: Annotated[int, 1]",
        "@dataclass(frozen=True)\nclass A: ...",
        "assert a < b",
        "a = f'{b + 1}'",
        "if TYPE_CHECKING: a < b",
        "def f(): return None",
        "a = 'b' % 7",
    ],
)
def test_what_says_nothing_of_what_is_done_has_none(text: str) -> None:
    assert list(mutations(text.encode())) == []


def test_what_a_call_runs_lies_inside_of_a_function_and_a_default_does_not() -> None:
    text = b"class A:\n    def f(self, a=0):\n        return a"
    assert [(each.before, each.inside) for each in mutations(text)] == [("0", False), ("return a", True)]


def mutants(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.tools.mutants", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/price.py").write_text(CODE)
    (tmp_path / "test_price.py").write_text(TESTS)
    return tmp_path


@pytest.mark.e2e
def test_a_mutant_that_no_green_test_notices_is_alive(tree: Path) -> None:
    ran = mutants(tree, "shop", "--seed", "7", "--jobs", "2")
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[0] == "seed 7"
    assert lines[1].startswith("1 unit tests take")
    assert sorted(lines[2:-2]) == [
        "shop/price.py:3  number > 5  ->  (number >= 5)",
        "shop/price.py:6  return number  ->  return None  (no test runs this)",
    ]
    assert [line.split() for line in lines[-2:]] == [
        ["shop", "2", "of", "4", "killed", "50%"],
        ["all", "2", "of", "4", "killed", "50%"],
    ]
    assert (tree / "shop/price.py").read_text() == CODE, "mutants live in a copy"


@pytest.mark.e2e
def test_without_a_green_test_no_mutant_is_tried(tree: Path) -> None:
    (tree / "test_price.py").write_text("def test_red():\n    assert False\n")
    ran = mutants(tree, "shop")
    assert (ran.returncode, ran.stderr) == (1, "no unit test passes without a mutant\n")


@pytest.mark.e2e
def test_an_unknown_folder_is_refused(tree: Path) -> None:
    ran = mutants(tree, "shops")
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (2, "mutants.py: error: no such folder: shops")
