"""`kpa demo`: watch a service go from zero to several replicas and back."""

from pathlib import Path
from typing import Annotated

import typer

BUILTIN_SPEED, FILE_SPEED = 1.0, 10.0
FILE_SECONDS = 120.0
LEAD_IN = 5.0
"""Seconds of nothing before a recorded trace, to see the service at zero."""


def command(
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Arrivals to play: CSV with TIMESTAMP, ContextTokens, GeneratedTokens.", metavar="FILE"
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1000, help="Seconds of the trace played in one second. [default: 1, FILE: 10]"
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, max=86400, help="Stop the load after so many seconds. [default: all of it, FILE: 120]"
        ),
    ] = None,
    prefill_rate: Annotated[
        float, typer.Option(min=1, max=1e9, help="Context tokens that the model of FILE reads a second.")
    ] = 8000.0,
    decode_rate: Annotated[
        float, typer.Option(min=1, max=1e9, help="Tokens that the model of FILE writes a second and request.")
    ] = 75.0,
) -> None:
    """Show the autoscaler at work on this machine, in 2 to 3 minutes.

    Starts `kpa local` with a sample model server, sends it a load that is quiet, ramps up, bursts, levels off
    and ends, and shows requests, replicas and panic mode live; a last request finds the service at zero. With
    FILE, a recorded trace is played instead, each request worked on for as long as its tokens take.

    Exit status: 0 when the service went from zero to some replicas and back and every request was answered,
    1 when not, 2 for a bad FILE or option, 130 after Ctrl-C. However it ends, nothing is left running.
    """
    import asyncio

    from rich.console import Console

    from kpa.demo.azure import TokenRates, TraceError, read_azure_trace
    from kpa.demo.child import LocalError
    from kpa.demo.run import demonstrate
    from kpa.demo.scenario import Scenario
    from kpa.demo.trace import builtin_trace

    try:
        if trace is None:
            load = builtin_trace().sped_up(speed or BUILTIN_SPEED)
            load = load.first(seconds) if seconds else load
        else:
            speed, seconds = speed or FILE_SPEED, seconds or FILE_SECONDS
            recorded = read_azure_trace(trace, TokenRates(prefill_rate, decode_rate), speed * seconds)
            load = recorded.sped_up(speed).delayed(LEAD_IN)
        status = asyncio.run(demonstrate(Scenario(), load, Console()))
    except TraceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except LocalError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)
