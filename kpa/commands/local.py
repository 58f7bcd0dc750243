"""`kpa local`: services as processes of this machine, autoscaled."""

from pathlib import Path
from typing import Annotated, Literal

import typer

SERVICE = "KPA_LOCAL_SERVICE"
"""Set in the environment of the service process, which `kpa local` starts below its guardians."""


def command(
    file: Annotated[
        list[Path],
        typer.Option(
            "--file", "-f", help="YAML with Knative Services or KServe InferenceServices; repeatable."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="YAML with the ConfigMap config-autoscaler; edits apply live.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address on which requests are taken.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port on which requests are taken; 0 is any free one.")] = 8080,
    telemetry_port: Annotated[
        int, typer.Option(help="Port of /metrics, /healthz, /readyz and the API, on loopback.")
    ] = 9090,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written once requests are taken: both ports, as JSON.")
    ] = None,
    legacy_metrics: Annotated[
        bool, typer.Option("--legacy-metrics", help="Add the series names of Knative up to 1.18.")
    ] = False,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Lines for people or machines.")
    ] = "text",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Least severity that is logged.")
    ] = "info",
) -> None:
    """Run services as processes of this machine and scale them with their load.

    Each container's command is run with PORT set; a service NAME takes requests at http://NAME.localhost:PORT.
    Edited files apply live, and a bad edit is reported and changes nothing. No process outlives this one.
    Exit code 2 if a file, a setting or a port cannot be used.
    """
    import os
    import sys

    if SERVICE not in os.environ:
        from kpa.local.processes.guardian import run_guarded

        os.environ[SERVICE] = "1"
        raise typer.Exit(run_guarded([sys.executable, "-m", "kpa", *sys.argv[1:]]))
    del os.environ[SERVICE]

    from kpa.local.app import run
    from kpa.local.options import Options

    options = Options(tuple(file), config, host, port, telemetry_port, ready_file, legacy_metrics, log_format)
    raise typer.Exit(run(options, log_level))
