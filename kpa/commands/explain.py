"""`kpa explain`: why a revision has the pods it has, and what happens next."""

from typing import TYPE_CHECKING, Annotated

import typer

from kpa.commands.http_client import NO_ANSWER, URL, NoAnswer, fetch_explanation

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpa.controller.explain import Explanation


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Revision or service: NAME or NAMESPACE/NAME.")],
    url: Annotated[str, typer.Option(metavar="URL", help="URL of a running kpa (/api, /metrics).")] = URL,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Also print each setting in force and its source.")
    ] = False,
) -> None:
    """Explain the last decision on a revision.

    Shows the window values, what each rule did, and what happens next and when. Works with kpa serve and kpa
    local.

    Exit code 2: no kpa answers, or there is no such revision.
    """
    try:
        explanation = fetch_explanation(url, name)
    except NoAnswer as error:
        typer.echo(f"kpa explain: {error}", err=True)
        raise typer.Exit(NO_ANSWER) from None
    if json:
        from json import dumps

        from kpa.web.api.api import explanation_to_json

        print(dumps(explanation_to_json(explanation)))
        return
    from rich.console import Console

    console = Console()
    for part in lay_out(explanation, settings):
        console.print(part, highlight=False)


def lay_out(explanation: "Explanation", settings: bool) -> "list[RenderableType]":
    """Lay out an explanation for a terminal: summary, steps, the next event, the last changes."""
    from rich.markup import escape
    from rich.table import Table

    steps = Table(box=None, padding=(0, 1, 0, 2), show_header=False)
    steps.add_column(no_wrap=True)
    steps.add_column(overflow="fold")
    steps.add_column(justify="right", no_wrap=True)
    for step in explanation.steps:
        steps.add_row(step.rule, escape(step.text), f"-> {step.pods}" if step.pods >= 0 else "")
    parts: list[RenderableType] = [
        f"[bold]{escape(str(explanation.status.key))}[/]: {escape(explanation.summary)}",
        steps,
        f"next: {escape(explanation.next)}",
    ]
    if explanation.past:
        parts += ["", "last changes, newest first:", _past(explanation)]
    if settings:
        parts += ["", "settings in force:", _settings(explanation)]
    return parts


def _past(explanation: "Explanation") -> "RenderableType":
    from rich.table import Table

    from config.durations import format_duration

    rows = Table(box=None, padding=(0, 1, 0, 2))
    rows.add_column("ago", no_wrap=True)
    for heading in ("requested", "ready", "stable", "panic"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for heading in ("mode", "bound by"):
        rows.add_column(heading, no_wrap=True)
    for past in explanation.past:
        ago = format_duration(max(0, round(explanation.time - past.at)))
        loads = ["no data" if load is None else f"{load:.4g}" for load in (past.stable, past.panic)]
        rows.add_row(ago, str(past.requested), str(past.ready), *loads, past.mode, past.rule)
    return rows


def _settings(explanation: "Explanation") -> "RenderableType":
    from rich.markup import escape
    from rich.table import Table

    rows = Table(box=None, padding=(0, 1, 0, 2))
    for heading in ("key", "value", "from"):
        rows.add_column(heading, overflow="fold")
    for setting in explanation.settings:
        rows.add_row(setting.key, escape(setting.value), setting.source)
    return rows
