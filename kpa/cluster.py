"""The few verbs we need of the place where pods run."""

from collections.abc import Callable
from typing import Protocol

from kpa.revisions import Key, Revision

Listener = Callable[[Key, Revision | None], None]
"""Called on the event loop with each new state of a revision, with None once it is gone; must not block."""


class Cluster(Protocol):
    """A place where pods run: processes of this machine, or Kubernetes."""

    def watch(self, listener: Listener) -> None:
        """Tell `listener` of all revisions that exist now, then of every change of one."""

    async def scale(self, key: Key, replicas: int) -> None:
        """Ask for a number of replicas; returns when the request is accepted, not when pods run.

        Raises
        ------
        KeyError
            The revision is gone.
        """
