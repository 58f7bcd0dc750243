"""Counts the small changes of the code that no test notices: `make mutants`.

    python -m tests.tools.mutants [--sample 300] [--seed N] [--jobs N] [FOLDER...]

A random sample of all changes (`mutations`) is tried in a copy of the tree; each folder has its part of the
sample. A mutant meets the tests that run its lines (`covering`), up to the first that fails: all of its own
part of tests/, then others as long as they are quick. Which tests run which lines is found out once and kept
in .cache/mutants, until a source or a test changes.

A mutant that takes much longer than its tests do is killed, as one that a test notices. One that no test runs
is alive, and so are those that make no difference: the score of a folder is not meant to be 100 %.
"""

import argparse
import math
import os
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import SimpleQueue

from tests.tools.covering import Cover, run_pytest
from tests.tools.mutations import Mutation, mutations

FOLDERS = ("config", "scaler", "metrics", "kpa/controller", "kpa/dataplane")

FEWEST = 10
"""Mutants of one folder, if it has so many: the score of fewer says nothing."""

PATIENCE, SLOWER = 30.0, 5.0
"""A mutant may take so many seconds, and so many times what its tests take: the machine may be busy."""

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a file, the tests that may notice it, and the seconds that they take together."""

    path: str
    change: Mutation
    tests: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        nothing = "" if self.tests else "  (no test runs this)"
        return f"{self.path}:{self.change.line}  {self.change.before}  ->  {self.change.after}{nothing}"


def choose(root: Path, folders: list[str], sample: int, seed: int) -> list[tuple[str, Mutation]]:
    """Choose among all changes below some folders: of each folder its part of the sample."""
    found: dict[Path, list[tuple[str, Mutation]]] = defaultdict(list)
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.py")):
        name = str(path.relative_to(root))
        found[path.parent] += [(name, change) for change in mutations(path.read_bytes())]
    randomness, total = random.Random(seed), sum(map(len, found.values()))
    chosen = []
    for each in found.values():
        part = max(FEWEST, math.ceil(sample * len(each) / total))
        chosen += randomness.sample(each, min(part, len(each)))
    return chosen


def is_killed(mutant: Mutant, tree: Path, number: int) -> bool:
    """Try a mutant in a tree that nothing else uses meanwhile; each mutant has another number."""
    file = tree / mutant.path
    source, modified = file.read_bytes(), file.stat().st_mtime_ns
    file.write_bytes(mutant.change.apply(source))
    os.utime(file, (number, number))  # else the bytecode of a mutant of the same size and second would be run
    try:
        return run_tests(tree, mutant.tests, PATIENCE + SLOWER * mutant.seconds) != 0
    finally:
        file.write_bytes(source)
        os.utime(file, ns=(modified, modified))


def run_tests(tree: Path, tests: Iterable[str], limit: float | None = None) -> int:
    """Run tests in their order up to the first that fails; returns the exit status of pytest."""
    names = tree / ".mutant_tests"
    names.write_text("\n".join(tests))
    return run_pytest(tree, "-x", "--tb=no", f"@{names}", limit=limit)


def try_all(mutants: list[Mutant], tree: Path, jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant, and whether it is killed."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for job in range(jobs):
        trees.put(Path(shutil.copytree(tree, tree.with_name(f"job{job}"), symlinks=True)))
    numbers = count(1)

    def try_one(mutant: Mutant) -> tuple[Mutant, bool]:
        if not mutant.tests:
            return mutant, False
        mine = trees.get()
        try:
            return mutant, is_killed(mutant, mine, next(numbers))
        finally:
            trees.put(mine)

    with ThreadPoolExecutor(jobs) as workers:
        yield from workers.map(try_one, mutants)


def report(results: Iterable[tuple[Mutant, bool]]) -> None:
    """Print each mutant that is alive, then the score of each folder and of all."""
    scores: dict[str, list[bool]] = defaultdict(list)
    for mutant, killed in results:
        if not killed:
            print(mutant, flush=True)
        for group in (str(Path(mutant.path).parent), "all"):
            scores[group].append(killed)
    for group, outcomes in sorted(scores.items(), key=lambda each: (each[0] == "all", each)):
        killed_of = f"{sum(outcomes)} of {len(outcomes)}"
        print(f"{group:<28}{killed_of:>12} killed{sum(outcomes) / len(outcomes):>6.0%}")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Counts the small changes of the code that no test notices.")
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", default=[*FOLDERS], help="default: %(default)s"
    )
    parser.add_argument("--sample", type=int, default=300, help="mutants, at least; default: %(default)s")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="default: by chance")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time; default: %(default)s")
    options = parser.parse_args()
    if missing := [folder for folder in options.folders if not Path(folder).is_dir()]:
        parser.error(f"no such folder: {', '.join(missing)}")
    return options


def main() -> None:
    """Run the command line in the root of a tree."""
    options = read_options()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(shutil.copytree(Path(), Path(folder, "tree"), symlinks=True, ignore=NOT_COPIED))
        cover = Cover(tree, Path(".cache/mutants").absolute(), options.folders)
        print(f"{len(cover.seconds)} unit tests take {sum(cover.seconds.values()):.0f} s", flush=True)
        if not cover.seconds:
            sys.exit("no unit test passes without a mutant")
        mutants = []
        for path, change in choose(tree, options.folders, options.sample, options.seed):
            tests = cover.tests(path, change)
            mutants.append(Mutant(path, change, tests, sum(cover.seconds[test] for test in tests)))
        if run_tests(tree, sorted({test for mutant in mutants for test in mutant.tests})):
            sys.exit("the tests do not pass without a mutant when run by themselves")
        report(try_all(mutants, tree, options.jobs))


if __name__ == "__main__":
    main()
