"""`kpa simulate`: the cost of a load under some settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpa.commands.simulation_options import LOAD_HELP, takes_simulation_options

if TYPE_CHECKING:
    from kpa.simulate.options import SimulationOptions


@takes_simulation_options
def command(
    load: Annotated[str, typer.Option(metavar="LOAD", help=LOAD_HELP)],
    options: "SimulationOptions",
    price_per_minute: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Price of one replica per minute.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained page.")] = None,
) -> None:
    """Simulate one service under a load and show the cost.

    The engine of kpa serve decides. Requests, activator, queue-proxies and pods are a model. An hour of a few
    requests per second takes one or two seconds. kpa writes files only after success.

    Exit code 2: the load, a setting or a file cannot be used.
    """
    from kpa.simulate.errors import InputError

    try:
        _simulate(options, load, price_per_minute, json, png, html)
    except InputError as error:
        typer.echo(f"kpa simulate: {error}", err=True)
        raise typer.Exit(2) from None


def _simulate(
    options: "SimulationOptions",
    source: str,
    price: float | None,
    json: bool,
    png: Path | None,
    html: Path | None,
) -> None:
    from kpa.simulate.model import simulate
    from kpa.simulate.options import check_picture
    from kpa.simulate.progress import stages

    for path, option in ((png, "--png"), (html, "--html")):
        check_picture(path, option)
    settings = options.settings()
    scenario = options.scenario(settings.config)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    load = options.read(source)
    with stages() as progress:
        results = simulate(load, scenario, lambda at: progress("simulating", at / load.length))
    assumptions = options.assumptions(load, scenario)
    title = f"{load.name} · {assumptions['settings']}"
    if png or html:
        from kpa.runtime.files import write_whole
        from kpa.simulate import picture

        if png:
            write_whole(png, picture.png(picture.draw(results, title)))
        if html:
            write_whole(html, picture.page(results, title, price, assumptions).encode())
    from kpa.simulate import report

    if json:
        typer.echo(report.document(results, price, assumptions))
    else:
        from rich.console import Console

        console = Console(highlight=False)
        for name, text in assumptions.items():
            console.print(f"[dim]{name}: {text}[/]", soft_wrap=True)
        console.print(report.table({"simulated": results.summary()}, price))
