"""Which replica should lead which bucket, so that none leads two more than another.

A free bucket is the turn of the replica that leads least. All replicas see the same leases in the same order,
so all reckon the same; where they do not, two try, and the API server lets one. The others give it some time.

A replica that leads too few asks one that leads too many. Each bucket that is given brings two replicas
nearer to each other, so this comes to an end, and from then on nothing moves. Nobody knows of a replica that
leads nothing, nor how many there are: it asks for one bucket first, and for the rest once all are known.

Knative's electors know no shares: one of its replicas may lead all buckets, and keeps what it has.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace


def turns(free: Iterable[str], led: Mapping[str, int]) -> dict[str, str]:
    """Return whose turn each free bucket is.

    Parameters
    ----------
    free : iterable of str
        Buckets, in the order in which they became free.
    led : mapping of str to int
        How many buckets each replica leads that is there; at least one replica.

    Examples
    --------
    >>> turns(["a", "b"], {"one": 2, "two": 3, "three": 2})
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


def lender(led: Mapping[str, int], asker: str) -> str | None:
    """Return which replica should give a bucket to one that leads too few; None if it does not.

    What remains when all have their share goes to those that lead least.

    Examples
    --------
    >>> lender({"one": 5, "two": 3, "three": 1}, "three")
    'one'
    >>> lender({"one": 3, "two": 3, "three": 2}, "three") is None
    True
    """
    mine, all_led = led.get(asker, 0), {asker: 0, **led}
    fullest = max(led, key=lambda replica: (led[replica], replica))
    share = sum(led.values()) // len(all_led)
    too_few = mine < share or mine == min(all_led.values())
    return fullest if too_few and gives(led, fullest, asker) else None


def gives(led: Mapping[str, int], giver: str, asker: str) -> bool:
    """Tell whether a bucket that goes from one replica to another brings them nearer to each other."""
    return led.get(giver, 0) - led.get(asker, 0) >= 2
