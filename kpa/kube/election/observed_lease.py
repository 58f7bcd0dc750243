"""A Lease as one replica saw it last: whose it is, and from when anybody may take it.

By our own clock, from the moment we saw the last change: clocks of replicas need not agree.

Source: `kubernetes/client-go tools/leaderelection`.
"""

from collections.abc import Callable

from kpa.kube.election.lease import HANDOVER, Json, annotation, duration_of, holder_of


class SeenLease:
    """What is known of one lease.

    Parameters
    ----------
    clock : callable
        Seconds that only go forward.

    Attributes
    ----------
    lease : dict or None
        As it was seen last; None if there is none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lease: Json | None = None
        self._clock = clock
        self._changed_at = float("-inf")

    def see(self, lease: Json | None, at: float) -> None:
        """Take what a read or a watch says; only what is new moves the time of the last change."""
        if self.lease is None or lease is None or lease["spec"] != self.lease["spec"]:
            self.change(lease, at)

    def change(self, lease: Json | None, at: float) -> None:
        """Take a lease that was changed, at a time by our clock."""
        self.lease, self._changed_at = lease, at

    @property
    def holder(self) -> str:
        """Who holds the lease; empty if nobody does."""
        return holder_of(self.lease)

    @property
    def last_holder(self) -> str:
        """Who holds the lease, or held it last; empty if nobody did."""
        return self.holder or annotation(self.lease, HANDOVER)

    @property
    def free(self) -> bool:
        """Nobody holds the lease."""
        return not self.holder or self._clock() > self.free_from

    @property
    def free_from(self) -> float:
        """When the lease became free, or will unless it is renewed, by our clock."""
        return self._changed_at + (duration_of(self.lease) if self.lease and self.holder else 0.0)
