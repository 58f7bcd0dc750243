"""Today's settings and the profiles.

Covered: today's annotations move into the ConfigMap that candidates change; which profiles are compared, with
what kept.
"""

from dataclasses import replace

import numpy as np

from config.autoscaler import AutoscalerConfig
from kpa.simulate.load import Load
from kpa.tune.knobs import knobs_for
from kpa.tune.today import fold_annotations, named_candidates, text_in
from tests.kpa.tune.loads import slow_starter

KNOBS = knobs_for([Load("x", np.arange(10.0), np.ones(10), 10.0)], 4.0)


def test_today_s_annotations_of_what_is_tried_become_settings() -> None:
    own = {
        "autoscaling.knative.dev/minScale": "2",
        "autoscaling.knative.dev/target-utilization-percentage": "50",
        "autoscaling.knative.dev/initial-scale": "2",
    }
    data = {"max-scale": "9", "min-scale": "1"}
    scenario = replace(slow_starter(config=AutoscalerConfig.from_config_map(data)), annotations=own)
    folded, found = fold_annotations(scenario, data, KNOBS)
    assert found == {"max-scale": "9", "min-scale": "2", "container-concurrency-target-percentage": "50"}
    assert folded.annotations == {"autoscaling.knative.dev/initial-scale": "2"}
    assert (folded.config.min_scale, folded.config.max_scale) == (2, 9)
    assert text_in(folded.config, "container-concurrency-target-percentage") == "50"


def test_profiles_keep_what_is_not_tried() -> None:
    data = {"max-scale": "9", "stable-window": "99s"}
    config = AutoscalerConfig.from_config_map(data)
    found = {one.name: one.config for one in named_candidates(config, data, KNOBS)}
    assert list(found) == ["today", "profile inference", "profile knative"]
    assert [one.max_scale for one in found.values()] == [9, 9, 9]
    assert [one.stable_window for one in found.values()] == [99.0, 180.0, 60.0]


def test_a_profile_that_is_today_s_is_named_so() -> None:
    for profile, other in (("inference", "knative"), ("knative", "inference")):
        data = {"defaults": profile}
        found = named_candidates(AutoscalerConfig.from_config_map(data), data, KNOBS)
        assert [one.name for one in found] == [f"today (profile {profile})", f"profile {other}"]
