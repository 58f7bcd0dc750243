"""Options that `kpa simulate` and `kpa tune` share."""

from typing import Annotated, Literal

import typer

Config = Annotated[
    str | None, typer.Option(metavar="FILE", help="YAML with the ConfigMap config-autoscaler; - reads stdin.")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the ConfigMap; repeatable.")
]
Annotations = Annotated[
    list[str] | None,
    typer.Option(
        "--annotation", metavar="NAME=VALUE", help="Of the service, such as max-scale=8; repeatable."
    ),
]
ContainerConcurrency = Annotated[
    int,
    typer.Option(min=0, max=1_000_000, metavar="N", help="Requests that a pod works on at once; 0 is any."),
]
ServiceTime = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Work of a request, in place of what LOAD says of it: 2s, 'exponential 2s', or 'lognormal 2s "
        "0.5' (standard deviation half of the mean). 1s where neither says it.",
    ),
]
PrefillRate = Annotated[
    float, typer.Option(min=1, max=1e9, metavar="N", help="Context tokens a pod reads a second.")
]
DecodeRate = Annotated[float, typer.Option(min=1, max=1e9, metavar="N", help="Tokens a pod writes a second.")]
StartUpTime = Annotated[
    str, typer.Option(metavar="TIME", help="Until a new pod could answer; forms as of --service-time.")
]
ReadyLag = Annotated[
    str, typer.Option(metavar="TIME", help="From then until endpoints and autoscaler know of it.")
]
DrainTime = Annotated[
    str, typer.Option(metavar="TIME", help="For which a stopped pod goes on at least; 30s in Knative.")
]
Timeout = Annotated[str, typer.Option(metavar="TIME", help="That a request may take (timeoutSeconds).")]
Replicas = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=10_000,
        metavar="N",
        help="Ready at the beginning, of a service that ran before; else it is new.",
    ),
]
Unit = Annotated[
    Literal["rps", "concurrency"],
    typer.Option(help="What phases and Prometheus count: arrivals a second, or requests in flight."),
]
Even = Annotated[
    bool, typer.Option("--even", help="Spread arrivals of phases and Prometheus evenly, not by chance.")
]
Query = Annotated[str | None, typer.Option(metavar="PROMQL", help="Asked of a Prometheus; one series.")]
Start = Annotated[
    str | None, typer.Option(metavar="DATE", help="Of the query: 2026-08-21T10:00:00Z or unix seconds.")
]
End = Annotated[str | None, typer.Option(metavar="DATE", help="Of the query.")]
Step = Annotated[str, typer.Option(metavar="TIME", help="Between two values of the query.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that goes by chance.")]
Price = Annotated[float | None, typer.Option(min=0, metavar="N", help="Of one replica.")]

LOAD_HELP = (
    "CSV of requests (timestamp; service_time, or ContextTokens and GeneratedTokens), saved JSON of a "
    "Prometheus range query, URL of a Prometheus, or phases such as 'ramp 0..50 5m, hold 10m, burst 400 10s'."
)
