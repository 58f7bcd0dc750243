"""Programs of a Go module that tests run, built once and kept in a cache folder.

``module.program("etcd")`` gives the path of a program as new as its source, in ``.cache/NAME`` or in the
folder that the environment names. Any number of processes may ask at once: one builds, the others wait.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


class BuildError(Exception):
    """A program cannot be built; the message says what is missing or repeats what Go said."""


@dataclass(frozen=True)
class GoModule:
    """A folder with `go.mod` and `go.sum`, and the programs that are built from it.

    Attributes
    ----------
    folder : Path
        The module.
    name : str
        Subfolder of `.cache` for the builds; also the marker of the tests that need them.
    cache_variable : str
        Environment variable that names another folder for the builds.
    packages : mapping
        Package of each program.
    purpose : str
        What a test without Go is told that Go is for.
    options : sequence of str
        Further options of `go build`.
    seconds : float
        Longest time for a build, downloads included.
    """

    folder: Path
    name: str
    cache_variable: str
    packages: Mapping[str, str]
    purpose: str
    options: Sequence[str] = ()
    seconds: float = 900.0  # Knative's programs take about two minutes from nothing on two busy cores

    def cache_folder(self) -> Path:
        """Return the folder that builds are kept in."""
        return Path(os.environ.get(self.cache_variable) or ROOT / ".cache" / self.name).absolute()

    def program(self, name: str) -> Path:
        """Return the path of a built program, building it if it is missing or older than its source.

        Raises
        ------
        BuildError
            If Go is missing or the build fails.
        """
        folder = self.cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.is_built(name):
                self.build(name, folder / name)
                (folder / f"{name}.source").write_text(self.source_digest(name))
        return folder / name

    def is_built(self, name: str) -> bool:
        """Say whether a program is there and as new as its source."""
        binary, stamp = self.cache_folder() / name, self.cache_folder() / f"{name}.source"
        return binary.exists() and stamp.exists() and stamp.read_text() == self.source_digest(name)

    def source_digest(self, name: str) -> str:
        """Return a digest of all that a build depends on: the module's files and the program's own."""
        digest = hashlib.sha256("\n".join([self.packages[name], *self.options]).encode())
        for file in [self.folder / "go.mod", self.folder / "go.sum", *self._sources(name)]:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def _sources(self, name: str) -> list[Path]:
        return sorted((self.folder / name).glob("*.go"))

    def build(self, name: str, binary: Path) -> None:
        """Build one program; the old one stays until the new one is complete."""
        fresh = binary.with_suffix(".new")
        self.go("build", "-mod=readonly", *self.options, "-o", str(fresh), self.packages[name])
        fresh.replace(binary)

    def go(self, *arguments: str) -> str:
        """Run `go` in the module and return what it wrote.

        Raises
        ------
        BuildError
            If Go is missing or fails.
        """
        go = shutil.which("go")
        if go is None:
            raise BuildError(
                f"{self.purpose} and need Go 1.25 or newer in PATH (https://go.dev/dl);"
                f" leave them out with: pytest -m 'not {self.name}'"
            )
        done = subprocess.run(
            [go, *arguments],
            cwd=self.folder,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(f"go {' '.join(arguments)} in {self.folder} failed:\n{done.stderr.strip()}")
        return done.stdout
