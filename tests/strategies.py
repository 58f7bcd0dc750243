"""What tests draw: settings of one revision, and loads."""

from dataclasses import replace

from hypothesis import strategies as st

from config.autoscaler import AutoscalerConfig
from config.resolve import RevisionSettings, resolve

PLAIN = resolve(AutoscalerConfig.from_config_map({"defaults": "knative"}), {}, container_concurrency=10)
"""Knative's defaults and ten requests a pod: 60 s, 6 s, target 7."""

windows = st.sampled_from([6, 7, 10, 30, 60, 64, 65, 180, 300])
"""Seconds; some lie on both sides of a ring's length."""

loads = st.one_of(
    st.just(0.0),
    st.floats(0, 200).map(lambda load: round(load, 3)),
    st.sampled_from([1.0, 8.5, 10.0, 1e4]),
)


@st.composite
def settings(draw: st.DrawFn) -> RevisionSettings:
    stable = draw(windows)
    return replace(
        PLAIN,
        metric=draw(st.sampled_from(["concurrency", "rps"])),
        aggregation=draw(st.sampled_from(["linear", "linear", "weighted-exponential"])),
        stable_window=float(stable),
        panic_window=float(draw(st.integers(1, stable))),
        target_value=draw(st.sampled_from([0.7, 1.0, 7.0, 8.5, 70.0])),
        total_value=draw(st.sampled_from([1.0, 10.0, 100.0])),
        panic_threshold=draw(st.sampled_from([1.1, 2.0, 10.0])),
        max_scale_up_rate=draw(st.sampled_from([1.01, 1.5, 2.0, 20.0, 1000.0])),
        max_scale_down_rate=draw(st.sampled_from([1.01, 1.1, 2.0, 10.0])),
        scale_rate_period=draw(st.sampled_from([0.0, 1.0, 15.0, 40.0])),
        scale_down_delay=draw(st.sampled_from([0.0, 1.0, 2.0, 9.0, 60.0, 300.0])),
        target_burst_capacity=draw(st.sampled_from([-1.0, 0.0, 10.0, 211.0])),
        activation_scale=draw(st.sampled_from([0, 2, 5])),
        reachable=draw(st.sampled_from([True, True, False])),
    )
