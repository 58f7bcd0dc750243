"""Knative's queue-proxy and ours count alike: what their reports add up to is what was sent."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from metrics.stat import Stat
from tests.peer.backend import Backend
from tests.peer.queues import Queue, ask, knative_queue, kpa_queue, settings, wait_until, wait_until_ready

pytestmark = pytest.mark.peer

DEADLINE = 60.0
PROXIED = {"K-Proxy-Request": "activator"}


@pytest.fixture(scope="module", params=[knative_queue, kpa_queue])
def queue(request: pytest.FixtureRequest, backend: Backend) -> Iterator[Queue]:
    with request.param(settings(backend.port, CONTAINER_CONCURRENCY="2")) as queue:
        wait_until_ready(queue)
        yield queue


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


def test_averages_add_up_to_the_time_in_flight_and_in_the_queue(backend: Backend, queue: Queue) -> None:
    def hold() -> float:
        began = time.monotonic()
        with ThreadPoolExecutor(5) as pool:
            asked = [pool.submit(ask, queue.serving, target="/held", headers=PROXIED) for _ in range(5)]
            backend.wait_until_held(2)
            time.sleep(2.4)  # any time will do that is not a multiple of a report's
            held = time.monotonic() - began
            while not all(answer.done() for answer in asked):
                backend.let_go()
                time.sleep(0.01)
        assert [answer.result().status for answer in asked] == [200] * 5
        return held

    reports, seconds = reports_of(queue, hold)

    in_flight = sum(report.average_concurrent_requests for report in reports)
    proxied = sum(report.average_proxied_concurrent_requests for report in reports)
    assert in_flight == pytest.approx(5 * seconds, rel=0.3)
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
