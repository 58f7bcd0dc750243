"""The settings that are tried.

Covered: every place is a value that a ConfigMap may have, zeros, rounding, names that exist.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.autoscaler import SETTINGS
from kpa.simulate.load import Load
from kpa.tune.knobs import Knob, annotation_of, knobs_for, make_candidate

LOAD = Load("x", np.arange(0.0, 100.0, 0.1), np.full(1000, 2.0), 100.0)
KNOBS = knobs_for([LOAD], total=4.0)


@given(st.lists(st.floats(0, 1), min_size=len(KNOBS), max_size=len(KNOBS)))
def test_every_place_is_a_setting_that_is_allowed(places: list[float]) -> None:
    made = make_candidate(KNOBS, {}, np.array(places))
    assert made is not None
    assert set(made.data) == {knob.key for knob in KNOBS}
    for knob, place in zip(KNOBS, places, strict=True):
        assert made.config.value_of(knob.key) == pytest.approx(knob.value(place), rel=1e-6)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.key)
def test_the_ends_of_a_knob_are_its_ends(knob: Knob) -> None:
    assert knob.value(0.0) == pytest.approx(0.0 if knob.zero else knob.low)
    assert knob.value(1.0) == pytest.approx(knob.high, rel=0.05)  # two digits
    values = [knob.value(place) for place in np.linspace(0, 1, 50)]
    assert values == sorted(values)


def test_other_settings_of_today_stay() -> None:
    made = make_candidate(KNOBS, {"max-scale": "7", "stable-window": "99s"}, np.full(len(KNOBS), 0.5))
    assert made is not None
    assert made.config.max_scale == 7
    assert made.config.stable_window != 99.0


def test_settings_that_do_not_fit_together_are_none() -> None:
    assert make_candidate(KNOBS, {"max-scale": "1"}, np.ones(len(KNOBS))) is None  # min-scale above it


def test_the_minimum_is_tried_up_to_the_busiest_seconds() -> None:
    (minimum,) = [knob for knob in KNOBS if knob.key == "min-scale"]
    assert minimum.high == 5  # 20 in flight, 4 a pod


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.key)
def test_annotations_are_those_of_the_settings(knob: Knob) -> None:
    name = annotation_of(knob.key)
    assert (name is None) == (knob.key in ("max-scale-up-rate", "max-scale-down-rate", "scale-rate-period"))
    assert name is None or name == f"autoscaling.knative.dev/{SETTINGS[knob.key].annotation}"
