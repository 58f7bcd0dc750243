"""Arrival traces as values: when requests arrive and how long each one is worked on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple


class Arrival(NamedTuple):
    """One request: seconds since the start of the trace, seconds of work for the model."""

    at: float
    service: float


class Phase(NamedTuple):
    """A named stretch of a trace, from `at` seconds until the next phase."""

    at: float
    name: str


class TracePart(NamedTuple):
    """A phase with its load: seconds, requests a second at its start and at its end."""

    name: str
    length: float
    rate: float
    end_rate: float


@dataclass(frozen=True, slots=True)
class ArrivalTrace:
    """Arrivals in order of time.

    Attributes
    ----------
    name : str
        What it is called on screen.
    arrivals : tuple of Arrival
        At least one.
    phases : tuple of Phase
        May be empty.
    """

    name: str
    arrivals: tuple[Arrival, ...]
    phases: tuple[Phase, ...] = ()

    @property
    def length(self) -> float:
        """Seconds until the last arrival."""
        return self.arrivals[-1].at

    def phase(self, at: float) -> str:
        """Name the phase at a time; empty when the trace has none or is over."""
        begun = [phase.name for phase in self.phases if phase.at <= at]
        return begun[-1] if begun and at <= self.length else ""

    def coming(self, at: float) -> Phase | None:
        """Return the first phase that begins after a time."""
        return next((phase for phase in self.phases if phase.at > at), None)

    def sped_up(self, speed: float) -> "ArrivalTrace":
        """Compress time: `speed` seconds of the trace pass in one second.

        Arrivals and work shrink alike, so the number of requests in flight, and with it the number of
        replicas that the load needs, stays that of the recording.

        Examples
        --------
        >>> ArrivalTrace("two", (Arrival(0, 4), Arrival(30, 2))).sped_up(10).arrivals[1]
        Arrival(at=3.0, service=0.2)
        """
        arrivals = tuple(Arrival(at / speed, service / speed) for at, service in self.arrivals)
        name = self.name if speed == 1 else f"{self.name}, {speed:g} times as fast"
        return ArrivalTrace(name, arrivals, tuple(Phase(at / speed, name) for at, name in self.phases))

    def delayed(self, seconds: float) -> "ArrivalTrace":
        """Put some seconds of nothing before the trace."""
        arrivals = tuple(Arrival(at + seconds, service) for at, service in self.arrivals)
        return ArrivalTrace(self.name, arrivals, tuple(Phase(at + seconds, name) for at, name in self.phases))

    def first(self, seconds: float) -> "ArrivalTrace":
        """Cut the trace after some seconds; the first arrival always stays."""
        kept = tuple(takewhile(lambda arrival: arrival.at <= seconds, self.arrivals))
        return ArrivalTrace(self.name, kept or self.arrivals[:1], self.phases)


BUILTIN: tuple[TracePart, ...] = (
    TracePart("nothing", 5, 0, 0),
    TracePart("quiet", 12, 1, 1),
    TracePart("ramp", 18, 1, 12),
    TracePart("steady", 14, 12, 12),
    TracePart("burst", 14, 42, 42),
    TracePart("plateau", 26, 15, 15),
    TracePart("idle", 37, 0, 0),
    TracePart("one late request", 1, 1, 1),
)
"""The default load.

With 0.5 s of work a request and 3.5 requests aimed at per replica: quiet needs 1 replica, the ramp ends at 2
and stays there until panic mode is over, the burst needs 6 and asks for more while its requests queue, the
plateau needs 3. Idle is longer than the way
to zero takes, so the late request finds no replica.
"""

SERVICE_SECONDS = 0.5
"""Average work of a request of the built-in trace; each takes 0.6 to 1.4 times that."""


def builtin_trace(stretches: Iterable[TracePart] = BUILTIN) -> ArrivalTrace:
    """Make the trace of some stretches of load; the same one every time."""
    arrivals: list[Arrival] = []
    phases: list[Phase] = []
    start = 0.0
    for stretch in stretches:
        phases.append(Phase(start, stretch.name))
        for offset in _offsets(stretch):
            spread = len(arrivals) * 0.6180339887 % 1  # the golden ratio spreads evenly at every length
            arrivals.append(Arrival(start + offset, SERVICE_SECONDS * (0.6 + 0.8 * spread)))
        start += stretch.length
    return ArrivalTrace("built-in trace", tuple(arrivals), tuple(phases))


def _offsets(stretch: TracePart) -> Iterator[float]:
    """Times at which rate x t + growth x t^2 / 2, the requests so far, reaches 0, 1, 2, ..."""
    growth = (stretch.end_rate - stretch.rate) / stretch.length
    total = (stretch.rate + stretch.end_rate) / 2 * stretch.length
    for number in range(int(total)):
        # the root in this form holds for growth 0 too; number 0 of a stretch that starts at rate 0 is at 0
        yield 2 * number / (stretch.rate + (stretch.rate**2 + 2 * growth * number) ** 0.5) if number else 0.0
