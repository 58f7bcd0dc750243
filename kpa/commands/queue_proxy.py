"""`kpa queue-proxy`: the process in front of one replica."""

from typing import Annotated

import typer


def command(
    user_port: Annotated[
        str, typer.Option(envvar="USER_PORT", metavar="PORT", help="Port on which the replica listens.")
    ],
    container_concurrency: Annotated[
        str,
        typer.Option(
            envvar="CONTAINER_CONCURRENCY",
            metavar="N",
            help="Requests that the replica gets at once; at most ten times as many wait. 0 means no limit.",
        ),
    ] = "0",
    host: Annotated[
        str, typer.Option(envvar="QUEUE_HOST", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    serving_port: Annotated[
        str,
        typer.Option(
            envvar="QUEUE_SERVING_PORT",
            metavar="PORT",
            help="Port for requests; 0 selects a free port, also below.",
        ),
    ] = "8012",
    metrics_port: Annotated[
        str,
        typer.Option(
            envvar="QUEUE_METRICS_PORT", metavar="PORT", help="Port for /metrics, which autoscalers scrape."
        ),
    ] = "9090",
    admin_port: Annotated[
        str, typer.Option(envvar="QUEUE_ADMIN_PORT", metavar="PORT", help="Port for /wait-for-drain.")
    ] = "8022",
    timeout: Annotated[
        str,
        typer.Option(
            envvar="REVISION_TIMEOUT_SECONDS",
            metavar="SECONDS",
            help="Longest time of a request, in seconds.",
        ),
    ] = "300",
    response_start_timeout: Annotated[
        str,
        typer.Option(
            envvar="REVISION_RESPONSE_START_TIMEOUT_SECONDS",
            metavar="SECONDS",
            help="Longest time until the response starts, in seconds; 0 means no limit.",
        ),
    ] = "0",
    idle_timeout: Annotated[
        str,
        typer.Option(
            envvar="REVISION_IDLE_TIMEOUT_SECONDS",
            metavar="SECONDS",
            help="Longest time without a byte of the response, in seconds; 0 means no limit.",
        ),
    ] = "0",
    pod: Annotated[
        str, typer.Option(envvar="SERVING_POD", metavar="NAME", help="Name of the replica in reports.")
    ] = "",
    readiness_probe: Annotated[
        str,
        typer.Option(
            envvar="SERVING_READINESS_PROBE",
            metavar="JSON",
            help="Kubernetes readiness probe as JSON; if empty, the port must accept connections.",
        ),
    ] = "",
    drain_quiet: Annotated[
        str,
        typer.Option(
            envvar="QUEUE_DRAIN_QUIET_SECONDS",
            metavar="SECONDS",
            help="A draining queue-proxy ends after this many seconds without a request.",
        ),
    ] = "30",
) -> None:
    """Forward, count and limit the requests of one replica.

    The queue-proxy runs until SIGTERM, and then until no more requests come. The environment variables of
    Knative's queue-proxy set the options too.

    Exit codes: 2 if a setting cannot be used, 1 if kpa cannot listen on a port.
    """
    import os

    from kpa.dataplane.queue_proxy.__main__ import main

    os.environ |= {
        "USER_PORT": user_port,
        "CONTAINER_CONCURRENCY": container_concurrency,
        "QUEUE_HOST": host,
        "QUEUE_SERVING_PORT": serving_port,
        "QUEUE_METRICS_PORT": metrics_port,
        "QUEUE_ADMIN_PORT": admin_port,
        "REVISION_TIMEOUT_SECONDS": timeout,
        "REVISION_RESPONSE_START_TIMEOUT_SECONDS": response_start_timeout,
        "REVISION_IDLE_TIMEOUT_SECONDS": idle_timeout,
        "SERVING_POD": pod,
        "SERVING_READINESS_PROBE": readiness_probe,
        "QUEUE_DRAIN_QUIET_SECONDS": drain_quiet,
    }
    raise typer.Exit(main())
