"""The few verbs we need of the place where pods run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from config.resolve import RevisionSettings
from kpa.controller.revisions import Revision
from metrics.key import Key
from metrics.sampling.failures import ScrapeProblem
from scaler.engine.decision import Decision
from scaler.rules.plan import Plan

Listener = Callable[[Key, Revision | None], None]
"""Called on the event loop with each new state of a revision, with None once it is gone; must not block."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided about a revision.

    Attributes
    ----------
    plan : Plan
        What to ask for; its `replicas` may be what is there already.
    decision : Decision
        What the plan was made from.
    settings : RevisionSettings
        Those in force.
    problem : ScrapeProblem or None
        What has kept the load from being collected for some seconds.
    """

    plan: Plan
    decision: Decision
    settings: RevisionSettings
    problem: ScrapeProblem | None = None


class Cluster(Protocol):
    """A place where pods run: processes of this machine, or Kubernetes."""

    def watch(self, listener: Listener) -> None:
        """Tell `listener` of all revisions that exist now, then of every change of one."""

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        """See to an outcome: returns at once, and does nothing for a revision that is gone.

        The same outcome may come again and again; what is as it should be stays untouched.
        """
