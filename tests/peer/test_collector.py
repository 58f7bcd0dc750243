"""Our collector reads the load of Knative's own queue-proxy while requests run through it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from metrics.key import Key
from metrics.scraping.collector import Collector, PodTarget
from metrics.stat import Stat
from tests.peer.backend import Backend
from tests.peer.queues import Answer, Queue, ask, knative_queue, settings, wait_until_ready

pytestmark = pytest.mark.peer

KEY = Key("default", "hello-00001")
DEADLINE = 60.0
PROXIED = {"K-Proxy-Request": "activator"}


class Recorded:
    """Totals as the collector recorded them, with someone waiting for them."""

    def __init__(self) -> None:
        self.stats: list[tuple[int, Stat]] = []
        self._came = asyncio.Event()

    def __call__(self, key: Key, stat: Stat, second: int) -> None:
        assert key == KEY
        self.stats.append((second, stat))
        self._came.set()

    async def wait_for(self, wanted: Callable[[Stat], bool]) -> Stat:
        """Return the first total recorded from now on that is as wanted."""
        begin = len(self.stats)
        async with asyncio.timeout(DEADLINE):
            while True:
                for _, stat in self.stats[begin:]:
                    if wanted(stat):
                        return stat
                self._came.clear()
                await self._came.wait()


@pytest.fixture(scope="module")
def queue(backend: Backend) -> Iterator[Queue]:
    with knative_queue(settings(backend.port, CONTAINER_CONCURRENCY="0")) as queue:
        wait_until_ready(queue)
        yield queue


@pytest.fixture
async def recorded(queue: Queue) -> AsyncIterator[Recorded]:
    """What a running collector records of the one pod."""
    recorded = Recorded()
    collector = Collector(recorded, lambda key: None)
    target = PodTarget("hello-00001-pod", "127.0.0.1", queue.metrics, time.time() - 3600)
    collector.watch(KEY, [target], stable_window=60.0, panic_window=6.0, missing_stats="hold")
    running = asyncio.create_task(collector.run())
    yield recorded
    running.cancel()
    await asyncio.wait([running])
    await collector.close()


@pytest.fixture
def send(backend: Backend, queue: Queue) -> Iterator[Callable[[int, dict[str, str]], list[Future[Answer]]]]:
    """Send requests that the backend holds."""
    with ThreadPoolExecutor(20) as pool:

        def send(number: int, headers: dict[str, str]) -> list[Future[Answer]]:
            return [pool.submit(ask, queue.serving, target="/held", headers=headers) for _ in range(number)]

        yield send
        backend.let_go()


async def test_requests_in_flight_are_read_exactly(
    backend: Backend, recorded: Recorded, send: Callable[[int, dict[str, str]], list[Future[Answer]]]
) -> None:
    send(5, {})
    send(3, PROXIED)
    await asyncio.to_thread(backend.wait_until_held, 8)

    stat = await recorded.wait_for(lambda stat: stat.average_concurrent_requests > 7.999)

    assert stat.average_concurrent_requests == pytest.approx(8, abs=1e-9)
    assert stat.average_proxied_concurrent_requests == pytest.approx(3, abs=1e-9)

    backend.let_go()
    idle = await recorded.wait_for(lambda stat: stat.average_concurrent_requests == 0)
    assert (idle.request_count, idle.proxied_request_count) == (0, 0)


async def test_every_second_is_recorded_once(recorded: Recorded) -> None:
    await recorded.wait_for(lambda stat: len(recorded.stats) >= 5)

    seconds = [second for second, _ in recorded.stats]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
