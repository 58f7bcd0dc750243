"""Measures the floor plan by the imports in the source; `make lint` fails where a target is broken.

Rooms are the folders of the top two levels: each package and each of its subfolders. Files directly in a
package are that package's own room; deeper folders count to the second level. Circles are looked for at every
level: between the packages, between the subfolders of each folder (its own files are one more room among
them), and between modules.

All imports count, wherever they stand and whatever for. An import inside a function or under TYPE_CHECKING
hides a circle from Python, not from a reader: who wants to understand one of the two modules has to know the
other one. `from a import b` counts for the module `a.b` if there is one, else for `a` and for the module from
which `a` has `b`.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("config", "metrics", "scaler", "kpa")

LIMITS = {
    "rooms": 22,  # the folders of the floor plan: a new one replaces another, or is a subfolder
    "floors": 12,  # rooms on the longest chain of imports: all that the top one rests on
    "arrows": 85,  # pairs of rooms of which one imports the other: a room knows four others, on average
    "circles": 0,  # groups of rooms of which none is understood, tested or replaced without the others
}

FILES = 25
"""In one folder, subfolders apart: as many as are seen at a glance."""

LOOSE = ("__init__.py", "__main__.py")
"""The only files directly in kpa: all others are of a kind that has a folder."""


class Import(NamedTuple):
    """One module's import of another of ours; the place is "", "in a function" or "for types"."""

    importer: str
    imported: str
    line: int
    place: str


Room = Callable[[str], str]
"""Says in which room a module lies; in none if it is empty."""

Edges = dict[tuple[str, str], list[Import]]


def read_imports(root: Path, files: dict[str, Path]) -> list[Import]:
    """Return all imports between modules, given by name with their files below `root`."""
    named = {module: list(_names(root / path, path.parent)) for module, path in files.items()}
    bound = {
        module: {bound_as: (base, name) for base, name, bound_as, _, _ in found if name}
        for module, found in named.items()
    }

    def resolve(base: str, name: str, passed: tuple[str, ...] = ()) -> set[str]:
        if f"{base}.{name}" in files:
            return {f"{base}.{name}"}
        if base not in files:
            return resolve(base.rpartition(".")[0], "") if base else set()
        if name not in bound[base] or base in passed:
            return {base}
        return {base} | resolve(*bound[base][name], (*passed, base))

    return [
        Import(module, imported, line, place)
        for module, found in named.items()
        for base, name, _, line, place in found
        for imported in sorted(resolve(base, name) - {module})
    ]


def _names(path: Path, folder: Path) -> Iterator[tuple[str, str, str, int, str]]:
    """Yield what is imported: a module, a name in it, what that is bound to, the line, and the place."""
    for node, place in _statements(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((each.name, "", "", node.lineno, place) for each in node.names)
        else:
            above = folder.parts[: len(folder.parts) + 1 - node.level] if node.level else ()
            base = ".".join((*above, node.module or "")).strip(".")
            yield from (
                (base, each.name, each.asname or each.name, node.lineno, place) for each in node.names
            )


def _statements(tree: ast.AST, place: str = "") -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, place
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(node, "in a function")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node, "for types")
        else:
            yield from _statements(node, place)


def join(imports: list[Import], room: Room) -> Edges:
    """Gather the imports between each two rooms."""
    edges: Edges = defaultdict(list)
    for each in imports:
        pair = room(each.importer), room(each.imported)
        if all(pair) and pair[0] != pair[1]:
            edges[pair].append(each)
    return edges


def reach(edges: Edges) -> dict[str, set[str]]:
    """Return which rooms each reaches by any number of arrows."""
    reached: dict[str, set[str]] = defaultdict(set)
    for importer, imported in edges:
        reached[importer].add(imported)
        reached[imported] |= set()
    for middle, further in reached.items():
        for others in reached.values():
            if middle in others:
                others |= further
    return reached


def count_floors(edges: Edges) -> int:
    """Return how many rooms the longest chain has; rooms of a circle are on the same floor."""
    reached = reach(edges)

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(other) for other in reached[room] if room not in reached[other]), default=0)

    return max(map(floor, reached), default=1)


def circles(edges: Edges) -> list[list[str]]:
    """Return the groups of rooms that reach each other."""
    reached = reach(edges)
    groups = {frozenset(other for other in reached[room] if room in reached[other]) for room in reached}
    return sorted(sorted(group) for group in groups if group)


def describe(group: list[str], edges: Edges) -> Iterator[str]:
    """Yield each arrow of a circle, and an import that makes it."""
    for (importer, imported), found in sorted(edges.items()):
        if importer in group and imported in group:
            first = min(found, key=lambda each: (each.place, each))
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            why = f"{first.importer} imports {first.imported} in line {first.line} {first.place}".rstrip()
            yield f"    {importer} -> {imported}: {why}{more}"


def levels(files: dict[str, Path]) -> Iterator[tuple[str, Room]]:
    """Yield each level: its name, and in which of its rooms a module lies."""
    for folder in sorted({parent for path in files.values() for parent in path.parents}):

        def room(module: str, folder: Path = folder) -> str:
            own = files[module].parent
            return str(Path(*own.parts[: len(folder.parts) + 1])) if own.is_relative_to(folder) else ""

        yield f"folder {folder}", room
    yield "modules", lambda module: module


def measure(files: dict[str, Path], imports: list[Import]) -> dict[str, int]:
    """Return the figures that are limited."""
    rooms = {module: "/".join(path.parent.parts[:2]) for module, path in files.items()}
    edges = join(imports, rooms.__getitem__)
    return {
        "rooms": len(set(rooms.values())),
        "floors": count_floors(edges),
        "arrows": len(edges),
        "circles": len(circles(edges)),
    }


def faults(paths: list[Path], files: dict[str, Path], imports: list[Import]) -> Iterator[str]:
    """Yield what is wrong with the files of a tree, of which `files` are the modules."""
    for what, count in measure(files, imports).items():
        if count > LIMITS[what]:
            yield f"{count} {what}: at most {LIMITS[what]} are allowed"
    for level, room in levels(files):
        edges = join(imports, room)
        for group in circles(edges):
            yield f"{level}: a circle of {', '.join(group)}"
            yield from describe(group, edges)
    for path in paths:
        if path.parent == Path("kpa") and path.name not in LOOSE:
            yield f"{path}: a loose module"
    for folder, count in Counter(path.parent for path in paths).items():
        if count > FILES:
            yield f"{folder}: {count} files in one folder: at most {FILES} are allowed"


def check(root: Path) -> tuple[str, list[str]]:
    """Return the figures of a tree in one line, and what is wrong with it."""
    found = [path for package in PACKAGES for path in sorted((root / package).rglob("*.*"))]
    paths = [path.relative_to(root) for path in found if path.is_file() and path.suffix != ".pyc"]
    files = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
        if path.suffix == ".py"
    }
    imports = read_imports(root, files)
    figures = ", ".join(f"{count} {what}" for what, count in measure(files, imports).items())
    places = Counter(each.place or "at the top" for each in imports)
    of_them = ", ".join(f"{count} {place}" for place, count in places.most_common())
    return f"{figures}; {len(imports)} imports: {of_them}", list(faults(paths, files, imports))


if __name__ == "__main__":
    said, wrong = check(Path(__file__).parents[2])
    print(said)
    sys.exit("\n".join(wrong) if wrong else 0)
