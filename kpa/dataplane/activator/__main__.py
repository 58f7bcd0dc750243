"""`kpa activator` with few imports; `python -m kpa.dataplane.activator` is the same."""

import argparse
import os
import socket
import sys

from kpa.dataplane.activator.app import ActivatorOptions, run


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the options; `kpa.commands.activator` shows the same ones as help."""
    parser = argparse.ArgumentParser(
        prog="kpa activator", description="Hold requests until a replica takes them."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for any free one")
    parser.add_argument(
        "--routes", required=True, metavar="URL", help="stream of routing tables (JSON lines)"
    )
    parser.add_argument("--autoscaler", required=True, metavar="URL", help="stat server, ws://host:port")
    parser.add_argument(
        "--pod-name",
        default=os.environ.get("POD_NAME", ""),
        help="who reports the load; the name of the host if empty",
    )
    parser.add_argument(
        "--grace", type=float, default=30.0, help="seconds in which requests may finish at the end"
    )
    parser.add_argument("--events-fd", type=int, help="file descriptor that events are written to")
    parser.add_argument("--log-format", default="text", help="text or json")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the activator by its command line; the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        options.pod_name = options.pod_name or socket.gethostname()
        return run(ActivatorOptions(**vars(options)))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
