"""`kpa activator`: hold requests until a replica takes them."""

from typing import Annotated

import typer


def command(
    routes: Annotated[
        str, typer.Option(metavar="URL", help="Stream of routing tables, http://host:port/api/routes.")
    ],
    autoscaler: Annotated[
        str, typer.Option(metavar="URL", help="Stat server that is told of the load, ws://host:port.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.")] = 8080,
    pod_name: Annotated[
        str, typer.Option(envvar="POD_NAME", help="Who reports the load; the host's name if empty.")
    ] = "",
    grace: Annotated[float, typer.Option(help="Seconds in which requests may finish at the end.")] = 30.0,
    events_fd: Annotated[
        int | None, typer.Option(help="File descriptor that events are written to, one JSON object a line.")
    ] = None,
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Take requests for all services, hold those without a replica, and tell the autoscaler of them.

    A request finds its service by its Host header. While the service is at zero, or all its replicas are
    busy, the request waits; the first one wakes the autoscaler at once. `kpa local` starts an activator by
    itself.

    Exit status: 0 after SIGTERM or Ctrl-C, 1 if the port is taken, 2 for bad options.
    """
    import socket

    from kpa.dataplane.activator.app import Options, run

    try:
        reporter = pod_name or socket.gethostname()
        options = Options(host, port, routes, autoscaler, reporter, grace, events_fd, log_format)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(run(options))
