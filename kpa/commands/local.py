"""`kpa local`: services as processes on this machine, autoscaled."""

from pathlib import Path
from typing import Annotated, Literal

import typer

SERVICE = "KPA_LOCAL_SERVICE"
"""Environment variable of the service process, which `kpa local` starts below its guardians."""


def command(
    file: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="YAML with Knative Services or KServe InferenceServices; repeatable.",
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML with the ConfigMap config-autoscaler; edits apply live."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address for requests.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Port for requests; 0 selects a free port.")
    ] = 8080,
    telemetry_port: Annotated[
        int,
        typer.Option(metavar="PORT", help="Port for /metrics, /healthz, /readyz and the API, on loopback."),
    ] = 9090,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File for both ports as JSON, written when kpa accepts requests."),
    ] = None,
    legacy_metrics: Annotated[
        bool, typer.Option("--legacy-metrics", help="Add the series names of Knative up to 1.18.")
    ] = False,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Log lines for people or for machines.")
    ] = "text",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Lowest level that is logged.")
    ] = "info",
) -> None:
    """Run services as processes on this machine and scale them.

    kpa runs the command of each container with PORT set. A service NAME accepts requests at
    http://NAME.localhost:PORT. Edits of the files apply live. A bad edit is reported and changes nothing. No
    process outlives kpa.

    Exit code 2: a file, a setting or a port cannot be used.
    """
    import os
    import sys

    if SERVICE not in os.environ:
        from kpa.local.processes.guardian import run_guarded

        os.environ[SERVICE] = "1"
        raise typer.Exit(run_guarded([sys.executable, "-m", "kpa", *sys.argv[1:]]))
    del os.environ[SERVICE]

    from kpa.local.app import run
    from kpa.local.options import LocalOptions

    options = LocalOptions(
        tuple(file), config, host, port, telemetry_port, ready_file, legacy_metrics, log_format
    )
    raise typer.Exit(run(options, log_level))
