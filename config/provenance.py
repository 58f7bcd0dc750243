"""Source of each setting of a revision: its annotation, the ConfigMap, or the default of a profile."""

from collections.abc import Mapping
from typing import NamedTuple

from config.annotations import ANNOTATIONS, PREFIX, read_overrides
from config.autoscaler import SETTINGS, AutoscalerConfig, profile


class SettingSource(NamedTuple):
    """One setting in force.

    Attributes
    ----------
    key : str
        As an operator writes it: a ConfigMap key, or an annotation without its prefix.
    value : str
        As an operator writes it.
    source : str
        `annotation NAME`, `ConfigMap` or `default`.
    """

    key: str
    value: str
    source: str


def provenance(config: AutoscalerConfig, annotations: Mapping[str, str]) -> list[SettingSource]:
    """Return the settings in force for a revision, with their sources.

    A key that the ConfigMap sets to its default counts as default. An annotation that does not parse counts
    as absent, as in the autoscaler.

    Examples
    --------
    >>> found = provenance(AutoscalerConfig(), {"autoscaling.knative.dev/window": "60s"})
    >>> [setting for setting in found if setting.key in ("stable-window", "max-scale-up-rate")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [SettingSource(key='stable-window', value='1m', source='annotation autoscaling.knative.dev/window'),
     SettingSource(key='max-scale-up-rate', value='20', source='default')]
    """
    own = read_overrides(annotations)
    defaults = profile(config.defaults)
    found = []
    for key, setting in SETTINGS.items():
        field = override_of(key)
        if field in own:
            found.append(_overridden(key, field, own[field], annotations))
        else:
            value = config.value_of(key)
            source = "default" if value == defaults[key] else "ConfigMap"
            found.append(SettingSource(key, setting.kind.format(value), source))
    of_keys = {override_of(key) for key in SETTINGS}
    for field, annotation in ANNOTATIONS.items():
        if field not in of_keys:
            key = annotation.names[0].rpartition("/")[2]
            found.append(
                _overridden(key, field, own[field], annotations)
                if field in own
                else SettingSource(key, annotation.otherwise, "default")
            )
    return found


def override_of(key: str) -> str | None:
    """Return the name in `ANNOTATIONS` of the override of a ConfigMap key; None if there is none.

    Examples
    --------
    >>> override_of("stable-window"), override_of("max-scale-up-rate")
    ('stable_window', None)
    """
    name = SETTINGS[key].annotation
    return _FIELDS[PREFIX + name] if name else None


_FIELDS = {name: field for field, each in ANNOTATIONS.items() for name in each.names}


def _overridden(key: str, field: str, value: object, annotations: Mapping[str, str]) -> SettingSource:
    annotation = ANNOTATIONS[field]
    name, _ = annotation.find(annotations) or (annotation.names[0], "")
    return SettingSource(key, annotation.kind.format(value), f"annotation {name}")
