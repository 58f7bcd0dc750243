"""`kpa replay`: decisions on recorded loads."""

import json
from typing import Annotated

import typer


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines, plain or gzip; - reads stdin.")],
    one_by_one: Annotated[
        bool, typer.Option(help="Use one engine per trace instead of one fleet for all traces.")
    ] = False,
) -> None:
    """Print the decisions of the engine on recorded traces.

    The output has one line per trace. Decisions in the input are ignored.

    Exit code 2: a line is not a trace.
    """
    from kpa.simulate.replay import ReplayError, open_traces, replay

    try:
        for trace in replay(open_traces(file), as_fleet=not one_by_one):
            typer.echo(json.dumps(trace, separators=(",", ":")))
    except ReplayError as error:
        typer.echo(f"kpa replay: {error}", err=True)
        raise typer.Exit(2) from error
