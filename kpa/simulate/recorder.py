"""What a simulation keeps of replicas and decisions while it runs."""

from typing import NamedTuple

from kpa.simulate.cluster import SimulatedCluster


class PodState(NamedTuple):
    """The revision from a time on, until the next state.

    Attributes
    ----------
    at : float
        Seconds from the start.
    requested, ready, pods : int
        Replicas requested (-1 is not known yet), ready, and all that exist: starting and stopping ones too.
    panicking : bool
    proxied : bool
        The activator is in the path.
    """

    at: float
    requested: int
    ready: int
    pods: int
    panicking: bool
    proxied: bool


class Recorder:
    """States whenever something changed, and scalings.

    Attributes
    ----------
    states : list of PodState
    scalings : list of float
        Seconds at which another number of replicas was asked for.
    """

    def __init__(self) -> None:
        self.states: list[PodState] = []
        self.scalings: list[float] = []

    def scaled(self, now: float) -> None:
        """Keep that another number of replicas was asked for."""
        self.scalings.append(now)

    def note(self, now: float, cluster: SimulatedCluster, panicking: bool, proxied: bool) -> None:
        """Keep how things are, if they changed."""
        seen = (cluster.requested, len(cluster.usable()), len(cluster.pods), panicking, proxied)
        if not self.states or self.states[-1][1:] != seen:
            self.states.append(PodState(now, *seen))
