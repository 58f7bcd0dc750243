"""The queue of every candidate at once: one load, many capacities, a step of time for all of them.

Each candidate has one queue, first come first served, and as many places as its ready pods together. That is
the activator's way; past the activator a request may wait for one pod while another has room. Times within a
step are kept as parts of it, so that requests shorter than a step count with what they are.
"""

import math

import numpy as np
from numpy.typing import NDArray

from kpa.simulate.load import Load

_BINS_PER_OCTAVE = 16
_SHORTEST = 1e-3
"""Seconds of the first bin; the one before it counts what is shorter."""

_OCTAVES = 24
BINS = _BINS_PER_OCTAVE * _OCTAVES + 1

_PARTS = (0.5, 0.75, 0.875)
"""Where in a step a queued request begins: on average a place becomes free in the middle, and one that is
free again within the step in the middle of the rest."""

_STEPS_PER_REQUEST = 4
_FINEST, _COARSEST = 0.1, 1.0


def step_for(load: Load) -> float:
    """Return the step for a load: a quarter of the work of a request, a whole part of a second."""
    wanted = float(load.service.mean()) / _STEPS_PER_REQUEST
    return 1.0 / math.ceil(1.0 / min(max(wanted, _FINEST), _COARSEST))


def bin_of(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bins of times; each is 4 % wide."""
    place = np.log2(np.maximum(seconds, _SHORTEST / 2) / _SHORTEST) * _BINS_PER_OCTAVE
    bins: NDArray[np.intp] = np.clip(np.ceil(place), 0, BINS - 1).astype(np.intp)
    return bins


def quantiles(counts: NDArray[np.int64], fraction: float) -> NDArray[np.float64]:
    """Return the time that a fraction of the requests does not exceed, of each column; 0 for the first bin.

    Parameters
    ----------
    counts : ndarray, shape (BINS, n), int64
    fraction : float
    """
    running = np.cumsum(counts, axis=0)
    place = (running < np.ceil(fraction * running[-1])).sum(axis=0)
    ends = _SHORTEST * 2.0 ** (np.arange(BINS) / _BINS_PER_OCTAVE)
    ends[0] = 0.0
    found: NDArray[np.float64] = ends[place]
    return found


class Queues:
    """Requests of one load in `count` queues.

    Parameters
    ----------
    load : Load
    count : int
    step : float
        Seconds.
    counted_from : float
        Seconds; requests that come earlier are served and not counted.
    longest : float
        Seconds that work takes at most (the service's timeout).

    Attributes
    ----------
    waits, latencies : ndarray, shape (BINS, count), int64
        Requests whose work began, by their time in the queue and in all.
    cold : ndarray, shape (count,), int64
        Requests that came when there was no place at all.
    """

    def __init__(self, load: Load, count: int, step: float, counted_from: float, longest: float) -> None:
        self._arrivals, self._service = load.arrivals, np.minimum(load.service, longest)
        self._step = step
        self._counted_from = counted_from
        self.steps = round(math.ceil(load.length) / step)
        edges = np.arange(self.steps + 1) * step
        self._first = np.searchsorted(load.arrivals, edges).tolist()
        self._rows = math.ceil(float(self._service.max(initial=0.0)) / step) + 2
        self._ends = np.zeros((self._rows, count), np.int32)
        self._parts = np.zeros((self._rows, count))
        self._begun = np.zeros(count, np.int64)
        self._working = np.zeros(count, np.int64)
        self.waits = np.zeros((BINS, count), np.int64)
        self.latencies = np.zeros((BINS, count), np.int64)
        self.cold = np.zeros(count, np.int64)
        self._service_bins = bin_of(self._service).tolist()

    def advance(self, index: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Let one step pass.

        Parameters
        ----------
        index : int
            Of the step.
        places : ndarray, shape (count,), int64
            Requests that can be worked on at once.

        Returns
        -------
        ndarray, shape (count,), float64
            Requests in flight, averaged over the step.
        """
        row, first, last = index % self._rows, self._first[index], self._first[index + 1]
        self._working -= self._ends[row]
        queued = first - self._begun
        flying = self._working + queued  # of those here before, over the whole step
        at_once = (queued == 0) & (places - self._working >= last - first)
        if last > first:
            counted = self._arrivals[first] >= self._counted_from
            self.cold += (last - first) * (places == 0) * counted
            self._start_at_once(index, range(first, last), at_once, counted)
            self._begun[at_once] = last
        for part in _PARTS:
            room = np.minimum(places - self._working, last - self._begun)
            late = np.flatnonzero(room > 0)
            if not len(late):
                break
            self._start_late(index, late, room[late], part)
        area: NDArray[np.float64] = flying + self._parts[row]
        if last > first:
            waiting_new = (
                (last - first) - self._arrivals[first:last].sum() / self._step + index * (last - first)
            )
            area += np.where(at_once, 0.0, waiting_new)
        self._ends[row] = 0
        self._parts[row] = 0.0
        return area

    def give_up(self, now: float) -> None:
        """Count the requests that are still queued at the end, with the time that they have waited so far."""
        for candidate in np.flatnonzero(self._begun < len(self._arrivals)).tolist():
            arrived = self._arrivals[self._begun[candidate] :]
            waited = bin_of(now - arrived[arrived >= self._counted_from])
            np.add.at(self.waits[:, candidate], waited, 1)
            np.add.at(self.latencies[:, candidate], waited, 1)

    def _start_at_once(self, index: int, requests: range, where: NDArray[np.bool_], counted: bool) -> None:
        """Begin requests in the moment in which they come, where there is room."""
        ones = where.astype(np.int64)
        for request in requests:
            begin = float(self._arrivals[request]) / self._step
            end = begin + float(self._service[request]) / self._step
            self._occupy(index, begin, end, where, ones)
            if counted:
                self.waits[0] += ones
                self.latencies[self._service_bins[request]] += ones

    def _occupy(
        self, index: int, begin: float, end: float, where: NDArray[np.bool_], ones: NDArray[np.int64]
    ) -> None:
        """Count work from one time to another, in steps, into the present step and the one it ends in."""
        last = int(end)
        if last <= index:
            self._parts[index % self._rows] += ones * (end - begin)
            return
        self._parts[index % self._rows] += ones * (index + 1 - begin)
        row = last % self._rows
        self._parts[row] += ones * (end - last)
        self._ends[row] += where
        self._working += ones

    def _start_late(self, index: int, late: NDArray[np.intp], starts: NDArray[np.int64], part: float) -> None:
        """Begin requests that had to wait, at a part of the step; a pair a candidate and request."""
        total = int(starts.sum())
        candidates = np.repeat(late, starts)
        offsets = np.arange(total) - np.repeat(np.cumsum(starts) - starts, starts)
        requests = self._begun[candidates] + offsets
        arrived, work = self._arrivals[requests], self._service[requests]
        begin = np.maximum(arrived, (index + part) * self._step)
        self._begun[late] += starts
        counted = arrived >= self._counted_from
        spots = candidates[counted]
        wait = (begin - arrived)[counted]
        np.add.at(self.waits, (bin_of(wait), spots), 1)
        np.add.at(self.latencies, (bin_of(wait + work[counted]), spots), 1)
        end = (begin + work) / self._step
        last = end.astype(np.int64)
        # all were counted as in flight for the whole step; one that ends within it takes the rest back
        here = index % self._rows
        ends_here = last <= index
        np.add.at(
            self._parts, (np.full(total, here), candidates), np.where(ends_here, end - (index + 1), 0.0)
        )
        going = ~ends_here
        rows = last[going] % self._rows
        np.add.at(self._parts, (rows, candidates[going]), end[going] - last[going])
        np.add.at(self._ends, (rows, candidates[going]), 1)
        np.add.at(self._working, candidates[going], 1)
