"""What a run of the fleet's benchmark says: a table with ratios, and a plot."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fleet_stages import Figures, quantile

ROWS: Sequence[tuple[str, Callable[[Figures], float], str]] = (
    ("take-up, s", lambda each: each.take_up, "8.1f"),
    ("  the API server alone, s", lambda each: each.alone, "8.1f"),
    ("  revisions taken up", lambda each: each.taken_up, "8.0f"),
    ("  CPU, s", lambda each: each.take_up_cpu, "8.1f"),
    ("  writes", lambda each: each.writes, "8.0f"),
    ("  conflicts among them", lambda each: each.conflicts, "8.0f"),
    ("restart until all pods asked, s", lambda each: each.restart, "8.1f"),
    ("cores at rest", lambda each: each.cores, "8.3f"),
    ("CPU per pod asked, us", lambda each: each.scrape_us, "8.1f"),
    ("RSS, MiB", lambda each: each.rss, "8.1f"),
    ("event loop late by at most, ms", lambda each: 1e3 * each.lag, "8.1f"),
    ("writes at rest", lambda each: each.writes_at_rest, "8.0f"),
    ("reaction at rest, p50 ms", lambda each: 1e3 * quantile(each.reaction, 0.5), "8.1f"),
    ("reaction at rest, p99 ms", lambda each: 1e3 * quantile(each.reaction, 0.99), "8.1f"),
    ("reaction in take-up, p50 ms", lambda each: 1e3 * quantile(each.reaction_in_take_up, 0.5), "8.1f"),
    ("reaction in take-up, p99 ms", lambda each: 1e3 * quantile(each.reaction_in_take_up, 0.99), "8.1f"),
)


def table(figures: Sequence[Figures]) -> str:
    """Return what was measured of one fleet, an autoscaler a column; ratios are Knative's by ours."""
    first = figures[0]
    heads = "".join(f"{each.autoscaler:>10}" for each in figures)
    lines = [f"\n{f'{first.revisions} revisions x {first.pods} pods':34}{heads}{'ratio':>9}"]
    for name, value, form in ROWS:
        of_take_up = name.startswith("  ") or "take-up" in name
        values = {each.autoscaler: value(each) for each in figures if each.taken_up or not of_take_up}
        shown = "".join(
            f"{values[each.autoscaler]:>10{form[1:]}}" if each.autoscaler in values else f"{'-':>10}"
            for each in figures
        )
        lines.append(f"{name:34}{shown}{'' if name.startswith('  revisions') else _ratio(values)}")
    loads = ", ".join(f"{each.load:.1f}" for each in figures)
    return "\n".join([*lines, f"{'load of the machine before':34}{loads:>10}", ""])


def _ratio(values: dict[str, float]) -> str:
    ours, theirs = values.get("kpa", 0.0), values.get("knative", 0.0)
    return f"{theirs / ours:8.1f}x" if ours > 0 and theirs > 0 else ""


def plot(figures: Sequence[Figures], file: Path) -> str:
    """Draw cost against revisions, and say where, or that nothing was drawn."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 # not needed to measure
    except ImportError:
        return " (no plot: matplotlib is not installed)"
    drawing = Figure(figsize=(10, 3.2), layout="constrained")
    panels = (("cores at rest", "cores"), ("RSS, MiB", "rss"), ("take-up, s", "take_up"))
    for axes, (title, name) in zip(drawing.subplots(1, len(panels)), panels, strict=True):
        for autoscaler in dict.fromkeys(each.autoscaler for each in figures):
            some = [each for each in figures if each.autoscaler == autoscaler]
            points = [(each.revisions, getattr(each, name)) for each in some if getattr(each, name)]
            axes.plot(*zip(*points, strict=True), "o-", label=autoscaler)
        axes.set(title=title, xlabel="revisions", ylim=(0, None))
        axes.legend()
    drawing.savefig(file)
    return f", {file}"
