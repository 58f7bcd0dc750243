"""`kpa serve`: the autoscaler of a cluster, in Knative's place."""

from typing import Annotated, Literal

import typer


def command(
    host: Annotated[
        str, typer.Option(help="Address on which all ports listen; all of them, IPv6 as well, unless set.")
    ] = "",
    legacy_metrics: Annotated[
        bool, typer.Option("--legacy-metrics", help="Add the series names of Knative up to 1.18.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing; compare with the autoscaler that is in charge."),
    ] = False,
    log_format: Annotated[
        Literal["text", "json"],
        typer.Option(help="Lines for people or machines, unless config-logging says so."),
    ] = "json",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="Least severity that is logged, unless config-logging says so."),
    ] = "info",
) -> None:
    """Scale the PodAutoscalers of a cluster in place of Knative's autoscaler.

    Reads POD_NAME, POD_IP and SYSTEM_NAMESPACE, and reaches the API server as its pod does, or by KUBECONFIG.
    Port 8080 takes activators' reports, 9090 serves /metrics, /healthz, /readyz and the API. Exit code 2 if
    something it needs is missing. With --dry-run no lease is taken and 8080 stays closed.
    CONFIG_AUTOSCALER_NAME, CONFIG_LEADERELECTION_NAME, CONFIG_LOGGING_NAME and CONFIG_OBSERVABILITY_NAME may
    name other ConfigMaps than config-autoscaler, config-leader-election, config-logging and
    config-observability.
    """
    from kpa.serve.app import run

    raise typer.Exit(
        run(
            host=host or None,
            legacy_metrics=legacy_metrics,
            log_format=log_format,
            log_level=log_level,
            dry_run=dry_run,
        )
    )
