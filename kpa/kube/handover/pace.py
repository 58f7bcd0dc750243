"""How often a standby requests snapshots from a leader, and how long a leader gives out the same one."""

from dataclasses import dataclass

_IN_A_LEASE = 4
"""Snapshots in the time that a lease lasts. A standby takes over from a dead leader only a whole lease later,
so newer snapshots would win nothing."""

_SHORTEST, _LONGEST = 5.0, 15.0
"""Seconds between two requests, whatever the leases say."""

_FRESH = 0.8
"""Part of `every` for which a snapshot is given out: all followers share it, and one alone gets a new one
each time."""


@dataclass(slots=True)
class Pace:
    """The pace of hand-over, shared by the follower and the pages.

    Attributes
    ----------
    every : float
        Seconds between two requests to a holder: what is known of one that dies is at most as old.
    """

    every: float = _SHORTEST

    @property
    def fresh(self) -> float:
        """Seconds for which a snapshot is given to all followers."""
        return _FRESH * self.every

    def keep(self, lease_duration: float) -> None:
        """Follow the duration of leases, in seconds.

        Examples
        --------
        >>> pace = Pace()
        >>> pace.keep(40.0)
        >>> pace.every, pace.fresh
        (10.0, 8.0)
        """
        self.every = min(max(lease_duration / _IN_A_LEASE, _SHORTEST), _LONGEST)
