"""What the demonstration shows while it runs: a live picture in a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kpa.demo.chart import arrivals, panic_row, replica_rows, spark
from kpa.demo.history import Sample, ServiceHistory, percentiles
from kpa.demo.player import RequestOutcome
from kpa.demo.scenario import DemoScenario
from kpa.demo.trace import Phase

CHART_SECONDS = 60
RECENT_SECONDS = 10.0
"""Latencies on screen are of the requests answered in this time."""

PLAIN_SECONDS = 5.0
"""Between two plain lines; a change of replicas or mode makes one at once."""


class ViewFrame(NamedTuple):
    """All that one picture is made from.

    `silent` are seconds since the API last answered, `coming` is the trace's next phase.
    """

    scenario: DemoScenario
    trace: str
    phase: str
    history: ServiceHistory
    outcomes: Sequence[RequestOutcome]
    silent: float = 0.0
    coming: Phase | None = None


def clock(seconds: float) -> str:
    """Write seconds as minutes and seconds.

    Examples
    --------
    >>> clock(75.9)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def recent_latencies(outcomes: Sequence[RequestOutcome], now: float) -> list[float]:
    """Latencies of the answers of the last `RECENT_SECONDS`; outcomes are in order of completion."""
    latencies: list[float] = []
    for outcome in reversed(outcomes):
        if outcome.done < now - RECENT_SECONDS:
            break
        if outcome.status == 200:
            latencies.append(outcome.latency)
    return latencies


def picture(frame: ViewFrame) -> RenderableType:
    """Draw the whole view, 80 columns wide and 23 rows high."""
    now = frame.history.last
    title = f"[b]kpa demo[/b] · {frame.trace} · {clock(now.at)}" + (
        f" · {frame.phase}" if frame.phase else ""
    )
    body = Group(*(Text(line, "dim") for line in frame.scenario.statement()), _charts(frame), _numbers(frame))
    return Panel(body, title=title, box=box.ROUNDED, width=80, padding=(0, 1))


def _charts(frame: ViewFrame) -> Table:
    samples = frame.history.seconds(CHART_SECONDS)
    now, height = frame.history.last, frame.scenario.max_scale
    coming = arrivals(samples)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=10)
    grid.add_column(width=CHART_SECONDS)
    grid.add_column(justify="right", width=4, no_wrap=True)
    for level, row in zip(range(height, 0, -1), replica_rows(samples, height), strict=True):
        grid.add_row(f"replicas {level}" if level == height else str(level), row)
    grid.add_row("panic", panic_row(samples), Text("YES", "b red") if now.mode == "panic" else "no")
    flying = [sample.in_flight if sample else 0 for sample in samples]
    upper, lower = spark(flying, "cyan", height=2)
    grid.add_row("", upper)
    grid.add_row("in flight", lower, str(now.in_flight))
    grid.add_row("arrivals/s", *spark(coming, "blue"), str(coming[-2]))  # the last whole second
    axis = f"{'-1 min':<{CHART_SECONDS // 2}}{'now':>{CHART_SECONDS // 2}}"
    grid.add_row("", Text(axis, "dim"))
    return grid


def _numbers(frame: ViewFrame) -> Table:
    now = frame.history.last
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=10)
    grid.add_column(no_wrap=True)
    grid.add_row("load", load_text(now, frame.scenario.container_concurrency))
    grid.add_row("replicas", replicas_text(now, frame.scenario.max_scale))
    grid.add_row("latency", latency_text(recent_latencies(frame.outcomes, now.at)))
    grid.add_row("requests", requests_text(now, frame.outcomes))
    grid.add_row("cost", cost_text(frame.history, frame.scenario.max_scale))
    grid.add_row("next", next_text(frame))
    return grid


def load_text(now: Sample, concurrency: int) -> Text:
    """State both windows' values against the target and the limit of a replica."""
    if now.stable is None or now.panic is None:
        return Text("no data: nothing runs, nothing arrives")
    values = f"stable {now.stable:z.1f}, panic {now.panic:z.1f} in flight"
    return Text(f"{values}; a replica aims at {now.target:g} of {concurrency}")


def replicas_text(now: Sample, max_scale: int) -> Text:
    """State the replicas that are ready, requested, and recommended by the load."""
    requested = max(0, now.requested)
    text = Text(f"{now.ready} ready, {requested} requested")
    if now.recommended > requested:
        text.append(f" (the load asks for {now.recommended}, at most {max_scale})")
    if now.pods > max(now.ready, requested):
        text.append(f", {now.pods - max(now.ready, requested)} stopping")
    return text


def latency_text(latencies: Sequence[float]) -> Text:
    """State percentiles of recent answers."""
    if not latencies:
        return Text(f"no answer in the last {RECENT_SECONDS:g} s")
    p50, p95, p99 = percentiles(latencies)
    return Text(f"p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s (last {RECENT_SECONDS:g} s)")


def requests_text(now: Sample, outcomes: Sequence[RequestOutcome]) -> Text:
    """State how many requests came, were answered, waited for a new replica, failed."""
    good = sum(outcome.status == 200 for outcome in outcomes)
    cold = sum(outcome.cold for outcome in outcomes)
    failed = len(outcomes) - good
    text = Text(f"{now.sent} sent, {good} answered, {cold} after a cold start, ")
    return text.append(f"{failed} failed", "b red" if failed else "")


def cost_text(history: ServiceHistory, max_scale: int) -> Text:
    """State replica-minutes against a fixed number of replicas."""
    used, fixed = history.replica_seconds / 60, history.length * max_scale / 60
    saved = 1 - used / fixed if fixed else 0.0
    return Text(f"{used:.1f} replica-minutes; {max_scale} fixed ones need {fixed:.1f} ({saved:.0%} saved)")


def next_text(frame: ViewFrame) -> Text:
    """Say what happens next, or that the service is silent."""
    now = frame.history.last
    if frame.silent > 2.0:
        return Text(f"kpa local has not answered for {frame.silent:.0f} s", "b red")
    events = [(now.next_what, now.next_in)] if now.next_what else []
    events += [(f"load: {frame.coming.name}", frame.coming.at - now.at)] if frame.coming else []
    return Text("; ".join(f"{what} in {max(0.0, seconds):.0f} s" for what, seconds in events) or "-")


def plain_line(frame: ViewFrame) -> str:
    """Put the picture's numbers into one line."""
    now = frame.history.last
    failed = sum(outcome.status != 200 for outcome in frame.outcomes)
    windows = (
        "" if now.stable is None else f"stable {now.stable:z.1f} panic {now.panic:z.1f} target {now.target:g}"
    )
    latencies = recent_latencies(frame.outcomes, now.at)
    slow = f"{percentiles(latencies)[1]:.2f} s" if latencies else "-"
    return (
        f"{clock(now.at):>5}  {frame.phase:<16}  in flight {now.in_flight:>3}  sent {now.sent:>5}  "
        f"replicas {now.ready} of {max(0, now.requested)}  {now.mode:<7}  {windows:<35}  "
        f"p95 {slow:<6}  failed {failed}"
    )


class View:
    """Shows frames: a live picture when the console is a terminal, else plain lines, in a `with` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        paints = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False) if paints else None
        self._shown: tuple[float, int, int, str] | None = None

    def __enter__(self) -> "View":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, frame: ViewFrame) -> None:
        """Show a frame; in plain lines only when something changed or `PLAIN_SECONDS` have passed."""
        if self._live:
            self._live.update(picture(frame), refresh=True)
            return
        now = frame.history.last
        if self._shown is None:
            self._say("\n".join(frame.scenario.statement()))
        elif (
            self._shown[1:] == (now.ready, now.requested, now.mode)
            and now.at < self._shown[0] + PLAIN_SECONDS
        ):
            return
        self._shown = (now.at, now.ready, now.requested, now.mode)
        self._say(plain_line(frame))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()
