"""Times that vary: how long a request is worked on, how long a pod takes to start."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.durations import format_duration, parse_duration
from kpa.simulate.errors import InputError

_USAGE = "2s, or exponential 2s, or lognormal 2s 0.5 (mean, then standard deviation as a part of it)"


@dataclass(frozen=True, slots=True)
class TimeDistribution:
    """A distribution of positive times.

    Attributes
    ----------
    mean : float
        Seconds.
    kind : "fixed", "exponential" or "lognormal"
    variation : float
        Standard deviation as a part of the mean; of the lognormal one only.
    """

    mean: float
    kind: str = "fixed"
    variation: float = 0.0

    def sample(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Draw times in seconds, shape (count,)."""
        if self.kind == "exponential":
            return random.exponential(self.mean, count)
        if self.kind == "lognormal" and self.mean > 0:
            sigma = math.sqrt(math.log1p(self.variation**2))
            return random.lognormal(math.log(self.mean) - sigma**2 / 2, sigma, count)
        return np.full(count, self.mean)

    def __str__(self) -> str:
        words = [] if self.kind == "fixed" else [self.kind]
        words.append(format_duration(round(self.mean, 6)))
        return " ".join(words + ([f"{self.variation:g}"] if self.kind == "lognormal" else []))


def parse_times(text: str, option: str) -> TimeDistribution:
    """Read a distribution as it is written on the command line.

    Parameters
    ----------
    text : str
    option : str
        Where it was given, for the message.

    Raises
    ------
    InputError
        The text is no distribution.

    Examples
    --------
    >>> parse_times("lognormal 2s 0.5", "--service-time")
    TimeDistribution(mean=2.0, kind='lognormal', variation=0.5)
    >>> str(parse_times("90s", "--start-up-time"))
    '1m30s'
    """
    words = text.split()
    kind = words.pop(0) if words and words[0] in ("fixed", "exponential", "lognormal") else "fixed"
    problem = InputError(f"{option} {text!r} must be {_USAGE}")
    if len(words) != (2 if kind == "lognormal" else 1):
        raise problem
    try:
        mean = parse_duration(words[0])
        variation = float(words[1]) if kind == "lognormal" else 0.0
    except ValueError:
        raise problem from None
    if not (0 <= mean <= 86_400 and 0 <= variation <= 100):
        raise problem
    return TimeDistribution(mean, kind, variation)
