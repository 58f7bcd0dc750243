"""Today's settings and the two profiles: what a recommendation starts from and is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from config.annotations import ANNOTATIONS
from config.autoscaler import SETTINGS, AutoscalerConfig
from config.provenance import override_of
from kpa.simulate.scenario import Scenario
from kpa.tune.knobs import Candidate, Knob


def named_candidates(
    config: AutoscalerConfig, data: Mapping[str, str], knobs: Sequence[Knob]
) -> list[Candidate]:
    """Return today's settings, and the profiles with what of today's is not to be changed."""
    keys = {knob.key for knob in knobs}
    kept = {key: text for key, text in data.items() if key not in keys}
    today, others = "today", []
    for name in ("inference", "knative"):
        of_profile = kept | {"defaults": name}
        settings = AutoscalerConfig.from_config_map(of_profile)
        if settings == config:
            today = f"today (profile {name})"
        else:
            others.append(Candidate(f"profile {name}", of_profile, settings))
    return [Candidate(today, data, config), *others]


def fold_annotations(
    scenario: Scenario, data: Mapping[str, str], knobs: Sequence[Knob]
) -> tuple[Scenario, dict[str, str]]:
    """Move today's annotations of what is tried into the ConfigMap, where candidates have theirs."""
    annotations, folded = dict(scenario.annotations), dict(data)
    for knob in knobs:
        field = override_of(knob.key)
        annotation = None if field is None else ANNOTATIONS[field]
        found = annotation.find(annotations) if annotation else None
        if annotation and found:
            folded[knob.key] = found[1]
            for name in annotation.names:
                annotations.pop(name, None)
    config = AutoscalerConfig.from_config_map(folded)
    return replace(scenario, config=config, annotations=annotations), folded


def text_in(config: AutoscalerConfig, key: str) -> str:
    """Return the text of a key's value."""
    return SETTINGS[key].kind.format(config.value_of(key))
