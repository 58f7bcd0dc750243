"""`kpa tune`: the best settings for a load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpa.commands.simulation_options import LOAD_HELP, takes_simulation_options

if TYPE_CHECKING:
    from kpa.simulate.options import SimulationOptions
    from kpa.tune.tuner import Effort, Tuning


@takes_simulation_options
def command(
    load: Annotated[list[str], typer.Option(metavar="LOAD", help=LOAD_HELP + " Repeatable.")],
    objective: Annotated[
        str,
        typer.Option(
            metavar="LIMITS", help="Limits and a goal, such as 'queue p99 < 1s, min replica-minutes'."
        ),
    ],
    options: "SimulationOptions",
    candidates: Annotated[
        int,
        typer.Option(
            min=10, max=100_000, metavar="N", help="Candidates of the first round; twice as many in all."
        ),
    ] = 2000,
    held_out: Annotated[
        float,
        typer.Option(
            min=5, max=90, metavar="PERCENT", help="Part at the end of each load that only the check sees."
        ),
    ] = 40,
    warm_up: Annotated[
        str, typer.Option(metavar="TIME", help="Start of a load that does not count; at most a tenth of it.")
    ] = "5m",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a picture of all candidates.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the recommended ConfigMap.")
    ] = None,
) -> None:
    """Find settings that meet an objective at the lowest cost.

    kpa shows what they would change. It simulates thousands of candidates as one fleet, and the best of them
    exactly, as kpa simulate does. It checks the recommended settings on the end of each load, which the
    search does not see. kpa writes files only after success.

    Exit codes: 1 if a limit does not hold on the part that the search does not see, 2 if an option cannot be
    used.
    """
    from kpa.simulate.errors import InputError
    from kpa.simulate.options import read_seconds
    from kpa.tune.tuner import Effort

    try:
        effort = Effort(
            candidates=candidates, held_out=held_out / 100, warm_up=read_seconds(warm_up, "--warm-up")
        )
        tuning = _tune(options, load, objective, effort, png, write)
    except InputError as error:
        typer.echo(f"kpa tune: {error}", err=True)
        raise typer.Exit(2) from None
    _print(tuning, json)
    raise typer.Exit(0 if tuning.holds else 1)


def _tune(
    options: "SimulationOptions",
    sources: list[str],
    objective: str,
    effort: "Effort",
    png: Path | None,
    write: Path | None,
) -> "Tuning":
    from kpa.runtime.files import write_whole
    from kpa.simulate.options import check_file, check_picture
    from kpa.simulate.progress import stages
    from kpa.tune import report
    from kpa.tune.objective import parse_objective
    from kpa.tune.tuner import tune

    check_picture(png, "--png")
    check_file(write, "--write")
    goal = parse_objective(objective)
    settings = options.settings()
    scenario = options.scenario(settings.config)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    loads = [options.read(source) for source in sources]
    with stages() as report_progress:
        tuning = tune(loads, scenario, settings.data, goal, effort, report_progress)
    if png:
        from kpa.simulate.picture import png as drawn
        from kpa.tune.picture import draw

        write_whole(png, drawn(draw(tuning)))
    if write:
        write_whole(write, report.config_map(tuning).encode())
    return tuning


def _print(tuning: "Tuning", json: bool) -> None:
    from rich.console import Console

    from kpa.tune import report

    if json:
        typer.echo(report.document(tuning))
        return
    console = Console(highlight=False)
    console.print(f"[b]Objective[/b] {tuning.task.objective}\n")
    console.print(report.verdicts(tuning))
    console.print(f"\n{report.sentence(tuning)}\n")
    console.print(f"[b]Front[/b]: {tuning.task.objective.goal} against {tuning.task.objective.quality}")
    console.print(report.front(tuning))
    if not tuning.changes():
        console.print("\nThe present settings meet the objective best. Nothing needs to change.")
        return
    console.print("\n[b]Changes[/b]")
    console.print(report.changes(tuning))
    console.print("\n[b]ConfigMap[/b]\n" + report.config_map(tuning), soft_wrap=True)
    console.print(
        "[b]Annotations[/b] of one service, instead of the same keys\n" + report.annotations(tuning)
    )
