"""Pods of every candidate: starting, ready, stopping; what they cost."""

import numpy as np
from numpy.typing import NDArray


class Pods:
    """Numbers of pods, a column a candidate.

    Parameters
    ----------
    ready : ndarray, shape (n,), int64
        At the beginning.
    start_up_steps : int
        Steps from asking for a pod until it takes requests.
    drain_steps : float
        Steps for which a stopped pod goes on and costs.

    Attributes
    ----------
    ready, replicas : ndarray, shape (n,), int64
        Pods that take requests; pods asked for.
    scalings : ndarray, shape (n,), int64
    """

    def __init__(self, ready: NDArray[np.int64], start_up_steps: int, drain_steps: float) -> None:
        self.ready = ready.copy()
        self.replicas = ready.copy()
        self.scalings = np.zeros(len(ready), np.int64)
        self._steps = max(1, start_up_steps)
        self._drain = drain_steps
        self._starting = np.zeros((self._steps, len(ready)), np.int64)
        self._stopped = np.zeros(len(ready))

    def advance(self, index: int) -> NDArray[np.intp]:
        """Let pods become ready whose time has come; returns the candidates that got some."""
        row = self._starting[index % self._steps]
        got = np.flatnonzero(row)
        if len(got):
            self.ready += row
            row[:] = 0
        return got

    def take_cost(self) -> NDArray[np.float64]:
        """Return the pod-steps of one step: asked for, and the drain of those stopped since the last call."""
        cost = self.replicas + self._stopped
        self._stopped[:] = 0.0
        return cost

    def scale(self, candidate: int, replicas: int, index: int) -> None:
        """Ask for another number of pods of a candidate after a step."""
        more = replicas - int(self.replicas[candidate])
        if not more:
            return
        self.scalings[candidate] += 1
        self.replicas[candidate] = replicas
        if more > 0:
            self._starting[index % self._steps, candidate] += more
        else:
            self._stop(candidate, -more, index)

    def _stop(self, candidate: int, count: int, index: int) -> None:
        """Stop pods: those that start first, the youngest of them first."""
        column = self._starting[:, candidate]
        for age in range(self._steps):
            if not count or not column.any():
                break
            row = (index - age) % self._steps
            gone = min(count, int(column[row]))
            column[row] -= gone
            count -= gone
        self.ready[candidate] -= count
        self._stopped[candidate] += count * self._drain
