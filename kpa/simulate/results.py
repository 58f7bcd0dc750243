"""What came of a simulation: arrays, and the numbers that people compare."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpa.simulate.recorder import PodState
from kpa.simulate.requests import ANSWERED, IN_FLIGHT, REJECTED, TIMED_OUT, Requests

QUANTILES = (0.50, 0.95, 0.99)


class Percentiles(NamedTuple):
    """Seconds that half, 95 % and 99 % of the requests do not exceed; nan without requests."""

    p50: float
    p95: float
    p99: float


class Summary(NamedTuple):
    """A simulation in numbers.

    Attributes
    ----------
    length : float
        Seconds simulated.
    requests, answered, rejected, timed_out, in_flight : int
        All, and what became of them: 200, 503, 504, no answer yet at the end.
    cold_starts : int
        Requests that came when no pod was ready.
    queue, latency : Percentiles
        Of answered requests: before work on them began, and in all.
    replica_minutes : float
        Of all pods that exist, those that start or stop included.
    panic_seconds : float
    scalings : int
        Times at which another number of replicas was asked for.
    most_ready : int
    mean_ready : float
    """

    length: float
    requests: int
    answered: int
    rejected: int
    timed_out: int
    in_flight: int
    cold_starts: int
    queue: Percentiles
    latency: Percentiles
    replica_minutes: float
    panic_seconds: float
    scalings: int
    most_ready: int
    mean_ready: float


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that a simulation knows at its end.

    Attributes
    ----------
    length : float
        Seconds simulated.
    arrived, begun, ended : ndarray, shape (n,), float64
        Seconds from the start; nan if it did not happen.
    status : ndarray, shape (n,), int16
        Of `kpa.simulate.requests`.
    cold : ndarray, shape (n,), bool
    states : tuple of PodState
        The first one is of the start.
    scalings : tuple of float
        Seconds at which another number of replicas was asked for.
    """

    length: float
    arrived: NDArray[np.float64]
    begun: NDArray[np.float64]
    ended: NDArray[np.float64]
    status: NDArray[np.int16]
    cold: NDArray[np.bool_]
    states: tuple[PodState, ...]
    scalings: tuple[float, ...]

    def series(self, name: str, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a field of the states at some times."""
        at = np.array([state.at for state in self.states])
        values = np.array([getattr(state, name) for state in self.states], np.float64)
        return values[np.maximum(np.searchsorted(at, times, side="right") - 1, 0)]

    def integral(self, name: str, begin: float = 0.0, end: float = math.inf) -> float:
        """Return the integral of a field of the states over time, from one second to another."""
        at = np.array([state.at for state in self.states] + [self.length])
        values = np.array([getattr(state, name) for state in self.states], np.float64)
        return float((values * np.diff(np.clip(at, begin, end))).sum())

    def in_flight(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the requests in flight at some times, waiting ones included."""
        ends = np.sort(self.ended[~np.isnan(self.ended)])
        came, left = (np.searchsorted(events, times, side="right") for events in (self.arrived, ends))
        return (came - left).astype(np.float64)

    def latencies(self) -> NDArray[np.float64]:
        """Return the seconds that answered requests took, in order of arrival."""
        answered = self.status == ANSWERED
        latencies: NDArray[np.float64] = (self.ended - self.arrived)[answered]
        return latencies

    def summary(self) -> Summary:
        """Return the numbers."""
        answered = self.status == ANSWERED
        count = {kind: int((self.status == kind).sum()) for kind in (REJECTED, TIMED_OUT, IN_FLIGHT)}
        return Summary(
            length=self.length,
            requests=len(self.arrived),
            answered=int(answered.sum()),
            rejected=count[REJECTED],
            timed_out=count[TIMED_OUT],
            in_flight=count[IN_FLIGHT],
            cold_starts=int(self.cold.sum()),
            queue=percentiles((self.begun - self.arrived)[answered]),
            latency=percentiles(self.latencies()),
            replica_minutes=self.integral("pods") / 60,
            panic_seconds=self.integral("panicking"),
            scalings=len(self.scalings),
            most_ready=max(state.ready for state in self.states),
            mean_ready=self.integral("ready") / self.length,
        )


def collect(length: float, requests: Requests, states: list[PodState], scalings: list[float]) -> Results:
    """Return the results of a simulation, of requests that came within its length."""
    return Results(
        length,
        np.array(requests.arrived),
        np.array(requests.begun, np.float64),
        np.array(requests.ended, np.float64),
        np.array(requests.status, np.int16),
        np.array(requests.cold, np.bool_),
        tuple(states),
        tuple(scalings),
    )


def percentiles(values: NDArray[np.float64]) -> Percentiles:
    """Return the smallest values that 50, 95 and 99 % of all do not exceed.

    Examples
    --------
    >>> percentiles(np.array([0.3, 0.1, 0.2, 0.4]))
    Percentiles(p50=0.2, p95=0.4, p99=0.4)
    """
    if not len(values):
        return Percentiles(np.nan, np.nan, np.nan)
    found = np.quantile(values, QUANTILES, method="inverted_cdf")
    return Percentiles(*(float(value) for value in found))
