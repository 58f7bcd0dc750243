"""A simulation as a picture: load, replicas, panic and latency over time."""

import html
import io
import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kpa.simulate.report import rows
from kpa.simulate.results import Results

_POINTS = 600
"""Steps of time in a picture; finer ones would not be seen."""

_TITLE_WIDTH = 120
"""Characters of a title's line."""

LOAD, REQUESTED, READY, PANIC, FAST, SLOW = "#4c78a8", "#f58518", "#2e7d32", "#d62728", "#54a24b", "#b279a2"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }}
h2 {{ font-size: 1.1rem; }}
figure {{ margin: 0; background: #fff; border-radius: .4rem; overflow: hidden; }}
figure svg {{ width: 100%; height: auto; display: block; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8886; }}
th {{ font-weight: 400; }}
td {{ font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
<h1>{title}</h1>
<figure role="img" aria-label="Load, replicas and latency over time">{picture}</figure>
<h2>Numbers</h2>
<table>{numbers}</table>
<h2>Assumptions</h2>
<table>{assumptions}</table>
</body>
</html>
"""


def draw(results: Results, title: str) -> Figure:
    """Draw three panels over one axis of time: load, replicas, latency; panic is a band through all."""
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    load, replicas, latency = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 2))
    edges = np.linspace(0.0, results.length, _POINTS + 1)
    minutes = edges / 60
    flying = results.in_flight(edges)
    load.plot(minutes, flying, color=LOAD, lw=1.2, label="requests in flight")
    arriving = np.histogram(results.arrived, edges)[0] / np.diff(edges)
    load.stairs(arriving, minutes, color=LOAD, alpha=0.35, fill=True, label="arrivals a second")
    requested = np.maximum(results.series("requested", edges), 0.0)
    pods, ready = results.series("pods", edges), results.series("ready", edges)
    replicas.fill_between(
        minutes, pods, color=READY, alpha=0.15, step="post", lw=0, label="starting, stopping"
    )
    replicas.fill_between(minutes, ready, color=READY, alpha=0.45, step="post", lw=0, label="ready")
    replicas.step(minutes, requested, color=REQUESTED, lw=1.3, where="post", label="requested")
    for name, values, color in _latency(results, edges):
        latency.plot((minutes[:-1] + minutes[1:]) / 2, values, color=color, lw=1.2, label=name)
    _finish(figure, results, title)
    return figure


def _finish(figure: Figure, results: Results, title: str) -> None:
    """Panic bands, names and limits of all panels."""
    bands = panic_bands(results)
    for axes, name in zip(figure.axes, ("load", "replicas", "latency, s"), strict=True):
        for number, (begin, end) in enumerate(bands):
            first = number == 0 and name == "replicas"
            axes.axvspan(
                begin / 60, end / 60, color=PANIC, alpha=0.10, lw=0, label="panic" if first else None
            )
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        axes.margins(x=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), fontsize=8, ncols=4, frameon=False)
    figure.axes[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[-1].set_xlabel("minutes")
    figure.suptitle(textwrap.fill(title, _TITLE_WIDTH), fontsize=11)


def panic_bands(results: Results) -> list[tuple[float, float]]:
    """Return begin and end of each time in panic, seconds."""
    bands: list[tuple[float, float]] = []
    ends = [state.at for state in results.states[1:]] + [results.length]
    for state, end in zip(results.states, ends, strict=True):
        if state.panicking and bands and bands[-1][1] == state.at:
            bands[-1] = (bands[-1][0], end)
        elif state.panicking:
            bands.append((state.at, end))
    return bands


def _latency(results: Results, edges: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64], str]]:
    """Median and 95 % latency of the requests that came within each step of time, gaps where none did."""
    step = max(1, _POINTS // 120)  # a percentile needs more requests than a twentieth of a picture's inch has
    done = ~np.isnan(results.ended)
    place = np.searchsorted(edges[::step], results.arrived[done], side="right") - 1
    values = (results.ended - results.arrived)[done]
    lines = []
    for name, quantile, color in (("p50", 0.5, FAST), ("p95", 0.95, SLOW)):
        per_step = [
            float(np.quantile(values[place == number], quantile)) if (place == number).any() else np.nan
            for number in range(len(edges[::step]) - 1)
        ]
        lines.append((name, np.repeat(per_step, step), color))
    return lines


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def page(results: Results, title: str, price: float | None, assumptions: Mapping[str, str]) -> str:
    """Return a self-contained HTML page: the picture, the numbers, what was assumed."""
    file = io.StringIO()
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "kpa", "font.family": "sans-serif"}
    with mpl.rc_context(style):
        draw(results, "").savefig(file, format="svg", metadata={"Date": None})
    picture = file.getvalue()
    numbers = {name: texts[0] for name, texts in rows([results.summary()], price)}
    return _PAGE.format(
        title=html.escape(title),
        picture=picture[picture.index("<svg") :],
        numbers=_html_rows(numbers),
        assumptions=_html_rows(assumptions),
    )


def _html_rows(texts: Mapping[str, str]) -> str:
    return "".join(
        f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>\n"
        for name, text in texts.items()
    )
