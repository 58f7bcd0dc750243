"""Annotations of a revision: settings that override those of the cluster.

`read_overrides` is for the autoscaler and uses every value that it can. `validate` is for checks before a
revision exists and names everything that Knative's webhook rejects.

Source: `knative/serving pkg/apis/autoscaling/register.go` (names), `annotation_validation.go` (rules) and
`v1alpha1/pa_lifecycle.go` (reading).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from config.annotation_rules import ALLOWED_ALGORITHM, ALLOWED_CLASS, ALLOWED_METRIC, broken_rules
from config.autoscaler import SETTINGS, AutoscalerConfig
from config.problems import Problem, UnknownKey, nearest
from config.settings import DURATION, INTEGER, NUMBER, Kind, ValueRange, allowed

PREFIX = "autoscaling.knative.dev/"

_NOT_NEGATIVE = ValueRange(low=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotation.

    Attributes
    ----------
    names : tuple of str
        With prefix; the first one that is set counts, even if its text is bad.
    kind : Kind
    bounds : ValueRange
        Values that Knative's webhook accepts.
    usable : ValueRange
        Values that the autoscaler uses; for any other value the annotation counts as absent.
    otherwise : str
        The setting in force without it: a ConfigMap key or a value.
    """

    names: tuple[str, ...]
    kind: Kind
    otherwise: str
    bounds: ValueRange = field(default_factory=ValueRange)
    usable: ValueRange = _NOT_NEGATIVE

    @property
    def allowed(self) -> str:
        """What a text may be, to be read after "must be"."""
        return allowed(self.kind, self.bounds)

    def find(self, annotations: Mapping[str, str]) -> tuple[str, str] | None:
        """Name and text of the annotation that counts, if there is one."""
        return next(((name, annotations[name]) for name in self.names if name in annotations), None)

    def read(self, annotations: Mapping[str, str], within: ValueRange) -> Any:
        """Value of the annotation; None if it is absent, does not parse, or is out of bounds."""
        _, text = self.find(annotations) or ("", None)
        if text is None:
            return None
        try:
            value = self.kind.parse(text)
        except ValueError:
            return None
        return value if isinstance(value, str) or within.hold(value) else None


def _named(name: str, alternate: str = "") -> tuple[str, ...]:
    return tuple(PREFIX + each for each in (name, alternate) if each)


def _words(noun: str) -> Kind:
    """Kind of a text that the autoscaler compares with the words that it knows; it accepts any other."""
    return Kind(noun, str, str)


def _of(
    key: str, alternate: str = "", bounds: ValueRange | None = None, usable: ValueRange = _NOT_NEGATIVE
) -> Annotation:
    """Annotation that takes the place of a ConfigMap key; its kind and its bounds are those of the key."""
    setting = SETTINGS[key]
    return Annotation(
        names=_named(setting.annotation, alternate),
        kind=setting.kind,
        otherwise=key,
        bounds=bounds or setting.bounds,
        usable=usable,
    )


_HOUR = 3600.0
"""Seconds; the longest delay and retention period of an annotation. The ConfigMap has no such limit."""

ANNOTATIONS: Mapping[str, Annotation] = {
    "pod_autoscaler_class": Annotation(
        names=_named("class"), kind=_words(ALLOWED_CLASS), otherwise="pod-autoscaler-class"
    ),
    "metric": Annotation(names=_named("metric"), kind=_words(ALLOWED_METRIC), otherwise="concurrency"),
    "metric_aggregation_algorithm": Annotation(
        names=_named("metric-aggregation-algorithm", "metricAggregationAlgorithm"),
        kind=_words(ALLOWED_ALGORITHM),
        otherwise="linear",
    ),
    "target": Annotation(
        names=_named("target"),
        kind=NUMBER,
        bounds=SETTINGS["requests-per-second-target-default"].bounds,
        otherwise="the container concurrency, container-concurrency-target-default, or for rps "
        "requests-per-second-target-default",
    ),
    "target_utilization_percentage": Annotation(
        names=_named("target-utilization-percentage", "targetUtilizationPercentage"),
        kind=NUMBER,
        bounds=ValueRange(low=1.0, high=100.0),  # the ConfigMap takes a fraction too
        otherwise="container-concurrency-target-percentage, or 70 for rps",
    ),
    "target_burst_capacity": _of(
        "target-burst-capacity", "targetBurstCapacity", usable=SETTINGS["target-burst-capacity"].bounds
    ),
    "stable_window": _of("stable-window", usable=ValueRange(above=0.0)),
    "panic_window_percentage": _of("panic-window-percentage", "panicWindowPercentage"),
    "panic_threshold_percentage": _of("panic-threshold-percentage", "panicThresholdPercentage"),
    "min_scale": _of("min-scale", "minScale"),
    "max_scale": _of("max-scale", "maxScale"),
    "initial_scale": _of("initial-scale", "initialScale"),
    "activation_scale": Annotation(
        names=_named("activation-scale"), kind=INTEGER, bounds=ValueRange(low=2), otherwise="off"
    ),
    "scale_down_delay": _of(
        "scale-down-delay", "scaleDownDelay", replace(SETTINGS["scale-down-delay"].bounds, high=_HOUR)
    ),
    "scale_to_zero_pod_retention_period": _of(
        "scale-to-zero-pod-retention-period",
        "scaleToZeroPodRetentionPeriod",
        replace(SETTINGS["scale-to-zero-pod-retention-period"].bounds, high=_HOUR),
    ),
    "progress_deadline": Annotation(
        names=("serving.knative.dev/progress-deadline",),
        kind=DURATION,
        bounds=ValueRange(low=0.0, whole=True),
        otherwise="10m",
    ),
}
"""Every annotation that the autoscaler reads, by the name of its value."""

_SHORT_NAMES = [
    name.removeprefix(PREFIX)
    for annotation in ANNOTATIONS.values()
    for name in annotation.names
    if name.startswith(PREFIX)
]


def read_overrides(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Values that override those of the cluster, by the names of `ANNOTATIONS`; only those that are set.

    A text that does not parse counts as absent. A value out of its range is used as it is, as in Knative.
    Three kinds of values, which Knative's webhook rejects, count as absent:

    - infinity and NaN, which make every sum useless;
    - negative counts, targets, percentages and durations (except a burst capacity of -1), which would ask for
      a negative number of pods;
    - a window of length 0, which has no average.

    Examples
    --------
    >>> read_overrides({"autoscaling.knative.dev/minScale": "2", "autoscaling.knative.dev/window": "soon"})
    {'min_scale': 2}
    """
    values = {name: each.read(annotations, each.usable) for name, each in ANNOTATIONS.items()}
    return {name: value for name, value in values.items() if value is not None}


def validate(annotations: Mapping[str, str], config: AutoscalerConfig) -> list[Problem]:
    """Problems of a revision's annotations, in the order in which they are documented.

    Parameters
    ----------
    annotations : Mapping[str, str]
        All annotations of the revision; those of other programs are ignored.
    config : AutoscalerConfig
        The cluster's class, `max-scale-limit` and `allow-zero-initial-scale`.

    Notes
    -----
    Unlike Knative, kpa rejects infinity and NaN, and an initial scale of more than 32 bits, which the
    autoscaler cannot read. It accepts unknown annotations; see `unknown_annotations`.

    Examples
    --------
    >>> print(*validate({"autoscaling.knative.dev/target": "0"}, AutoscalerConfig()))
    autoscaling.knative.dev/target = '0': must be a number, at least 0.01
    """
    texts: dict[str, tuple[str, str]] = {}
    values: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for name, annotation in ANNOTATIONS.items():
        found = annotation.find(annotations)
        if found is None:
            continue
        texts[name] = found
        value = annotation.read(annotations, annotation.bounds)
        if value is None:
            bad[name] = annotation.allowed
        else:
            values[name] = value
    bad.update(broken_rules(values, config))
    return [Problem(*texts[name], bad[name]) for name in ANNOTATIONS if name in bad]


def unknown_annotations(annotations: Mapping[str, str]) -> list[UnknownKey]:
    """Autoscaling annotations that nothing reads.

    Examples
    --------
    >>> [unknown.nearest for unknown in unknown_annotations({"autoscaling.knative.dev/minscalle": "1"})]
    ['autoscaling.knative.dev/min-scale']
    """
    unknown = [
        name
        for name in annotations
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in _SHORT_NAMES
    ]
    return [UnknownKey(name, annotations[name], _nearest(name)) for name in unknown]


def _nearest(name: str) -> str | None:
    short = nearest(name.removeprefix(PREFIX), _SHORT_NAMES)
    return PREFIX + short if short else None
