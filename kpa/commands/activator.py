"""`kpa activator`: holds requests until a replica takes them."""

from typing import Annotated

import typer


def command(
    routes: Annotated[
        str, typer.Option(metavar="URL", help="Stream of routing tables, http://host:port/api/routes.")
    ],
    autoscaler: Annotated[
        str, typer.Option(metavar="URL", help="Stat server that gets the reports of load, ws://host:port.")
    ],
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Port to listen on; 0 selects a free port.")
    ] = 8080,
    pod_name: Annotated[
        str,
        typer.Option(envvar="POD_NAME", metavar="NAME", help="Name in the reports; the host name if empty."),
    ] = "",
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="Seconds that requests have to finish at the end.")
    ] = 30.0,
    events_fd: Annotated[
        int | None, typer.Option(metavar="N", help="File descriptor for events, one JSON object per line.")
    ] = None,
    log_format: Annotated[
        str, typer.Option(metavar="text|json", help="Log lines for people or for machines.")
    ] = "text",
) -> None:
    """Hold requests until a replica is ready; report the load.

    An activator accepts the requests of all services. The Host header of a request selects the service. While
    the service is at zero, or all its replicas are busy, the request waits. The first request wakes the
    autoscaler immediately. kpa local starts an activator itself.

    Exit codes: 0 after SIGTERM or Ctrl-C, 1 if the port is in use, 2 for bad options.
    """
    import socket

    from kpa.dataplane.activator.app import ActivatorOptions, run

    try:
        reporter = pod_name or socket.gethostname()
        options = ActivatorOptions(host, port, routes, autoscaler, reporter, grace, events_fd, log_format)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(run(options))
