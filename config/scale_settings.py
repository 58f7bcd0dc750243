"""How fast and how far the number of pods moves: the second half of the ConfigMap's keys."""

from typing import Annotated

from pydantic import BaseModel

from config.settings import BOOL, DURATION, INTEGER, NUMBER, Setting, ValueRange


class ScaleSettings(BaseModel):
    """Rates, delay, the way to zero, and bounds; durations in seconds."""

    max_scale_up_rate: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Largest number of pods that one decision may ask for, as a multiple of the ready pods.",
            unit="ratio",
            knative=1000.0,
            reason="One pod to twenty at once is a burst; one pod to a thousand accelerators is a mistake.",
            bounds=ValueRange(above=1.0),
            bounds_reason="At 1 the scale could never grow.",
        ),
    ] = 20.0
    max_scale_down_rate: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Largest factor by which one decision may divide the ready pods.",
            unit="ratio",
            knative=2.0,
            reason="One tenth at a time: a pod that stops too early takes minutes to come back.",
            bounds=ValueRange(above=1.0),
            bounds_reason="At 1 the scale could never shrink.",
        ),
    ] = 1.1
    scale_rate_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time whose decisions share the two rates: the scale grows from the fewest and shrinks "
            "from the most pods that were ready within it. 0s limits each decision alone.",
            knative=0.0,
            reason="With a decision every 2 s, a rate per decision compounds faster than pods can start or "
            "drain.",
            bounds=ValueRange(low=0.0, high=600.0, whole=True),
            bounds_reason="Above ten minutes a fleet could not follow its daily load. Ready pods are "
            "recorded once a second.",
        ),
    ] = 15.0
    scale_down_delay: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time for which all decisions must ask for fewer pods before pods are removed.",
            knative=0.0,
            reason="Bridges one minute of low load without giving up a loaded model.",
            bounds=ValueRange(low=0.0, whole=True),
            bounds_reason="Decisions are kept for one day at most.",
            annotation="scale-down-delay",
        ),
    ] = 60.0
    enable_scale_to_zero: Annotated[
        bool,
        Setting(
            kind=BOOL,
            meaning="Whether a revision without load may scale to zero.",
            knative=True,
            reason="As in Knative: an idle accelerator is the largest cost.",
        ),
    ] = True
    scale_to_zero_grace_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Longest time that routing gets to switch to the activator before the last pod stops.",
            knative=30.0,
            reason="Requests to large models take long; one minute costs little compared with the retention "
            "period.",
            bounds=ValueRange(above=0.0),
            bounds_reason="Without it, requests on their way to the pod would be lost.",
        ),
    ] = 60.0
    scale_to_zero_pod_retention_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Shortest time for which the last pod stays after the load has ended.",
            knative=0.0,
            reason="A model takes minutes to come back; half an hour covers the pauses of a working day.",
            bounds=ValueRange(low=0.0),
            bounds_reason="A negative time has no meaning.",
            annotation="scale-to-zero-pod-retention-period",
        ),
    ] = 1800.0
    allow_zero_initial_scale: Annotated[
        bool,
        Setting(
            kind=BOOL,
            meaning="Whether a revision may start without pods.",
            knative=False,
            reason="As in Knative: a revision first proves that it can start.",
        ),
    ] = False
    initial_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Number of pods with which a revision starts.",
            unit="pods",
            knative=1,
            reason="As in Knative.",
            bounds=ValueRange(low=0),
            bounds_reason="0 only if allow-zero-initial-scale is true.",
            annotation="initial-scale",
        ),
    ] = 1
    min_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Smallest number of pods of a revision that a route points at.",
            unit="pods",
            knative=0,
            reason="As in Knative.",
            bounds=ValueRange(low=0),
            bounds_reason="At most max-scale, if max-scale is not 0.",
            annotation="min-scale",
        ),
    ] = 0
    max_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Largest number of pods of a revision; 0 means no limit.",
            unit="pods",
            knative=0,
            reason="As in Knative.",
            bounds=ValueRange(low=0),
            bounds_reason="From 1 to max-scale-limit, if max-scale-limit is not 0.",
            annotation="max-scale",
        ),
    ] = 0
    max_scale_limit: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Largest max-scale that a service may set; 0 means no limit.",
            unit="pods",
            knative=0,
            reason="As in Knative.",
            bounds=ValueRange(low=0),
            bounds_reason="The number of pods cannot be negative.",
        ),
    ] = 0
