"""Which replica should lead which bucket, so that none leads two more than another.

A free bucket is assigned to the replica that leads least. All replicas see the same leases in the same order,
so all compute the same; where they do not, two try, and the API server accepts one. The others wait a while.

A replica that leads too few requests a bucket from one that leads too many. Each bucket that moves brings two
replicas nearer to each other, so this ends, and from then on nothing moves. A replica that leads nothing is
unknown to the others, as is their number: it requests one bucket first, and the rest once all are known.

Knative's electors do not rebalance: one of its replicas may lead all buckets, and keeps them.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace


def assign(free: Iterable[str], led: Mapping[str, int]) -> dict[str, str]:
    """Return the replica that each free bucket is assigned to.

    Parameters
    ----------
    free : iterable of str
        Buckets, in the order in which they became free.
    led : mapping of str to int
        How many buckets each live replica leads; at least one replica.

    Examples
    --------
    >>> assign(["a", "b"], {"one": 2, "two": 3, "three": 2})
    {'a': 'one', 'b': 'three'}
    """
    least = [(count, replica) for replica, count in led.items()]
    heapify(least)
    found = {}
    for bucket in free:
        count, replica = least[0]
        found[bucket] = replica
        heapreplace(least, (count + 1, replica))
    return found


def donor(led: Mapping[str, int], asker: str) -> str | None:
    """Return which replica should give a bucket to one that leads too few; None if it does not.

    The remainder, when all have their share, goes to those that lead least.

    Examples
    --------
    >>> donor({"one": 5, "two": 3, "three": 1}, "three")
    'one'
    >>> donor({"one": 3, "two": 3, "three": 2}, "three") is None
    True
    """
    mine, all_led = led.get(asker, 0), {asker: 0, **led}
    fullest = max(led, key=lambda replica: (led[replica], replica))
    share = sum(led.values()) // len(all_led)
    too_few = mine < share or mine == min(all_led.values())
    return fullest if too_few and evens_out(led, fullest, asker) else None


def evens_out(led: Mapping[str, int], giver: str, asker: str) -> bool:
    """Tell whether a bucket that goes from one replica to another brings them nearer to each other."""
    return led.get(giver, 0) - led.get(asker, 0) >= 2
