"""Knative's own programs, built once and kept in `.cache/peer` or in ``$KPA_PEER_CACHE``."""

from pathlib import Path

from tests.go_programs import BuildError, GoModule

__all__ = ["PACKAGES", "BuildError", "cache_folder", "is_built", "program"]

PACKAGES = {
    "queue": "knative.dev/serving/cmd/queue",
    "decisions": "./decisions",
    "statpeer": "./statpeer",
    "statsender": "./statsender",
}
PEER = GoModule(
    folder=Path(__file__).parent,
    name="peer",
    cache_variable="KPA_PEER_CACHE",
    packages=PACKAGES,
    purpose="the tests marked 'peer' build Knative's own code",
)
cache_folder = PEER.cache_folder
program = PEER.program
is_built = PEER.is_built
