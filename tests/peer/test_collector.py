"""Our collector reads the load of Knative's own queue-proxy while requests run through it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from metrics.collector import Collector, Target
from metrics.stat import Stat
from tests.peer.backend import Backend
from tests.peer.queues import Answer, Queue, ask, knative_queue, settings, wait_until, wait_until_ready

pytestmark = pytest.mark.peer

KEY = ("default", "hello-00001")
DEADLINE = 60.0
PROXIED = {"K-Proxy-Request": "activator"}


class Recorded:
    """Totals as the collector recorded them, with someone waiting for them."""

    def __init__(self) -> None:
        self.stats: list[tuple[int, Stat]] = []
        self._came = asyncio.Event()

    def __call__(self, key: tuple[str, str], stat: Stat, second: int) -> None:
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
    target = Target("hello-00001-pod", "127.0.0.1", queue.metrics, time.time() - 3600)
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


def test_reports_add_up_to_what_was_sent(queue: Queue) -> None:
    def send() -> float:
        headers = [PROXIED if i % 3 == 0 else {} for i in range(60)]
        with ThreadPoolExecutor(8) as pool:
            sent = list(pool.map(lambda h: ask(queue.serving, target="/echo", headers=h).status, headers))
        assert sent == [200] * 60
        return 0.0

    reports, _ = reports_of(queue, send)

    assert sum(report.request_count for report in reports) == 60
    assert sum(report.proxied_request_count for report in reports) == 20


def test_averages_add_up_to_the_time_in_flight(
    backend: Backend, queue: Queue, send: Callable[[int, dict[str, str]], list[Future[Answer]]]
) -> None:
    def hold() -> float:
        began = time.monotonic()
        asked = send(4, PROXIED)
        backend.wait_until_held(4)
        time.sleep(1.4)  # any time will do that is not a multiple of a report's
        backend.let_go()
        assert [answer.result().status for answer in asked] == [200] * 4
        return time.monotonic() - began

    reports, seconds = reports_of(queue, hold)

    in_flight = sum(report.average_concurrent_requests for report in reports)
    proxied = sum(report.average_proxied_concurrent_requests for report in reports)
    assert in_flight == pytest.approx(4 * seconds, rel=0.2)
    assert proxied == pytest.approx(in_flight)


def reports_of(queue: Queue, doing: Callable[[], float]) -> tuple[list[Stat], float]:
    """Do something and return each second's report of it, once; again if one of them was missed."""
    for _ in range(5):
        reports = Reports(queue)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(doing)
            while not done.done():
                reports.look()
            reports.look_until_idle()
        if reports.complete():
            return reports.since_the_first(), done.result()
    raise AssertionError("the machine is too busy to see every report")


class Reports:
    """The reports of a queue-proxy, which makes one a second and shows the latest."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._by_uptime: dict[float, Stat] = {}
        self.look_until_idle()
        self._by_uptime = dict([max(self._by_uptime.items())])

    def look(self) -> Stat:
        time.sleep(0.05)
        stat = Stat.decode(ask(self._queue.metrics, target="/metrics").body)
        self._by_uptime[stat.process_uptime] = stat
        return stat

    def look_until_idle(self) -> None:
        """Look until a report was made entirely after now, and says that there is no load."""
        until = self.look().process_uptime + 1.5
        wait_until(lambda: (stat := self.look()).process_uptime > until and not stat.request_count, DEADLINE)

    def complete(self) -> bool:
        return all(after - before < 1.5 for before, after in itertools.pairwise(sorted(self._by_uptime)))

    def since_the_first(self) -> list[Stat]:
        return [stat for _, stat in sorted(self._by_uptime.items())][1:]
