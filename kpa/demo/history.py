"""What the demonstration has seen so far; the view and the closing table read it."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from kpa.web.api.api import FleetResponse


class Sample(NamedTuple):
    """The service at one moment, `at` seconds on the player's clock.

    See `kpa.controller.status` for the names.

    `recommended` is what the load asks for, `requested` after bounds (-1: none yet). `in_flight` and
    `sent` come from the player. `next_in` are seconds until `next_what`.
    """

    at: float
    in_flight: int = 0
    sent: int = 0
    recommended: int = -1
    requested: int = -1
    ready: int = 0
    pods: int = 0
    stable: float | None = None
    panic: float | None = None
    target: float = 0.0
    mode: str = "no data"
    next_what: str = ""
    next_in: float = 0.0


def take_sample(fleet: FleetResponse, service: str, at: float, in_flight: int, sent: int) -> Sample:
    """Take one service's sample out of the fleet.

    Raises
    ------
    LookupError
        The service is not there (yet).
    """
    for status in fleet.revisions:
        if status.service == service:
            break
    else:
        raise LookupError(f"no revision of service {service!r}")
    event = status.next_event
    return Sample(
        at=at,
        in_flight=in_flight,
        sent=sent,
        recommended=status.recommended,
        requested=status.requested,
        ready=status.ready,
        pods=status.ready + status.not_ready,
        stable=status.stable,
        panic=status.panic,
        target=status.target,
        mode=status.mode,
        next_what=event.what if event else "",
        next_in=event.at - fleet.time if event else 0.0,
    )


class ServiceHistory:
    """Samples in order of time; a sample holds until the next one."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Append a sample; its time must not lie before the last one's."""
        self.samples.append(sample)

    @property
    def last(self) -> Sample:
        """The newest sample; an empty one before the first."""
        return self.samples[-1] if self.samples else Sample(0.0)

    @property
    def length(self) -> float:
        """Seconds from the first sample to the last."""
        return self.last.at - self.samples[0].at if self.samples else 0.0

    @property
    def replica_seconds(self) -> float:
        """Seconds of all replicas together, those that start or drain included: what has to be paid."""
        return sum(before.pods * (after.at - before.at) for before, after in pairwise(self.samples))

    @property
    def panic_seconds(self) -> float:
        """Seconds in panic mode."""
        return sum(after.at - before.at for before, after in pairwise(self.samples) if before.mode == "panic")

    @property
    def peak_ready(self) -> int:
        """Most replicas that were ready at once."""
        return max((sample.ready for sample in self.samples), default=0)

    @property
    def is_at_zero(self) -> bool:
        """Nothing runs and nothing is requested."""
        return bool(self.samples) and self.last.pods == self.last.ready == 0 and self.last.requested <= 0

    @property
    def went_up_and_down(self) -> bool:
        """It started at zero replicas, had some, and is back at zero."""
        return self.is_at_zero and self.samples[0].ready == 0 and self.peak_ready > 0

    def steps(self) -> list[tuple[float, int]]:
        """Times and numbers of ready replicas, whenever the number changed."""
        steps: list[tuple[float, int]] = []
        for sample in self.samples:
            if not steps or steps[-1][1] != sample.ready:
                steps.append((sample.at, sample.ready))
        return steps

    def seconds(self, count: int) -> list[Sample | None]:
        """The last sample of each of the newest `count` seconds, None where there is none; oldest first."""
        newest = math.floor(self.last.at)
        by_second = {math.floor(sample.at): sample for sample in self.samples[-count * 10 :]}
        return [by_second.get(second) for second in range(newest - count + 1, newest + 1)]


def percentiles(values: Iterable[float], fractions: Sequence[float] = (0.50, 0.95, 0.99)) -> list[float]:
    """Return the smallest values that these fractions of all values do not exceed; nan without values.

    Examples
    --------
    >>> percentiles([0.3, 0.1, 0.2, 0.4], fractions=(0.5, 0.99))
    [0.2, 0.4]
    """
    ordered = sorted(values)
    if not ordered:
        return [math.nan] * len(fractions)
    return [ordered[max(0, math.ceil(fraction * len(ordered)) - 1)] for fraction in fractions]
