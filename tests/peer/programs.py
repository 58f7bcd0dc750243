"""Knative's own programs, built once and kept in `.cache/peer` or in ``$KPA_PEER_CACHE``."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.go_programs import BuildError, GoModule

__all__ = ["PACKAGES", "STAT_ADDRESS", "BuildError", "cache_folder", "is_built", "program"]

STAT_ADDRESS = "KPA_TEST_STAT_ADDRESS"
"""Variable that says where Knative's autoscaler listens for activators."""

PACKAGES = {
    "autoscaler": "knative.dev/serving/cmd/autoscaler",
    "queue": "knative.dev/serving/cmd/queue",
    "decisions": "./decisions",
    "statpeer": "./statpeer",
    "statsender": "./statsender",
}
EDITS = {
    "autoscaler": {
        '"net/http"\n': '"net/http"\n\t"os"\n',
        "statserver.New(statsServerAddr,": f'statserver.New(os.Getenv("{STAT_ADDRESS}"),',
    }
}
"""What is put in place of what in `main.go`: the address is fixed there, port 8080 of the whole machine."""


@dataclass(frozen=True)
class PeerModule(GoModule):
    """Knative's modules, some of whose programs are built with edits of their `main.go`."""

    def source_digest(self, name: str) -> str:
        """Return a digest of all that a build depends on."""
        digest = super().source_digest(name)
        edits = EDITS.get(name)
        return hashlib.sha256(f"{digest} {edits}".encode()).hexdigest() if edits else digest

    def build(self, name: str, binary: Path) -> None:
        """Build one program; the old one stays until the new one is complete."""
        if name not in EDITS:
            super().build(name, binary)
            return
        sources = self._edited(name, binary.with_suffix(".edited"))
        fresh = binary.with_suffix(".new")
        self.go("build", "-mod=readonly", *self.options, "-o", str(fresh), *map(str, sources))
        fresh.replace(binary)

    def _edited(self, name: str, folder: Path) -> list[Path]:
        """Copy a program's source to a folder, edited."""
        folder.mkdir(exist_ok=True)
        original = Path(self.go("list", "-mod=readonly", "-f", "{{.Dir}}", self.packages[name]).strip())
        for file in original.glob("*.go"):
            (folder / file.name).write_text(file.read_text())
        main = folder / "main.go"
        text = main.read_text()
        for old, new in EDITS[name].items():
            if text.count(old) != 1:
                raise BuildError(f"{original}/main.go should have {old!r} once: is it another version?")
            text = text.replace(old, new)
        main.write_text(text)
        return [file for file in folder.glob("*.go") if not file.name.endswith("_test.go")]


PEER = PeerModule(
    folder=Path(__file__).parent,
    name="peer",
    cache_variable="KPA_PEER_CACHE",
    packages=PACKAGES,
    purpose="the tests marked 'peer' build Knative's own code",
)
cache_folder = PEER.cache_folder
program = PEER.program
is_built = PEER.is_built
