"""Which replica looks after which revision: keys are spread over buckets, and each bucket has one owner.

The spread must be the peer's to the last bit while replicas of both share leases.

Source: `knative/pkg hash`; the names of `knative/serving cmd/autoscaler/main.go`.
"""

from collections.abc import Iterable
from functools import lru_cache

from kpa.revisions import Key

_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1
"""Constants of FNV-1a with 64 bits."""

_ANGLES = 2048
"""Places on the circle on which buckets and keys lie."""

_START_SALT = "start-angle-salt"

_REMEMBERED = 2**17
"""Keys whose bucket is remembered, the last ones asked for."""


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
        start = fnv1a(key + _START_SALT) % _ANGLES
        angles = self._angles(key)
        return angles[min((angle for angle in angles if angle >= start), default=min(angles))]

    def _angles(self, key: str) -> dict[int, str]:
        """Place all buckets on the circle of a key; two at one place are told apart by hashing on."""
        angles: dict[int, str] = {}
        for name in self.names:
            text = name + key
            found = fnv1a(text)
            while found % _ANGLES in angles:
                text += f"{found:x}"
                found = fnv1a(text)
            angles[found % _ANGLES] = name
        return angles
