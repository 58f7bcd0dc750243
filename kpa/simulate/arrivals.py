"""Arrivals from a rate over time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kpa.simulate.errors import InputError
from kpa.simulate.phases import Stretch

MOST = 20_000_000
"""Arrivals of a simulation at most; more would not fit into memory."""


def draw_arrivals(
    stretches: Sequence[Stretch], random: np.random.Generator, *, even: bool = False
) -> NDArray[np.float64]:
    """Return arrival times of a Poisson process with this rate, or evenly spaced ones.

    Parameters
    ----------
    stretches : sequence of Stretch
        Levels are arrivals a second.
    random : Generator
    even : bool
        The n-th request comes when the rate adds up to n; else by chance, as independent users do.

    Returns
    -------
    ndarray, shape (n,), float64
        Seconds from the start, ascending.

    Raises
    ------
    InputError
        There would be more than `MOST`.

    Examples
    --------
    >>> draw_arrivals([Stretch(2.0, 1.0, 3.0)], np.random.default_rng(1), even=True).round(3)
    array([0.   , 0.732, 1.236, 1.646])
    """
    length, begin, end = np.array(stretches, np.float64).T.reshape(3, -1)
    mass = length * (begin + end) / 2
    total = float(mass.sum())
    if total > MOST:
        raise InputError(f"the load has {total:.3g} requests; at most {MOST} can be simulated")
    count = int(np.ceil(total)) if even else int(random.poisson(total))
    masses = np.arange(count, dtype=np.float64) if even else np.sort(random.uniform(0.0, total, count))
    before = np.concatenate(([0.0], np.cumsum(mass)))
    place = np.minimum(np.searchsorted(before, masses, side="right") - 1, len(mass) - 1)
    starts = np.concatenate(([0.0], np.cumsum(length)))[place]
    within = masses - before[place]
    rate, growth = begin[place], ((end - begin) / length)[place]
    # the root of rate x t + growth x t^2 / 2 = within, in the form that holds for growth 0 too
    root = rate + np.sqrt(np.maximum(rate**2 + 2 * growth * within, 0.0))
    offsets = np.divide(2 * within, root, out=np.zeros_like(within), where=root > 0)
    return np.sort(starts + np.minimum(offsets, length[place]))
