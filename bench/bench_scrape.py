"""CPU time per pod scraped, of our process alone: bare sockets, our collector, a whole reconciler, aiohttp.

Unit of work: one pod asked once, everything included: request, parse, decode, check, extrapolate, record. The
pods are kept-alive connections to one server in a child process, whose CPU is not counted, and which never
takes a core from us in the middle of a turn, as pods on other machines do not. Answers are as long as a
queue-proxy's, dated, and different each time: a third each of idle pods, busy ones, and busy ones behind an
activator.

    floor        sends and receives in a loop over plain sockets, in the collector's rhythm; reads no answer
    collector    as in service, each revision once a second
    reconciler   the same with windows, ticks and decisions; `cores` is what the fleet costs at rest
    aiohttp      a task each, as fast as it can, which flatters it: its caches stay warm

User and system time tell Python from the kernel; on the loopback the kernel also takes the request to the
server, in our name. Knative v0.48.1 was measured on such a machine: 100 to 335 microseconds a pod, its cores
at rest divided by pods.

    python bench/bench_scrape.py --revisions 1000 --pods 3 --seconds 5
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import aiohttp
from scrape_pods import POD, serve

from config.autoscaler import AutoscalerConfig
from kpa.controller.cluster import Listener, Outcome
from kpa.controller.hooks import Hooks
from kpa.controller.reconciler import Reconciler
from kpa.controller.revisions import Pod, Revision
from metrics.key import Key
from metrics.scraping.collector import Collector, PodTarget
from metrics.scraping.connection import request_bytes
from metrics.stat import Stat

try:
    import uvloop
except ImportError:
    uvloop = None

_CONNECTIONS_A_SECOND = 1000
"""Half of what the collector opens at most; while it connects, nothing is measured."""

_PLACES, _CROWD, _PAUSE = 10, 100, 0.05
"""Moments of a second at which requests are sent, revisions at each, seconds to the next: the collector's."""

_KNATIVE = (100, 335)
"""Microseconds a pod: 200 and 1,000 revisions x 3 pods."""


def _runner(loop: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run if loop == "asyncio" else uvloop.run


class Cost(NamedTuple):
    """Microseconds of CPU for each pod scraped, and cores in use."""

    scrapes: int
    user: float
    system: float
    cores: float


@contextlib.contextmanager
def _measured(costs: list[Cost], scraped: Callable[[], int]) -> Iterator[None]:
    began, before, scrapes = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF), scraped()
    yield
    after, scrapes, seconds = (
        resource.getrusage(resource.RUSAGE_SELF),
        scraped() - scrapes,
        time.monotonic() - began,
    )
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    each = 1e6 / max(1, scrapes)
    costs.append(Cost(scrapes, user * each, system * each, (user + system) / seconds))


def _host(number: int) -> str:
    return f"127.0.0.{1 + number % 200}"


async def floor(port: int, revisions: int, pods: int, seconds: float) -> Cost:
    """Return the cost of sending and receiving alone."""
    request, costs, scraped = request_bytes("127.0.0.1", port), list[Cost](), 0
    socks = [socket.create_connection((_host(number), port)) for number in range(revisions * pods)]
    places = min(_PLACES, -(-revisions // _CROWD))
    await asyncio.sleep(1.0)
    with _measured(costs, lambda: scraped):
        for turn in range(int(seconds) * (places + 1)):
            group = socks[turn % (places + 1) :: places] if turn % (places + 1) < places else []
            for sock in group:
                sock.send(request)
            await asyncio.sleep(_PAUSE if group else 1.0 - places * _PAUSE)
            for sock in group:
                sock.recv(1024)
            scraped += len(group)
    for sock in socks:
        sock.close()
    return costs[0]


async def collector(port: int, revisions: int, pods: int, seconds: float) -> Cost:
    """Return the cost of a collector in service."""
    recorded, costs = 0, list[Cost]()

    def record(key: Key, total: Stat, second: int) -> None:
        nonlocal recorded
        assert total.timestamp == second
        recorded += 1

    collector = Collector(record, lambda key: None)
    for number in range(revisions):
        targets = [PodTarget(POD, _host(number + pod), port, float(pod)) for pod in range(pods)]
        key = Key("bench", f"revision-{number}")
        collector.watch(key, targets, stable_window=60.0, panic_window=6.0, missing_stats="zero")
    running = asyncio.create_task(collector.run())
    await asyncio.sleep(revisions * pods / _CONNECTIONS_A_SECOND + 2.0)
    assert recorded >= revisions, "every pod is connected before we measure"
    with _measured(costs, lambda: recorded * pods):
        await asyncio.sleep(seconds)
    running.cancel()
    await collector.close()
    return costs[0]


class _AtRest:
    """A cluster whose revisions stay as they are."""

    def __init__(self, revisions: list[Revision]) -> None:
        self.revisions = revisions

    def watch(self, listener: Listener) -> None:
        for revision in self.revisions:
            listener(revision.key, revision)

    def carry_out(self, key: Key, outcome: Outcome) -> None: ...


async def reconciler(port: int, revisions: int, pods: int, seconds: float) -> Cost:
    """Return the cost of a reconciler with all its parts but the cluster's client."""
    costs = list[Cost]()
    scale = {"autoscaling.knative.dev/min-scale": str(pods), "autoscaling.knative.dev/max-scale": str(pods)}
    fleet = [
        Revision(
            Key("bench", f"revision-{number}"),
            "service",
            "configuration",
            scale,
            replicas=pods,
            pods=tuple(Pod(POD, _host(number + pod), port, 8012, True, float(pod)) for pod in range(pods)),
        )
        for number in range(revisions)
    ]
    ended = 0

    def count(key: Key, seconds: float) -> None:
        nonlocal ended
        ended += 1

    hooks = Hooks(scrape=count)
    reconciler = Reconciler(
        _AtRest(fleet), AutoscalerConfig(), activator_answers=lambda key: True, hooks=hooks
    )
    running = [asyncio.create_task(part) for part in (reconciler.run(), reconciler.collector.run())]
    await asyncio.sleep(revisions * pods / _CONNECTIONS_A_SECOND + 4.0)
    with _measured(costs, lambda: ended * pods):
        await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await reconciler.collector.close()
    return costs[0]


async def plain_aiohttp(port: int, revisions: int, pods: int, seconds: float) -> Cost:
    """Return the cost of one aiohttp GET a pod."""
    fleet = min(revisions * pods, 500)  # connections kept alive; more make it no cheaper
    until, scraped, costs = time.monotonic() + seconds, 0, list[Cost]()

    async def scrape(session: aiohttp.ClientSession) -> None:
        headers = {"Accept": "application/protobuf"}
        async with session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as response:
            assert response.status == 200
            assert Stat.decode(await response.read()).pod_name == POD

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(scrape(session) for _ in range(fleet)))
        with _measured(costs, lambda: scraped):
            while time.monotonic() < until:
                await asyncio.gather(*(scrape(session) for _ in range(fleet)))
                scraped += fleet
    return costs[0]


def main() -> None:
    """Run all variants and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--revisions", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=3, help="pods of a revision, at most 3: all are asked")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each variant")
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    child.start()
    port = ours.recv()
    try:
        _measure(port, arguments.revisions, min(arguments.pods, 3), arguments.seconds)
    finally:
        ours.send("stop")
        child.join(5)
        child.kill()


def _measure(port: int, revisions: int, pods: int, seconds: float) -> None:
    print(f"{revisions} revisions x {pods} pods, {seconds:g} s a variant; microseconds of CPU a scrape")
    print(
        f"{'client':<12}{'loop':<9}{'scrapes':>8}{'user':>7}{'system':>8}{'total':>7}{'cores':>7}{'Knative/this':>14}"
    )
    for loop in ("asyncio", "uvloop") if uvloop else ("asyncio",):
        for client in (floor, collector, reconciler, plain_aiohttp):
            scrapes, user, system, cores = _runner(loop)(client(port, revisions, pods, seconds))
            total = user + system
            ratio = "-".join(f"{knative / total:.0f}" for knative in _KNATIVE)
            name = client.__name__.removeprefix("plain_")
            print(
                f"{name:<12}{loop:<9}{scrapes:>8}{user:>7.1f}{system:>8.1f}{total:>7.1f}{cores:>7.3f}{ratio:>14}"
            )


if __name__ == "__main__":
    main()
