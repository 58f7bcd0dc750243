"""The settings that may be changed, and the range within which each is tried."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.annotations import ANNOTATIONS
from config.autoscaler import SETTINGS, AutoscalerConfig
from config.problems import ConfigError
from config.provenance import override_of
from kpa.simulate.load import Load

_ZERO_SHARE = 0.15
"""Part of a range that stands for 0 where 0 switches something off."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A ConfigMap key with the values that are tried.

    Attributes
    ----------
    key : str
    low, high : float
        In the key's own unit; tried evenly on a scale of ratios.
    zero : bool
        0 is tried too: it switches something off.
    whole : bool
        Pods or seconds, which have no fractions.
    """

    key: str
    low: float
    high: float
    zero: bool = False
    whole: bool = False

    def value(self, place: float) -> float:
        """Return the value at a place within 0..1, rounded to two digits for people.

        Examples
        --------
        >>> knob = Knob("scale-down-delay", 5, 600, zero=True, whole=True)
        >>> [knob.value(place) for place in (0.1, 0.15, 0.6, 1.0)]
        [0.0, 5.0, 63.0, 600.0]
        """
        if self.zero:
            if place < _ZERO_SHARE:
                return 0.0
            place = (place - _ZERO_SHARE) / (1 - _ZERO_SHARE)
        exact = self.low * (self.high / self.low) ** place
        rounded = float(f"{exact:.2g}") if exact >= 2 else float(f"{exact:.3g}")
        return float(round(rounded)) if self.whole else rounded

    def text(self, place: float) -> str:
        """Return the value at a place as a ConfigMap has it."""
        value = self.value(place)
        kind = SETTINGS[self.key].kind
        return kind.format(int(value) if kind.noun.startswith("an integer") else value)


def knobs_for(loads: Sequence[Load], total: float) -> tuple[Knob, ...]:
    """Return the settings to try for some loads.

    Parameters
    ----------
    loads : sequence of Load
    total : float
        Requests in flight that a pod takes.
    """
    busiest = max(_busy(load) for load in loads)
    return (
        Knob("stable-window", 6, 600, whole=True),
        Knob("panic-window-percentage", 2, 50),
        Knob("panic-threshold-percentage", 110, 1000),
        Knob("container-concurrency-target-percentage", 20, 100),
        Knob("max-scale-up-rate", 1.1, 1000),
        Knob("max-scale-down-rate", 1.02, 10),
        Knob("scale-rate-period", 2, 120, zero=True, whole=True),
        Knob("scale-down-delay", 4, 900, zero=True, whole=True),
        Knob("scale-to-zero-pod-retention-period", 10, 3600, zero=True, whole=True),
        Knob("min-scale", 1, max(2, math.ceil(busiest / total)), zero=True, whole=True),
    )


def _busy(load: Load) -> float:
    """Requests in flight that are exceeded for one second in a hundred, if none has to wait."""
    times = np.arange(0.0, load.length)
    ends = np.sort(load.arrivals + load.service)
    flying = np.searchsorted(load.arrivals, times) - np.searchsorted(ends, times)
    return float(np.quantile(flying, 0.99))


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One set of settings.

    Attributes
    ----------
    name : str
        Empty for those that were found.
    data : Mapping
        ConfigMap keys and texts.
    config : AutoscalerConfig
    places : ndarray, shape (n_knobs,), float64
        Where the search has it; those with a name have none.
    """

    name: str
    data: Mapping[str, str]
    config: AutoscalerConfig
    places: NDArray[np.float64] | None = None


def make_candidate(
    knobs: Sequence[Knob], today: Mapping[str, str], places: NDArray[np.float64]
) -> Candidate | None:
    """Return the settings at some places over those of today; None if they do not fit together."""
    texts = {knob.key: knob.text(place) for knob, place in zip(knobs, places.tolist(), strict=True)}
    try:
        return Candidate("", texts, AutoscalerConfig.from_config_map({**today, **texts}), places)
    except ConfigError:
        return None


def annotation_of(key: str) -> str | None:
    """Return the annotation that sets a key for one service; None if there is none."""
    field = override_of(key)
    return None if field is None else ANNOTATIONS[field].names[0]
