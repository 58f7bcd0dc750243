"""Leader election: the number of buckets and the timing of their leases, ConfigMap `config-leader-election`.

kpa reads it once, at the start: replicas with different numbers of buckets would lead the same revisions.

Source: `knative/pkg leaderelection/config.go`.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from itertools import pairwise
from typing import Self

from config.durations import format_duration, parse_duration
from config.problems import ConfigError, Problem
from config.scalars import parse_int32

NAME = "config-leader-election"
"""Name of the ConfigMap, unless `CONFIG_LEADERELECTION_NAME` names another one."""

MOST_BUCKETS = 1000
"""Largest number of buckets: each costs a lease that is renewed every few seconds. Knative takes 10."""

_ALTERNATES = {
    "lease-duration": "leaseDuration",
    "renew-deadline": "renewDeadline",
    "retry-period": "retryPeriod",
}
"""Keys of the timing, longest time first, and their older names."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: how long a lease lasts, how long its holder tries to renew it, how often.

    Attributes
    ----------
    lease_duration, renew_deadline, retry_period : float
        Each is longer than the next one.
    """

    lease_duration: float = 60.0
    renew_deadline: float = 40.0
    retry_period: float = 10.0


@dataclass(frozen=True, slots=True)
class LeaderElectionConfig:
    """How replicas share the revisions.

    Attributes
    ----------
    buckets : int
        From 1 to `MOST_BUCKETS`.
    timing : Timing
    """

    buckets: int = 1
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> Self:
        """Read the data of the ConfigMap; a key that is not set has Knative's default.

        Raises
        ------
        ConfigError
            A value cannot be used; the error names every such value.

        Examples
        --------
        >>> found = LeaderElectionConfig.from_config_map({"buckets": "3", "lease-duration": "90s"})
        >>> found.buckets, found.timing.lease_duration
        (3, 90.0)
        """
        texts = cls().texts() | _set(data)
        problems = []
        buckets = _whole(texts["buckets"])
        if not 1 <= buckets <= MOST_BUCKETS:
            problems.append(Problem("buckets", texts["buckets"], f"a whole number from 1 to {MOST_BUCKETS}"))
        seconds = {key: _seconds(texts[key]) for key in _ALTERNATES}
        bad = [key for key, value in seconds.items() if value <= 0]
        problems += [Problem(key, texts[key], "a duration above 0") for key in bad]
        if not bad:
            problems += _out_of_order(texts, seconds)
        if problems:
            raise ConfigError(problems)
        return cls(buckets, Timing(*seconds.values()))

    def texts(self) -> dict[str, str]:
        """Return the value of each key, as an operator writes it."""
        timing = map(format_duration, astuple(self.timing))
        return {"buckets": str(self.buckets), **dict(zip(_ALTERNATES, timing, strict=True))}

    def warnings(self, data: Mapping[str, str]) -> list[str]:
        """Return nothing: a value is used or refused."""
        return []


def _set(data: Mapping[str, str]) -> dict[str, str]:
    """Texts of the keys that are set; the name of today counts before the older one."""
    names = {"buckets": "buckets", **_ALTERNATES}
    return {key: data.get(key, data.get(old, "")) for key, old in names.items() if key in data or old in data}


def _whole(text: str) -> int:
    """Return a number without a sign; 0 for what is none, or has more digits than are worth reading."""
    try:
        return parse_int32(text) if text.isdigit() else 0
    except ValueError:
        return 0


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0


def _out_of_order(texts: Mapping[str, str], seconds: Mapping[str, float]) -> list[Problem]:
    keys = list(_ALTERNATES)
    return [
        Problem(longer, texts[longer], f"more than {shorter} ({texts[shorter]})")
        for longer, shorter in pairwise(keys)
        if seconds[longer] <= seconds[shorter]
    ]
