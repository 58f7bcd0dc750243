"""How fast and how far the number of pods moves: the second half of the ConfigMap's keys."""

from typing import Annotated

from pydantic import BaseModel

from config.settings import BOOL, DURATION, INTEGER, NUMBER, Bounds, Setting


class ScaleSettings(BaseModel):
    """Rates, delay, the way to zero, and bounds; durations in seconds."""

    max_scale_up_rate: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Most pods that one decision may ask for, as a multiple of the ready ones.",
            unit="ratio",
            knative=1000.0,
            reason="From one pod to twenty at once is a burst; a thousand accelerators are a mistake.",
            bounds=Bounds(above=1.0),
            bounds_reason="At 1 nothing could grow.",
        ),
    ] = 20.0
    max_scale_down_rate: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Most by which one decision may divide the ready pods.",
            unit="ratio",
            knative=2.0,
            reason="A tenth at a time: a pod stopped too early costs minutes to bring back.",
            bounds=Bounds(above=1.0),
            bounds_reason="At 1 nothing could shrink.",
        ),
    ] = 1.1
    scale_rate_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time whose decisions share the two rates: they go up from the fewest and down from "
            "the most pods that were ready in it. 0s limits each decision alone.",
            knative=0.0,
            reason="With decisions every 2 s a rate per decision compounds faster than pods can start or "
            "drain.",
            bounds=Bounds(low=0.0, high=600.0, whole=True),
            bounds_reason="Beyond ten minutes a fleet could not follow its day. Pods are remembered by the "
            "second.",
        ),
    ] = 15.0
    scale_down_delay: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Fewer pods are asked for only once that has been the answer for this long.",
            knative=0.0,
            reason="Rides through a minute's lull without giving up a loaded model.",
            bounds=Bounds(low=0.0, whole=True),
            bounds_reason="Decisions are remembered for a day at most.",
            annotation="scale-down-delay",
        ),
    ] = 60.0
    enable_scale_to_zero: Annotated[
        bool,
        Setting(
            kind=BOOL,
            meaning="Whether a revision without load may lose its last pod.",
            knative=True,
            reason="As Knative: an idle accelerator is the largest cost of all.",
        ),
    ] = True
    scale_to_zero_grace_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Most time that routing gets to turn to the activator before the last pod stops.",
            knative=30.0,
            reason="Requests to large models are long; a minute costs little beside the retention period.",
            bounds=Bounds(above=0.0),
            bounds_reason="Without any, requests on their way to the pod would be lost.",
        ),
    ] = 60.0
    scale_to_zero_pod_retention_period: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Least time for which the last pod stays after the load has ended.",
            knative=0.0,
            reason="Bringing a model back takes minutes; half an hour covers the pauses of a working day.",
            bounds=Bounds(low=0.0),
            bounds_reason="The past cannot be waited for.",
            annotation="scale-to-zero-pod-retention-period",
        ),
    ] = 1800.0
    allow_zero_initial_scale: Annotated[
        bool,
        Setting(
            kind=BOOL,
            meaning="Whether a revision may begin without pods.",
            knative=False,
            reason="As Knative: a revision proves first that it can start.",
        ),
    ] = False
    initial_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Pods with which a revision begins.",
            unit="pods",
            knative=1,
            reason="As Knative.",
            bounds=Bounds(low=0),
            bounds_reason="0 only where allow-zero-initial-scale is true.",
            annotation="initial-scale",
        ),
    ] = 1
    min_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Fewest pods of a revision that some route points at.",
            unit="pods",
            knative=0,
            reason="As Knative.",
            bounds=Bounds(low=0),
            bounds_reason="At most max-scale, if there is one.",
            annotation="min-scale",
        ),
    ] = 0
    max_scale: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Most pods of a revision; 0 sets no limit.",
            unit="pods",
            knative=0,
            reason="As Knative.",
            bounds=Bounds(low=0),
            bounds_reason="From 1 to max-scale-limit, if there is one.",
            annotation="max-scale",
        ),
    ] = 0
    max_scale_limit: Annotated[
        int,
        Setting(
            kind=INTEGER,
            meaning="Largest max-scale that a service may ask for; 0 sets no limit.",
            unit="pods",
            knative=0,
            reason="As Knative.",
            bounds=Bounds(low=0),
            bounds_reason="There are no negative pods.",
        ),
    ] = 0
