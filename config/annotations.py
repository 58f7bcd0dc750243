"""Annotations of a revision: settings that take the place of the cluster's.

Two readers with two manners. `read_overrides` is the autoscaler's: it works with whatever is there. `validate` is
the gatekeeper's: it names everything that does not belong.

Source: `knative/serving pkg/apis/autoscaling/register.go` (names), `annotation_validation.go` (rules),
`v1alpha1/pa_lifecycle.go` (reading).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.problems import UnknownKey, nearest
from config.settings import DURATION, INTEGER, NUMBER, TEXT, Bounds, Kind

PREFIX = "autoscaling.knative.dev/"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation.

    Attributes
    ----------
    names : tuple of str
        With prefix; the first name that is there counts, even if its text is bad.
    kind : Kind
    bounds : Bounds
        What the gatekeeper lets pass.
    usable : Bounds
        What the autoscaler works with; anything else counts as if the annotation were not there.
    """

    names: tuple[str, ...]
    kind: Kind
    bounds: Bounds = Bounds()
    usable: Bounds = Bounds(low=0.0)

    @property
    def allowed(self) -> str:
        """What a text may be, to be read after "must be"."""
        return ", ".join(filter(None, [self.kind.noun, self.bounds.describe(self.kind)]))

    def find(self, annotations: Mapping[str, str]) -> tuple[str, str] | None:
        """Name and text that count, if there are any."""
        return next(((name, annotations[name]) for name in self.names if name in annotations), None)

    def read(self, annotations: Mapping[str, str]) -> Any:
        """Value that the autoscaler works with; None if there is none."""
        found = self.find(annotations)
        if found is None:
            return None
        try:
            value = self.kind.parse(found[1])
        except ValueError:
            return None
        return value if isinstance(value, str) or self.usable.hold(value) else None


def _named(name: str, *alternates: str) -> tuple[str, ...]:
    return tuple(PREFIX + each for each in (name, *alternates))


_HOUR = 3600.0
_COUNT = Bounds(low=0)

ANNOTATIONS: Mapping[str, Annotation] = {
    "pod_autoscaler_class": Annotation(_named("class"), TEXT),
    "metric": Annotation(_named("metric"), TEXT),
    "metric_aggregation_algorithm": Annotation(
        _named("metric-aggregation-algorithm", "metricAggregationAlgorithm"), TEXT
    ),
    "min_scale": Annotation(_named("min-scale", "minScale"), INTEGER, _COUNT),
    "max_scale": Annotation(_named("max-scale", "maxScale"), INTEGER, _COUNT),
    "initial_scale": Annotation(_named("initial-scale", "initialScale"), INTEGER, _COUNT),
    "activation_scale": Annotation(_named("activation-scale"), INTEGER, Bounds(low=2)),
    "target": Annotation(_named("target"), NUMBER, Bounds(low=0.01)),
    "target_utilization_percentage": Annotation(
        _named("target-utilization-percentage", "targetUtilizationPercentage"),
        NUMBER,
        Bounds(low=1.0, high=100.0),
    ),
    "target_burst_capacity": Annotation(
        _named("target-burst-capacity", "targetBurstCapacity"),
        NUMBER,
        Bounds(low=0.0, also=-1.0),
        usable=Bounds(low=0.0, also=-1.0),
    ),
    "stable_window": Annotation(
        _named("window"), DURATION, Bounds(low=6.0, high=_HOUR, whole=True), usable=Bounds(above=0.0)
    ),
    "panic_window_percentage": Annotation(
        _named("panic-window-percentage", "panicWindowPercentage"), NUMBER, Bounds(low=1.0, high=100.0)
    ),
    "panic_threshold_percentage": Annotation(
        _named("panic-threshold-percentage", "panicThresholdPercentage"),
        NUMBER,
        Bounds(low=110.0, high=1000.0),
    ),
    "scale_down_delay": Annotation(
        _named("scale-down-delay", "scaleDownDelay"), DURATION, Bounds(low=0.0, high=_HOUR, whole=True)
    ),
    "scale_to_zero_pod_retention_period": Annotation(
        _named("scale-to-zero-pod-retention-period", "scaleToZeroPodRetentionPeriod"),
        DURATION,
        Bounds(low=0.0, high=_HOUR),
    ),
    "progress_deadline": Annotation(
        ("serving.knative.dev/progress-deadline",), DURATION, Bounds(low=0.0, whole=True)
    ),
}
"""Every annotation that the autoscaler reads, by the name of its value."""

KNOWN = tuple(name for annotation in ANNOTATIONS.values() for name in annotation.names)
"""All names, alternates included."""


def read_overrides(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Values that take the place of the cluster's, by the names of `ANNOTATIONS`; absent where there is none.

    A text that does not parse counts as absent. A value out of its range is used as it is, as the peer does, with
    three exceptions, each of which no gatekeeper lets pass: infinity and NaN, which would poison every sum they
    enter; negative counts, targets, percentages and durations (a burst capacity of -1 aside), which would ask for
    fewer pods than none; and a window of no length, over which nothing can be averaged.

    Examples
    --------
    >>> read_overrides({"autoscaling.knative.dev/minScale": "2", "autoscaling.knative.dev/window": "soon"})
    {'min_scale': 2}
    """
    values = {name: annotation.read(annotations) for name, annotation in ANNOTATIONS.items()}
    return {name: value for name, value in values.items() if value is not None}


def unknown_annotations(annotations: Mapping[str, str]) -> list[UnknownKey]:
    """Autoscaling annotations that nothing reads."""
    unknown = [name for name in annotations if name.startswith(PREFIX) and name not in KNOWN]
    return [UnknownKey(name, annotations[name], nearest(name, KNOWN)) for name in unknown]
