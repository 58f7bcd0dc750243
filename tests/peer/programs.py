"""Builds of Knative's own programs, made once and kept in a cache folder.

``program("decisions")`` gives the path of a program as new as its source, in ``.cache/peer`` or in
``$KPA_PEER_CACHE``. Any number of processes may ask at once: one builds, the others wait for it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

MODULE = Path(__file__).parent
PACKAGES = {
    "queue": "knative.dev/serving/cmd/queue",
    "decisions": "./decisions",
    "statsender": "./statsender",
}
BUILD_SECONDS = 900.0  # from nothing on two busy cores, downloads included, it takes about two minutes


class BuildError(Exception):
    """A peer program cannot be built; the message says what is missing or repeats what Go said."""


def cache_folder() -> Path:
    """Return the folder that builds are kept in."""
    return Path(os.environ.get("KPA_PEER_CACHE") or MODULE.parents[1] / ".cache" / "peer").absolute()


def program(name: str) -> Path:
    """Return the path of a built peer program, building it if it is missing or older than its source.

    Raises
    ------
    BuildError
        If Go is missing or the build fails.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built(name):
            build(name, folder / name)
            (folder / f"{name}.source").write_text(source_digest(name))
    return folder / name


def is_built(name: str) -> bool:
    """Say whether a program is there and as new as its source."""
    binary, stamp = cache_folder() / name, cache_folder() / f"{name}.source"
    return binary.exists() and stamp.exists() and stamp.read_text() == source_digest(name)


def source_digest(name: str) -> str:
    """Return a digest of all that a build depends on: the module's files and the program's own."""
    digest = hashlib.sha256(PACKAGES[name].encode())
    for file in [MODULE / "go.mod", MODULE / "go.sum", *sorted((MODULE / name).glob("*.go"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def build(name: str, binary: Path) -> None:
    """Build one program; the old one stays until the new one is complete."""
    go = shutil.which("go")
    if go is None:
        raise BuildError(
            "the tests marked 'peer' build Knative's own code and need Go 1.25 or newer in PATH (https://go.dev/dl);"
            " leave them out with: pytest -m 'not peer'"
        )
    fresh = binary.with_suffix(".new")
    command = [go, "build", "-mod=readonly", "-o", str(fresh), PACKAGES[name]]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(
        command,
        cwd=MODULE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} in {MODULE} failed:\n{done.stderr.strip()}")
    fresh.replace(binary)
