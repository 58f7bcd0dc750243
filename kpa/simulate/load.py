"""A load: when requests come and how long each is worked on, wherever it is read from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kpa.simulate.arrivals import draw_arrivals
from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.errors import InputError
from kpa.simulate.phases import WORDS, Stretch, parse_phases
from kpa.simulate.prometheus import RangeQuery, fetch_range, read_range
from kpa.simulate.tables import TokenRates, read_table

DEFAULT_SERVICE = TimeDistribution(1.0)
"""Of requests about which nothing is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Requests in order of time.

    Attributes
    ----------
    name : str
    arrivals, service : ndarray, shape (n,), float64
        Seconds from the start, seconds of work.
    length : float
        Seconds that the load lasts; no request comes after it.
    """

    name: str
    arrivals: NDArray[np.float64]
    service: NDArray[np.float64]
    length: float

    @property
    def concurrency(self) -> float:
        """Requests in flight on average if none had to wait."""
        return float(self.service.sum()) / self.length if self.length else 0.0

    def between(self, begin: float, end: float) -> "Load":
        """Return the part from one time to another, counted from its own start."""
        some = (self.arrivals >= begin) & (self.arrivals < end)
        length = min(end, self.length) - begin
        return Load(self.name, self.arrivals[some] - begin, self.service[some], length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a source is read.

    Attributes
    ----------
    service : TimeDistribution or None
        Takes the place of what a file says about its requests.
    rates : TokenRates
        Turn a trace's tokens into work.
    unit : "rps" or "concurrency"
        What levels over time count: arrivals a second, or requests in flight if none has to wait.
    even : bool
        Arrivals of levels are spread evenly; else by chance, as independent users come.
    query : RangeQuery or None
        For the URL of a Prometheus.
    """

    service: TimeDistribution | None = None
    rates: TokenRates = field(default_factory=TokenRates)
    unit: Literal["rps", "concurrency"] = "rps"
    even: bool = False
    query: RangeQuery | None = None


def read_load(source: str, reading: Reading, seed: int) -> Load:
    """Read a load from a file (CSV, JSON of Prometheus), the URL of a Prometheus, or phases.

    Raises
    ------
    InputError
        It cannot be used.
    """
    random = np.random.default_rng([seed, 1])
    if source.startswith(("http://", "https://")):
        if reading.query is None:
            raise InputError(f"{source}: --query, --start and --end must say what Prometheus is asked")
        return _from_levels(source, fetch_range(source, reading.query), reading, random)
    if source.split(maxsplit=1)[:1] and source.split(maxsplit=1)[0] in WORDS:
        return _from_levels(source, parse_phases(source), reading, random)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{source!r} is neither a file nor phases, which begin with {', '.join(WORDS)}")
    if path.suffix.lower() == ".json":
        return _from_levels(path.name, read_range(_text(path), source), reading, random)
    return _from_table(path, reading, random)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _from_table(path: Path, reading: Reading, random: np.random.Generator) -> Load:
    rows = np.array(read_table(path, reading.rates))
    arrivals, service = rows[:, 0], rows[:, 1]
    if reading.service is not None or np.isnan(service).any():
        service = (reading.service or DEFAULT_SERVICE).sample(random, len(rows))
    return Load(path.name, arrivals, service, float(np.floor(arrivals[-1])) + 1.0)


def _from_levels(
    name: str, stretches: Sequence[Stretch], reading: Reading, random: np.random.Generator
) -> Load:
    times = reading.service or DEFAULT_SERVICE
    if reading.unit == "concurrency":
        if times.mean <= 0:
            raise InputError("a load in requests in flight needs a --service-time above 0")
        # Little's law: requests in flight = arrivals a second x seconds of work
        stretches = [Stretch(one.length, one.begin / times.mean, one.end / times.mean) for one in stretches]
    arrivals = draw_arrivals(stretches, random, even=reading.even)
    return Load(name, arrivals, times.sample(random, len(arrivals)), sum(one.length for one in stretches))
