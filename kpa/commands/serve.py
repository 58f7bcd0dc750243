"""`kpa serve`: the autoscaler of a cluster, in place of Knative's."""

from typing import Annotated, Literal

import typer


def command(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address for all ports. Default: all addresses, IPv4 and IPv6."),
    ] = "",
    legacy_metrics: Annotated[
        bool, typer.Option("--legacy-metrics", help="Add the series names of Knative up to 1.18.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing; compare with the autoscaler in charge."),
    ] = False,
    log_format: Annotated[
        Literal["text", "json"],
        typer.Option(help="Log lines for people or for machines; config-logging overrides it."),
    ] = "json",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="Lowest level that is logged; config-logging overrides it."),
    ] = "info",
) -> None:
    """Scale a cluster in place of Knative's autoscaler.

    kpa scales the PodAutoscalers of the KPA class. It reads POD_NAME, POD_IP and SYSTEM_NAMESPACE from the
    environment. It reaches the API server with the credentials of its pod, or with KUBECONFIG. Port 8080
    accepts the reports of activators. Port 9090 serves /metrics, /healthz, /readyz and the API. With
    --dry-run, kpa takes no lease and port 8080 stays closed.

    CONFIG_AUTOSCALER_NAME, CONFIG_LEADERELECTION_NAME, CONFIG_LOGGING_NAME and CONFIG_OBSERVABILITY_NAME name
    ConfigMaps to use instead of config-autoscaler, config-leader-election, config-logging and
    config-observability.

    Exit code 2: something that kpa needs is missing.
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
