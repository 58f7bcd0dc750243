"""How load is measured and what a pod is asked to take: the first half of the ConfigMap's keys."""

from typing import Annotated, Literal

from pydantic import BaseModel

from config.settings import DURATION, NUMBER, Bounds, Setting, one_of


class LoadSettings(BaseModel):
    """Ticks, windows, panic, targets and bursts; durations in seconds, percentages as written."""

    tick_interval: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Time between two decisions.",
            knative=2.0,
            reason="Knative decides every 2 s, without a key for it.",
            bounds=Bounds(low=1.0, high=60.0),
            bounds_reason="Load is known once a second; a minute is the length of a usual stable window.",
        ),
    ] = 2.0
    missing_stats: Annotated[
        Literal["hold", "zero"],
        Setting(
            kind=one_of("hold", "zero"),
            meaning="What a second counts in which pods are ready and none of them reports: `hold` repeats "
            "the last value for at most one panic window, `zero` is no load.",
            knative="zero",
            reason="A slow network is not an idle service.",
        ),
    ] = "hold"

    stable_window: Annotated[
        float,
        Setting(
            kind=DURATION,
            meaning="Load is averaged over this time.",
            knative=60.0,
            reason="A pod that takes minutes to load a model must not be stopped and started with each "
            "short lull.",
            bounds=Bounds(low=6.0, high=3600.0, whole=True),
            bounds_reason="Over fewer than three decisions single reports would decide, over more than an "
            "hour old news. Load is kept in slots of a second.",
            annotation="window",
        ),
    ] = 180.0
    panic_window_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Length of the panic window, rounded to whole seconds and at least one.",
            unit="% of the stable window",
            knative=10.0,
            reason="23 s of a window of 180 s: long enough for several reports, short beside a model's "
            "start.",
            bounds=Bounds(low=1.0, high=100.0),
            bounds_reason="A panic window longer than the stable window could not react faster than it.",
            annotation="panic-window-percentage",
        ),
    ] = 13.0
    panic_threshold_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Panic begins when the pods that the panic window asks for reach this share of the "
            "ready ones; until it ends, no pod is removed.",
            unit="% of the ready pods",
            knative=200.0,
            reason="Twice the load is a burst; less is growth that the stable window follows.",
            bounds=Bounds(low=110.0, high=1000.0),
            bounds_reason="At 100 % ordinary load would always panic, and nothing would scale down; beyond "
            "tenfold panic never comes. The annotation has the same range.",
            annotation="panic-threshold-percentage",
        ),
    ] = 200.0
    container_concurrency_target_percentage: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Share of a pod's concurrency that is aimed at, the rest is reserve. A value of 1 or "
            "less is a fraction: 0.7 means 70 %, and 1 means 100 %.",
            unit="% of the pod's concurrency",
            knative=70.0,
            reason="An expensive pod should be well used; 15 % stay free for the time until the next one "
            "is ready.",
            bounds=Bounds(above=0.0, high=100.0),
            bounds_reason="No pod can be aimed at more than it takes, or at nothing.",
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
            reason="As Knative; a service that knows its limit says so.",
            bounds=Bounds(above=0.0),
            bounds_reason="Times the target percentage it must give at least 0.01.",
            annotation="target",
        ),
    ] = 100.0
    requests_per_second_target_default: Annotated[
        float,
        Setting(
            kind=NUMBER,
            meaning="Requests a second that a pod takes when the metric is rps; 70 % of them are aimed at.",
            unit="requests a second per pod",
            knative=200.0,
            reason="As Knative.",
            bounds=Bounds(low=0.01),
            bounds_reason="The smallest target there is.",
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
            reason="As Knative.",
            bounds=Bounds(low=0.0, also=-1.0),
            bounds_reason="-1 stands for a burst without limit; other negative numbers mean nothing.",
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
            reason="As Knative.",
            bounds=Bounds(low=1.0),
            bounds_reason="An activator that holds none is none.",
        ),
    ] = 100.0
