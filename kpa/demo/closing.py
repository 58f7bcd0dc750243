"""What the demonstration says when it is over: a table, the way from zero to zero, a verdict."""

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from kpa.demo.history import ServiceHistory, percentiles
from kpa.demo.player import RequestOutcome
from kpa.demo.scenario import DemoScenario
from kpa.demo.view import clock, cost_text


def closing_table(
    scenario: DemoScenario, history: ServiceHistory, outcomes: Sequence[RequestOutcome]
) -> Table:
    """Sum up a run."""
    good = [outcome.latency for outcome in outcomes if outcome.status == 200]
    p50, p95, p99 = percentiles(good)
    table = Table(box=box.SIMPLE, show_header=False, title="What happened", title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    table.add_row(
        "requests", f"{len(outcomes)}: {len(good)} answered 200, {len(outcomes) - len(good)} others"
    )
    table.add_row("latency", f"p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s")
    cold = sum(outcome.cold for outcome in outcomes)
    table.add_row("cold starts", f"{cold} of the requests waited for a replica to load")
    table.add_row("peak", f"{history.peak_ready} replicas ready of at most {scenario.max_scale}")
    table.add_row("panic mode", f"{history.panic_seconds:.0f} s")
    table.add_row("cost", cost_text(history, scenario.max_scale))
    table.add_row("ready replicas", timeline(history))
    return table


def timeline(history: ServiceHistory) -> str:
    """Write the numbers of ready replicas in a row, with the time of each change."""
    return " → ".join(f"{ready} ({clock(at)})" for at, ready in history.steps())


def problems(history: ServiceHistory, outcomes: Sequence[RequestOutcome]) -> list[str]:
    """List why a run is no success; empty when it went 0 -> N -> 0 and every request was answered 200."""
    found = []
    failures = Counter(outcome.error for outcome in outcomes if outcome.status != 200)
    if failures:
        found.append(f"{failures.total()} of {len(outcomes)} requests failed")
        found += [f"  {number} x {error}" for error, number in failures.most_common(5)]
    if not history.is_at_zero:
        found.append(f"the service did not come back to zero; {history.last.pods} replicas are left")
    elif not history.went_up_and_down:
        found.append("the service did not go from zero to some replicas and back")
    return found


def close(
    console: Console, scenario: DemoScenario, history: ServiceHistory, outcomes: Sequence[RequestOutcome]
) -> int:
    """Print table and verdict; return the exit code, 0 for a success and 1 otherwise."""
    console.print(closing_table(scenario, history, outcomes))
    found = problems(history, outcomes)
    if not found:
        peak = history.peak_ready
        console.print(f"The service went 0 → {peak} → 0 and every request was answered.", style="green")
    for problem in found:
        console.print(problem, style="red", markup=False, highlight=False)
    return 1 if found else 0
