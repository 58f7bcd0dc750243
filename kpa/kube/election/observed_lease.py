"""A Lease as one replica observed it: its holder, and the time from which others may take it.

Times are by our own clock, from the moment we observed the last change: clocks of replicas need not agree.

Source: `kubernetes/client-go tools/leaderelection`.
"""

from collections.abc import Callable

from kpa.kube.election.lease import HANDOVER, Json, annotation, duration_of, holder_of


class ObservedLease:
    """What is known of one lease.

    Parameters
    ----------
    clock : callable
        Seconds that only go forward.

    Attributes
    ----------
    lease : dict or None
        As it was observed last; None if there is none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lease: Json | None = None
        self._clock = clock
        self._changed_at = float("-inf")

    def update(self, lease: Json | None, at: float) -> None:
        """Take the lease from a read or a watch; only a new spec moves the time of the last change."""
        if self.lease is None or lease is None or lease["spec"] != self.lease["spec"]:
            self.change(lease, at)

    def change(self, lease: Json | None, at: float) -> None:
        """Take a lease that was changed, at a time by our clock."""
        self.lease, self._changed_at = lease, at

    @property
    def holder(self) -> str:
        """The holder of the lease; empty if there is none."""
        return holder_of(self.lease)

    @property
    def last_holder(self) -> str:
        """The holder of the lease, or its last one; empty if there was none."""
        return self.holder or annotation(self.lease, HANDOVER)

    @property
    def free(self) -> bool:
        """The lease has no holder, or has expired."""
        return not self.holder or self._clock() > self.free_from

    @property
    def free_from(self) -> float:
        """When the lease became free, or will unless it is renewed, by our clock."""
        return self._changed_at + (duration_of(self.lease) if self.lease and self.holder else 0.0)
