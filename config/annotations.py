"""Annotations of a revision: settings that take the place of the cluster's.

Two readers with two manners: `read_overrides` is the autoscaler's, and works with whatever is there;
`validate` is the gatekeeper's, and names everything that Knative's webhook would refuse.

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
        With prefix; the first one that is there counts, even if its text is bad.
    kind : Kind
    bounds : ValueRange
        What the gatekeeper lets pass.
    usable : ValueRange
        What the autoscaler works with; anything else counts as if the annotation were not there.
    otherwise : str
        What holds without it: a ConfigMap key or a value.
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
        """Name and text that count, if there are any."""
        return next(((name, annotations[name]) for name in self.names if name in annotations), None)

    def read(self, annotations: Mapping[str, str], within: ValueRange) -> Any:
        """Value that counts; None if there is none, if it does not parse, or if it is out of the bounds."""
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
    """Kind of a text that the autoscaler compares with the words it knows; no other one is an error to it."""
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
    """Values that take the place of the cluster's, by the names of `ANNOTATIONS`; absent where there is none.

    A text that does not parse counts as absent. A value out of its range is used as it is, as the peer does,
    with three exceptions, none of which a gatekeeper lets pass; they count as absent:

    - infinity and NaN, which would poison every sum they enter;
    - negative counts, targets, percentages and durations (a burst capacity of -1 aside), which would ask for
      fewer pods than none;
    - a window of no length, over which nothing can be averaged.

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
        All of the revision's; those of others do not count.
    config : AutoscalerConfig
        Says which class, which largest `max-scale` and whether an initial scale of 0 the cluster has.

    Notes
    -----
    Beyond the peer, infinity and NaN are refused, and an initial scale must fit 32 bits: the autoscaler could
    not read it. Annotations that are not known pass; see `unknown_annotations`.

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
