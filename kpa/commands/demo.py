"""`kpa demo`: a service scales from zero to several replicas and back."""

from pathlib import Path
from typing import Annotated

import typer

BUILTIN_SPEED, FILE_SPEED = 1.0, 10.0
FILE_SECONDS = 120.0
LEAD_IN = 5.0
"""Seconds without load before a recorded trace, to show the service at zero."""


def command(
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV of requests: timestamp, and ContextTokens and GeneratedTokens, or service_time.",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1000, metavar="X", help="Play X seconds per second. Default 1, with FILE 10."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=86400,
            metavar="N",
            help="End the load after N seconds. Default all of it, with FILE 120.",
        ),
    ] = None,
    prefill_rate: Annotated[
        float, typer.Option(min=1, max=1e9, metavar="N", help="Context tokens read per second, with FILE.")
    ] = 8000,
    decode_rate: Annotated[
        float, typer.Option(min=1, max=1e9, metavar="N", help="Tokens written per second, with FILE.")
    ] = 75,
) -> None:
    """Show the autoscaler at work on this machine.

    The demo takes 2 to 3 minutes. It starts kpa local with a sample model server and sends it a load that is
    low, ramps up, bursts, levels off and ends. The last request finds the service at zero. The demo shows
    requests, replicas and panic mode live, then a table. No process outlives it.

    With FILE it plays a recorded trace. The model works on each request for the time that its tokens take.
    Arrivals and work are both compressed in time.

    Exit codes: 0 if the service scaled from zero and back and answered all requests, 1 if not, 2 for a bad
    FILE or option, 130 after Ctrl-C.
    """
    import asyncio

    from rich.console import Console

    from kpa.demo.child import ChildError
    from kpa.demo.recorded import read_recorded
    from kpa.demo.run import demonstrate
    from kpa.demo.scenario import DemoScenario
    from kpa.demo.trace import builtin_trace
    from kpa.simulate.errors import InputError
    from kpa.simulate.tables import TokenRates

    try:
        if trace is None:
            load = builtin_trace().sped_up(speed or BUILTIN_SPEED)
            load = load.first(seconds) if seconds else load
        else:
            speed, seconds = speed or FILE_SPEED, seconds or FILE_SECONDS
            recorded = read_recorded(trace, TokenRates(prefill_rate, decode_rate), speed * seconds)
            load = recorded.sped_up(speed).delayed(LEAD_IN)
        status = asyncio.run(demonstrate(DemoScenario(), load, Console()))
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except ChildError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)
