"""`kpa status`: the revisions of a running kpa."""

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kpa.commands.http_client import NO_ANSWER, URL, NoAnswer, fetch

if TYPE_CHECKING:
    from rich.table import Table

    from kpa.controller.status import Comparison, NextEvent
    from kpa.web.api.api import FleetResponse

REFRESH = 1.0  # seconds
_PIPED_COLUMNS = 200  # without a terminal, no name is folded


def command(
    url: Annotated[str, typer.Option(metavar="URL", help="URL of a running kpa (/api, /metrics).")] = URL,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one line per update.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat every second until Ctrl-C.")] = False,
) -> None:
    """Show the replicas, load and mode of each revision.

    A line shows the requested and ready replicas, the load, the mode, and what happens next. For kpa serve
    --dry-run: the requested replicas beside those of the autoscaler in charge.

    Exit code 2: no kpa answers.
    """
    try:
        if json:
            _print_json(url, watch)
        else:
            _print_table(url, watch)
    except NoAnswer as error:
        typer.echo(f"kpa status: {error}", err=True)
        raise typer.Exit(NO_ANSWER) from None
    except KeyboardInterrupt:
        return


def table(fleet: "FleetResponse") -> "Table":
    """Lay out one line per revision, sorted by name; loads are requests in flight, or requests per second."""
    from rich.table import Table

    title = f"profile {fleet.profile}, {len(fleet.revisions)} revisions"
    rows = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    rows.add_column("revision", overflow="fold")
    for heading in ("requested", "ready", "stable", "panic", "target"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for heading in ("mode", "next"):
        rows.add_column(heading)
    for one in sorted(fleet.revisions, key=lambda status: status.key):
        rows.add_row(
            str(one.key),
            str(one.requested),
            f"{one.ready}/{one.replicas}",
            _load(one.stable),
            _load(one.panic),
            f"{one.target:.4g}/s" if one.metric == "rps" else f"{one.target:.4g}",
            f"[bold red]{one.mode}[/]" if one.mode == "panic" else one.mode,
            describe(one.next_event, fleet.time),
        )
    return rows


def shadow_table(fleet: "FleetResponse") -> "Table":
    """Lay out the comparison of a shadow with the autoscaler in charge; those that differed most come first.

    Columns: pods requested by each now, how long they have differed, the share of the time in which they
    differed, and the pod-minutes that each has requested.
    """
    from rich.table import Table

    compared = [(one.key, one.comparison) for one in fleet.revisions if one.comparison is not None]
    title = f"shadow with profile {fleet.profile}, {len(compared)} revisions"
    rows = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    rows.add_column("revision", overflow="fold")
    for heading in ("ours", "theirs", "difference", "for", "differed", "our pod-min", "their pod-min"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for key, one in sorted(compared, key=lambda each: (-_differed(each[1]), each[0])):
        rows.add_row(
            str(key),
            _pods(one.ours),
            _pods(one.theirs),
            _difference(one),
            "-" if one.since is None else _duration(fleet.time - one.since),
            f"{_differed(one):.1%}" if one.compared else "-",
            f"{one.our_pods / 60:.1f}",
            f"{one.their_pods / 60:.1f}",
        )
    return rows


def describe(event: "NextEvent | None", now: float) -> str:
    """Describe what happens next and when, such as `to zero in 4m10s`."""
    from config.durations import format_duration

    if event is None:
        return "-"
    what, seconds = event.what.removeprefix("scale "), round(event.at - now)
    return f"{what} in {format_duration(seconds)}" if seconds > 0 else f"{what} now"


def _print_json(url: str, watch: bool) -> None:
    from kpa.web.api.api import fleet_to_json

    while True:
        print(fleet_to_json(*fetch(url)), flush=True)
        if not watch:
            return
        time.sleep(REFRESH)


def _print_table(url: str, watch: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_COLUMNS)
    if not watch:
        console.print(_laid_out(fetch(url)))
        return
    with Live(_laid_out(fetch(url)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH)
            live.update(_laid_out(fetch(url)), refresh=True)


def _laid_out(fleet: "FleetResponse") -> "Table":
    shadow = any(one.comparison for one in fleet.revisions)
    return shadow_table(fleet) if shadow else table(fleet)


def _differed(one: "Comparison") -> float:
    """Return the share of the compared time."""
    return one.differed / one.compared if one.compared else 0.0


def _difference(one: "Comparison") -> str:
    if one.ours is None or one.theirs is None:
        return "-"
    return f"{one.difference:+d}" if one.difference else "0"


def _pods(count: int | None) -> str:
    return "-" if count is None else str(count)


def _duration(seconds: float) -> str:
    from config.durations import format_duration

    return format_duration(max(round(seconds), 0))


def _load(value: float | None) -> str:
    return "no data" if value is None else f"{value:.4g}"
