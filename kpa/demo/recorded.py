"""Recorded requests as a trace to play."""

import math
from pathlib import Path

from kpa.demo.trace import Arrival, ArrivalTrace
from kpa.simulate.errors import InputError
from kpa.simulate.tables import TokenRates, read_table


def read_recorded(path: Path, rates: TokenRates, seconds: float) -> ArrivalTrace:
    """Read the first seconds of a file of requests, such as one of the Azure LLM inference traces.

    Parameters
    ----------
    path : Path
        Comma-separated values, see `kpa.simulate.tables`.
    rates : TokenRates
        Turn token counts into work.
    seconds : float
        Recorded time to read.

    Raises
    ------
    InputError
        The file cannot be used, or does not say what its requests take.
    """
    rows = read_table(path, rates, seconds)
    if any(math.isnan(row.service) for row in rows):
        raise InputError(
            f"{path}: does not say what requests take; the first line must name service_time, or "
            "ContextTokens and GeneratedTokens"
        )
    return ArrivalTrace(path.name, tuple(Arrival(*row) for row in rows))
