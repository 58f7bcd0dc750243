"""`kpa replay`: decisions on recorded loads."""

import json
from typing import Annotated

import typer


def command(
    file: Annotated[str, typer.Argument(help="JSON lines, plain or gzip; - reads standard input.")],
    one_by_one: Annotated[
        bool, typer.Option(help="Give each trace an engine of its own instead of one fleet for all.")
    ] = False,
) -> None:
    """Print each recorded trace with the decisions that the engine takes on it, one line a trace.

    Decisions already in the input are ignored. Exit code 2 if a line is not a trace.
    """
    from kpa.simulate.replay import ReplayError, open_traces, replay

    try:
        for trace in replay(open_traces(file), as_fleet=not one_by_one):
            typer.echo(json.dumps(trace, separators=(",", ":")))
    except ReplayError as error:
        typer.echo(f"kpa replay: {error}", err=True)
        raise typer.Exit(2) from error
