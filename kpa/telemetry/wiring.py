"""Connects telemetry to a reconciler and a stat server, in each application."""

import asyncio
from collections import Counter
from collections.abc import Callable

from kpa.controller.hooks import Hooks
from kpa.controller.reconciler import Reconciler
from kpa.runtime.heartbeat import Heartbeat
from kpa.telemetry.telemetry import Telemetry
from metrics.stat_server import StatServer


def hooks(telemetry: Telemetry, heartbeat: Heartbeat, dropped: Callable[[], Counter[str]]) -> Hooks:
    """Return what a reconciler is made with.

    Parameters
    ----------
    telemetry : Telemetry
    heartbeat : Heartbeat
        Beats with each tick.
    dropped : callable
        Gives the stat server's counts of stats that nobody can use, once there is one.
    """

    def ticked(seconds: float) -> None:
        telemetry.observe_tick(seconds)
        heartbeat.beat(asyncio.get_running_loop().time())

    def count_stats(received: int, unknown: int) -> None:
        telemetry.count_stats(received)
        if unknown:
            dropped()["unknown_revision"] += unknown

    return Hooks(
        tick=ticked,
        scrape=telemetry.observe_scrape,
        scale=telemetry.count_scale,
        stats=count_stats,
    )


def follow_failures(telemetry: Telemetry, reconciler: Reconciler, stat_server: StatServer) -> None:
    """Export what collector and stat server count of things that went wrong."""
    follow_scrapes(telemetry, reconciler)
    telemetry.follow("kpa_stats_dropped", "Stats received that nobody can use.", stat_server.dropped)


def follow_forwarding(telemetry: Telemetry, outcomes: Counter[str]) -> None:
    """Export what became of stats that were another replica's."""
    telemetry.follow("kpa_stats_forwarded", "Stats of revisions of other replicas.", outcomes, "outcome")


def follow_scrapes(telemetry: Telemetry, reconciler: Reconciler) -> None:
    """Export what the collector counts of things that went wrong."""
    failures = reconciler.collector.failures
    telemetry.follow("kpa_scrape_failures", "Scrapes of a pod that gave no stat.", failures)
