"""Options that `kpa simulate` and `kpa tune` share."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from kpa.simulate.options import SimulationOptions

_Config = Annotated[
    str | None, typer.Option(metavar="FILE", help="YAML with the ConfigMap config-autoscaler; - reads stdin.")
]
_Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the ConfigMap; repeatable."),
]
_Annotations = Annotated[
    list[str] | None,
    typer.Option(
        "--annotation",
        metavar="NAME=VALUE",
        help="Annotation of the service, such as max-scale=8; repeatable.",
    ),
]
_ContainerConcurrency = Annotated[
    int,
    typer.Option(
        min=0, max=1_000_000, metavar="N", help="Requests that a pod works on at once; 0 means no limit."
    ),
]
_ServiceTime = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Work of a request: 2s, 'exponential 2s', or 'lognormal 2s 0.5' (standard deviation half of the "
        "mean). Default: from LOAD, else 1s.",
    ),
]
_PrefillRate = Annotated[
    float, typer.Option(min=1, max=1e9, metavar="N", help="Context tokens that a pod reads per second.")
]
_DecodeRate = Annotated[
    float, typer.Option(min=1, max=1e9, metavar="N", help="Tokens that a pod writes per second.")
]
_StartUpTime = Annotated[
    str,
    typer.Option(metavar="TIME", help="Time until a new pod could answer; formats as for --service-time."),
]
_ReadyLag = Annotated[
    str, typer.Option(metavar="TIME", help="Time from then until endpoints and autoscaler know of the pod.")
]
_DrainTime = Annotated[
    str, typer.Option(metavar="TIME", help="Shortest time that a stopped pod continues; 30s in Knative.")
]
_Timeout = Annotated[str, typer.Option(metavar="TIME", help="Longest time of a request (timeoutSeconds).")]
_Replicas = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=10_000,
        metavar="N",
        help="Ready replicas at the start. Default: a new service.",
    ),
]
_Unit = Annotated[
    Literal["rps", "concurrency"],
    typer.Option(help="Unit of phases and Prometheus: arrivals per second, or requests in flight."),
]
_Even = Annotated[
    bool, typer.Option("--even", help="Spread arrivals of phases and Prometheus evenly, not at random.")
]
_Query = Annotated[
    str | None, typer.Option(metavar="PROMQL", help="Query for a Prometheus; it must give one series.")
]
_Start = Annotated[
    str | None, typer.Option(metavar="DATE", help="Start of the query: 2026-08-21T10:00:00Z or Unix seconds.")
]
_End = Annotated[str | None, typer.Option(metavar="DATE", help="End of the query.")]
_Step = Annotated[str, typer.Option(metavar="TIME", help="Time between two values of the query.")]
_Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all random numbers.")]

LOAD_HELP = (
    "CSV of requests (timestamp; service_time, or ContextTokens and GeneratedTokens), saved JSON of a "
    "Prometheus range query, URL of a Prometheus, or phases such as 'ramp 0..50 5m, hold 10m, burst 400 10s'."
)


def takes_simulation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `options` of a command by the shared options on the command line.

    The command gets all of them as one `kpa.simulate.options.Options`.
    """
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        parameters |= _SHARED if name == "options" else {name: parameter}

    def run(**given: Any) -> None:
        command(options=_options(**{name: given.pop(name) for name in _SHARED}), **given)

    run.__doc__ = command.__doc__
    run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]  # typer reads it
    return run


def _options(
    config: _Config = None,
    assignments: _Assignments = None,
    annotations: _Annotations = None,
    container_concurrency: _ContainerConcurrency = 0,
    service_time: _ServiceTime = None,
    prefill_rate: _PrefillRate = 8000,
    decode_rate: _DecodeRate = 75,
    start_up_time: _StartUpTime = "10s",
    ready_lag: _ReadyLag = "1s",
    drain_time: _DrainTime = "30s",
    timeout: _Timeout = "300s",
    replicas: _Replicas = None,
    unit: _Unit = "rps",
    even: _Even = False,
    query: _Query = None,
    start: _Start = None,
    end: _End = None,
    step: _Step = "15s",
    seed: _Seed = 1,
) -> "SimulationOptions":
    given: dict[str, Any] = locals()
    from kpa.simulate.options import SimulationOptions

    return SimulationOptions(**given | {"assignments": assignments or (), "annotations": annotations or ()})


_SHARED = dict(inspect.signature(_options).parameters)
