"""What a reconciler reports about its own work."""

from collections.abc import Callable
from dataclasses import dataclass

from metrics.key import Key


@dataclass(slots=True)
class Hooks:
    """Functions that the reconciler calls; by default they do nothing.

    Attributes
    ----------
    tick : callable (float)
        Seconds that a tick took.
    scrape : callable (Key, float)
        Seconds that a scrape of a revision took.
    scale : callable (int, int)
        Replicas before, and those asked for.
    stats : callable (int, int)
        Stats received from activators, and how many of them are of unknown revisions.
    """

    tick: Callable[[float], None] = lambda seconds: None
    scrape: Callable[[Key, float], None] = lambda key, seconds: None
    scale: Callable[[int, int], None] = lambda before, after: None
    stats: Callable[[int, int], None] = lambda received, unknown: None
