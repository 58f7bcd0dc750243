"""`kpa queue-proxy`: the process before one replica."""

from typing import Annotated

import typer


def command(
    user_port: Annotated[str, typer.Option(envvar="USER_PORT", help="Where the replica listens.")],
    container_concurrency: Annotated[
        str,
        typer.Option(
            envvar="CONTAINER_CONCURRENCY",
            help="Requests that the replica gets at once; ten times as many wait, no more. 0 is no limit.",
        ),
    ] = "0",
    host: Annotated[str, typer.Option(envvar="QUEUE_HOST", help="Address to listen on.")] = "127.0.0.1",
    serving_port: Annotated[
        str, typer.Option(envvar="QUEUE_SERVING_PORT", help="Port for requests; 0 is any free one, as below.")
    ] = "8012",
    metrics_port: Annotated[
        str, typer.Option(envvar="QUEUE_METRICS_PORT", help="Port for /metrics, read by autoscalers.")
    ] = "9090",
    admin_port: Annotated[
        str, typer.Option(envvar="QUEUE_ADMIN_PORT", help="Port for /wait-for-drain.")
    ] = "8022",
    timeout: Annotated[
        str, typer.Option(envvar="REVISION_TIMEOUT_SECONDS", help="Seconds that a request may take in all.")
    ] = "300",
    response_start_timeout: Annotated[
        str,
        typer.Option(
            envvar="REVISION_RESPONSE_START_TIMEOUT_SECONDS",
            help="Seconds that it may take until its response begins; 0 is no limit.",
        ),
    ] = "0",
    idle_timeout: Annotated[
        str,
        typer.Option(
            envvar="REVISION_IDLE_TIMEOUT_SECONDS",
            help="Seconds that it may take with nothing of its response coming; 0 is no limit.",
        ),
    ] = "0",
    pod: Annotated[str, typer.Option(envvar="SERVING_POD", help="Name of the replica in reports.")] = "",
    readiness_probe: Annotated[
        str,
        typer.Option(
            envvar="SERVING_READINESS_PROBE",
            help="Kubernetes readiness probe as JSON; if empty, the port must take connections.",
        ),
    ] = "",
    drain_quiet: Annotated[
        str,
        typer.Option(
            envvar="QUEUE_DRAIN_QUIET_SECONDS",
            help="Seconds without a request after which a draining queue-proxy ends.",
        ),
    ] = "30",
) -> None:
    """Forward requests to one replica, count them and limit how many it gets at once.

    Until SIGTERM, then until no more requests come. Options have the names of Knative's queue-proxy in the
    environment, and `python -m kpa.dataplane.queue_proxy` is the same but starts faster.

    Exits with 2 if a setting cannot be used, 1 if a port cannot be listened on.
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
