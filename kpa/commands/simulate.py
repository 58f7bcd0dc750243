"""`kpa simulate`: what a load would have cost under some settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpa.commands import simulation_options as given

if TYPE_CHECKING:
    from kpa.simulate.options import Options


def command(
    load: Annotated[str, typer.Option(metavar="LOAD", help=given.LOAD_HELP)],
    config: given.Config = None,
    set_: given.Assignments = None,
    annotation: given.Annotations = None,
    container_concurrency: given.ContainerConcurrency = 0,
    service_time: given.ServiceTime = None,
    prefill_rate: given.PrefillRate = 8000,
    decode_rate: given.DecodeRate = 75,
    start_up_time: given.StartUpTime = "10s",
    ready_lag: given.ReadyLag = "1s",
    drain_time: given.DrainTime = "30s",
    timeout: given.Timeout = "300s",
    replicas: given.Replicas = None,
    unit: given.Unit = "rps",
    even: given.Even = False,
    query: given.Query = None,
    start: given.Start = None,
    end: given.End = None,
    step: given.Step = "15s",
    seed: given.Seed = 1,
    price_per_minute: given.Price = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that needs nothing else.")
    ] = None,
) -> None:
    """Simulate one service under a load and show what it would have cost.

    The engine that decides is the one of kpa serve; requests, activator, queue-proxies and pods are a model.
    An hour of a few requests a second takes a second or two. Files are written only when all went well.

    Exit code 2 if the load, a setting or a file cannot be used, with one line that says why.
    """
    from kpa.simulate.errors import InputError
    from kpa.simulate.options import Options

    options = Options(
        config=config,
        assignments=set_ or (),
        annotations=annotation or (),
        container_concurrency=container_concurrency,
        service_time=service_time,
        prefill_rate=prefill_rate,
        decode_rate=decode_rate,
        start_up_time=start_up_time,
        ready_lag=ready_lag,
        drain_time=drain_time,
        timeout=timeout,
        replicas=replicas,
        unit=unit,
        even=even,
        query=query,
        start=start,
        end=end,
        step=step,
        seed=seed,
    )
    try:
        _simulate(options, load, price_per_minute, json, png, html)
    except InputError as error:
        typer.echo(f"kpa simulate: {error}", err=True)
        raise typer.Exit(2) from None


def _simulate(
    options: "Options", source: str, price: float | None, json: bool, png: Path | None, html: Path | None
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
    with stages() as tell:
        results = simulate(load, scenario, lambda at: tell("simulating", at / load.length))
    assumptions = options.assumptions(load, scenario)
    title = f"{load.name} · {assumptions['settings']}"
    if png or html:
        from kpa.simulate import picture
        from kpa.simulate.writing import write_whole

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
