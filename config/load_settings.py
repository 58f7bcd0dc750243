"""How load is measured and what a pod is asked to take: the first half of the ConfigMap's keys."""

from typing import Annotated, Literal

from pydantic import BaseModel

from config.rules import SMALLEST_TARGET
from config.settings import DURATION, NUMBER, Setting, ValueRange, one_of


class LoadSettings(BaseModel):
    """Ticks, windows, panic, targets and bursts; durations in seconds, percentages as written."""

    tick_interval: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time between two decisions.",
            knative=2.0,
            reason="Knative decides every 2 s and has no key for it.",
            bounds=ValueRange(low=1.0, high=60.0),
            bounds_reason="Load is known once a second; one minute is the length of a typical stable window.",
        ),
    ] = 2.0
    missing_stats: Annotated[
        Literal["hold", "zero"],
        Setting(
            kind=one_of("hold", "zero"),
            meaning="How to count a second in which pods are ready and none of them reports: `hold` repeats "
            "the last value for at most one panic window, `zero` counts no load.",
            knative="zero",
            reason="A slow network is not an idle service.",
        ),
    ] = "hold"

    stable_window: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time over which load is averaged.",
            knative=60.0,
            reason="A pod that takes minutes to load a model must not stop and start at each short lull.",
            bounds=ValueRange(low=6.0, high=3600.0, whole=True),
            bounds_reason="Below three decisions, single reports would decide; above one hour, old load "
            "would. Load is kept in slots of one second.",
            annotation="window",
        ),
    ] = 180.0
    panic_window_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Length of the panic window, rounded to whole seconds, at least one second.",
            unit="% of the stable window",
            knative=10.0,
            reason="23 s of a window of 180 s: long enough for several reports, short compared with the "
            "start of a model.",
            bounds=ValueRange(low=1.0, high=100.0),
            bounds_reason="A panic window longer than the stable window cannot react faster than it.",
            annotation="panic-window-percentage",
        ),
    ] = 13.0
    panic_threshold_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Panic starts when the pods that the panic window asks for reach this share of the "
            "ready pods. Until panic ends, no pod is removed.",
            unit="% of the ready pods",
            knative=200.0,
            reason="Twice the load is a burst; less is growth that the stable window follows.",
            bounds=ValueRange(low=110.0, high=1000.0),
            bounds_reason="At 100 % ordinary load would always panic and nothing would scale down; above "
            "1000 % panic would never start. The annotation has the same range.",
            annotation="panic-threshold-percentage",
        ),
    ] = 200.0
    container_concurrency_target_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Share of a pod's concurrency to aim at; the rest is reserve. A value of 1 or less is a "
            "fraction: 0.7 means 70 %, and 1 means 100 %.",
            unit="% of the pod's concurrency",
            knative=70.0,
            reason="An expensive pod should be well used; 15 % stay free until the next pod is ready.",
            bounds=ValueRange(above=0.0, high=100.0),
            bounds_reason="The target of a pod is more than 0 and at most its concurrency.",
            annotation="target-utilization-percentage",
        ),
    ] = 85.0
    container_concurrency_target_default: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Requests in flight that a pod takes when its concurrency is not limited.",
            unit="requests in flight per pod",
            knative=100.0,
            reason="As in Knative; a service that knows its limit sets it.",
            bounds=ValueRange(above=0.0),
            bounds_reason="Multiplied by the target percentage, it must be at least 0.01.",
            annotation="target",
        ),
    ] = 100.0
    requests_per_second_target_default: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Requests per second that a pod takes when the metric is rps; the target is 70 % of "
            "them.",
            unit="requests per second per pod",
            knative=200.0,
            reason="As in Knative.",
            bounds=ValueRange(low=SMALLEST_TARGET),
            bounds_reason="The smallest possible target.",
            annotation="target",
        ),
    ] = 200.0
    target_burst_capacity: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Burst that must fit into the ready pods before requests bypass the activator; 0 "
            "bypasses it whenever pods are ready, -1 never does.",
            unit="requests in flight",
            knative=211.0,
            reason="As in Knative.",
            bounds=ValueRange(low=0.0, also=-1.0),
            bounds_reason="-1 means a burst without limit; other negative numbers have no meaning.",
            annotation="target-burst-capacity",
        ),
    ] = 211.0
    activator_capacity: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Requests that one activator can hold; it decides how many activators serve a revision.",
            unit="requests in flight per activator",
            knative=100.0,
            reason="As in Knative.",
            bounds=ValueRange(low=1.0),
            bounds_reason="An activator holds at least one request.",
        ),
    ] = 100.0
