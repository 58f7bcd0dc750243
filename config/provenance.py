"""Where each setting of a revision comes from: its annotation, the ConfigMap, or the default of a profile."""

from collections.abc import Mapping
from typing import NamedTuple

from config.annotations import ANNOTATIONS, PREFIX, Annotation, read_overrides
from config.autoscaler import SETTINGS, AutoscalerConfig, profile


class Setting(NamedTuple):
    """One setting in force.

    Attributes
    ----------
    key : str
        As an operator writes it: a ConfigMap key, or an annotation without its prefix.
    value : str
        As an operator writes it.
    source : str
        `annotation NAME`, `ConfigMap`, `default`, or what else holds where nothing is set.
    """

    key: str
    value: str
    source: str


def provenance(config: AutoscalerConfig, annotations: Mapping[str, str]) -> list[Setting]:
    """Say what holds for a revision, and where it comes from.

    A key that the ConfigMap sets to its default counts as default. Annotations that do not parse count as
    absent, as they do to the autoscaler.

    Examples
    --------
    >>> found = provenance(AutoscalerConfig(), {"autoscaling.knative.dev/window": "60s"})
    >>> [setting for setting in found if setting.key in ("stable-window", "max-scale-up-rate")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [Setting(key='stable-window', value='1m', source='annotation autoscaling.knative.dev/window'),
     Setting(key='max-scale-up-rate', value='20', source='default')]
    """
    own = read_overrides(annotations)
    defaults = profile(config.defaults)
    by_name = {name.removeprefix(PREFIX): field for field, each in ANNOTATIONS.items() for name in each.names}
    found, named = [], set()
    for key, setting in SETTINGS.items():
        field = by_name.get(setting.annotation or "")
        if field is not None:
            named.add(field)
        if field is not None and field in own:
            found.append(Setting(key, _text(ANNOTATIONS[field], own[field]), _name(field, annotations)))
        else:
            value = config.value_of(key)
            source = "default" if value == defaults[key] else "ConfigMap"
            found.append(Setting(key, setting.kind.format(value), source))
    return found + [
        Setting(each.names[0].rpartition("/")[2], _text(each, own[field]), _name(field, annotations))
        if field in own
        else Setting(each.names[0].rpartition("/")[2], each.otherwise, "default")
        for field, each in ANNOTATIONS.items()
        if field not in named
    ]


def _text(annotation: Annotation, value: object) -> str:
    return annotation.kind.format(value)


def _name(field: str, annotations: Mapping[str, str]) -> str:
    name, _ = ANNOTATIONS[field].find(annotations) or (ANNOTATIONS[field].names[0], "")
    return f"annotation {name}"
