"""CPU time per pod scraped: our collector beside a plain aiohttp client, on asyncio and on uvloop.

Unit of work: one pod asked once, everything included: request, parse, decode, check, extrapolate, record. The
pods are kept-alive connections to one server in a child process, whose CPU is not counted; the answer is as
long as a queue-proxy's. The collector runs as it does in service, each revision once a second; the aiohttp
client makes the same requests, a task each, as fast as it can, which flatters it: its caches stay warm.
Budget: 10 microseconds.

    python bench/bench_scrape.py --revisions 1000 --pods 3 --seconds 5
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection as Pipe
from typing import Any

import aiohttp

from metrics.collector import Collector, Target
from metrics.stat import Stat

try:
    import uvloop
except ImportError:
    uvloop = None

_POD = "hello-00001-deployment-5d9c7b6f4d-x2x7k"
_BODY = Stat(_POD, 3.25, 0.5, 12.0, 2.0, 1234.5).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_CONNECTIONS_A_SECOND = 1000
"""Half of what the collector opens at most; while it connects, nothing is measured."""


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(_ANSWER * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


def _serve(pipe: Pipe) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Server, "0.0.0.0", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.poll, None)

    _runner("uvloop" if uvloop else "asyncio")(serve())


def _runner(loop: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run if loop == "asyncio" else uvloop.run


async def collector(port: int, revisions: int, pods: int, seconds: float) -> tuple[float, int]:
    """Return CPU seconds and pods scraped of a collector in service."""
    recorded = 0

    def record(key: tuple[str, str], total: Stat, second: int) -> None:
        nonlocal recorded
        assert total.average_concurrent_requests > 0
        recorded += 1

    collector = Collector(record, lambda key: None)
    for number in range(revisions):
        targets = [Target(_POD, f"127.0.0.{1 + pod}", port, 0.0) for pod in range(pods)]
        name = "bench", f"revision-{number}"
        collector.watch(name, targets, stable_window=60.0, panic_window=6.0, missing_stats="zero")
    running = asyncio.create_task(collector.run())
    await asyncio.sleep(revisions * pods / _CONNECTIONS_A_SECOND + 2.0)
    assert recorded >= revisions, "every pod is connected before we measure"
    recorded, began = 0, time.process_time()
    await asyncio.sleep(seconds)
    spent, scraped = time.process_time() - began, recorded * pods
    running.cancel()
    await collector.close()
    return spent, scraped


async def plain_aiohttp(port: int, revisions: int, pods: int, seconds: float) -> tuple[float, int]:
    """Return CPU seconds and pods scraped of one aiohttp GET a pod."""
    fleet = min(revisions * pods, 500)  # connections kept alive; more make it no cheaper
    until = time.monotonic() + seconds
    scraped = 0

    async def scrape(session: aiohttp.ClientSession) -> None:
        headers = {"Accept": "application/protobuf"}
        async with session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as response:
            assert response.status == 200
            assert Stat.decode(await response.read()).average_concurrent_requests > 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(scrape(session) for _ in range(fleet)))
        began = time.process_time()
        while time.monotonic() < until:
            await asyncio.gather(*(scrape(session) for _ in range(fleet)))
            scraped += fleet
        spent = time.process_time() - began
    return spent, scraped


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
    child = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    child.start()
    port = ours.recv()
    try:
        _measure(port, arguments.revisions, min(arguments.pods, 3), arguments.seconds)
    finally:
        ours.send("stop")
        child.join(5)
        child.kill()


def _measure(port: int, revisions: int, pods: int, seconds: float) -> None:
    print(f"{revisions} revisions x {pods} pods, {seconds:g} s a variant")
    print(f"{'client':<16}{'loop':<10}{'scrapes':>9}{'us CPU/scrape':>15}{'aiohttp/ours':>14}")
    for loop in ("asyncio", "uvloop") if uvloop else ("asyncio",):
        cost = {}
        for client in (plain_aiohttp, collector):
            spent, scraped = _runner(loop)(client(port, revisions, pods, seconds))
            cost[client] = spent / max(1, scraped) * 1e6
            ratio = f"{cost[plain_aiohttp] / cost[client]:.1f}" if client is collector else ""
            print(f"{client.__name__:<16}{loop:<10}{scraped:>9}{cost[client]:>15.1f}{ratio:>14}", flush=True)


if __name__ == "__main__":
    main()
