"""A collector on a virtual clock, with real servers in the place of pods and services.

Each virtual second has two moments: at its half all rounds have begun and what answers has answered, at 0.95
the deadlines are past. What is recorded at the half was delayed by nobody.
"""

from collections.abc import Callable, Sequence

from metrics.key import Key
from metrics.sampling.failures import ScrapeProblem
from metrics.sampling.gap_filling import MissingStats
from metrics.sampling.routing import PodAccess
from metrics.scraping.collector import Collector
from metrics.scraping.revision_scraper import PODS_ONLY, RevisionScraper
from metrics.stat import Stat
from tests.metrics.fake_pods import Behaviour, FakePod, healthy, until

START = 1_000_000


class Rig:
    """A collector on a virtual clock, and what it records."""

    def __init__(self) -> None:
        self.now = START - 0.05
        self.records: dict[Key, list[tuple[int, float]]] = {}
        self.forgotten: list[Key] = []
        self.durations: list[float] = []
        self.problems: list[tuple[Key, ScrapeProblem | None]] = []
        self.pods: list[FakePod] = []
        self.addresses: dict[str, list[str]] = {}
        self.collector = Collector(
            self._record,
            self.forgotten.append,
            clock=lambda: self.now,
            observe=self._observe,
            on_problem=lambda key: self.problems.append((key, self.collector.problem(key))),
            look_up=lambda name: self.addresses.get(name, ()),
        )
        self.collector.turn(self.now)

    def _record(self, key: Key, stat: Stat, second: int) -> None:
        assert stat.pod_name == "service-scraper"
        assert stat.timestamp == second
        assert stat.request_count == 2 * stat.average_concurrent_requests
        self.records.setdefault(key, []).append((second - START, stat.average_concurrent_requests))

    def _observe(self, key: Key, seconds: float) -> None:
        self.durations.append(seconds)

    async def pod(self, concurrency: float = 1.0, behaviour: Behaviour = healthy) -> FakePod:
        pod = FakePod(concurrency, behaviour)
        await pod.start()
        self.pods.append(pod)
        return pod

    def watch(
        self,
        key: Key,
        pods: Sequence[FakePod],
        policy: MissingStats = "hold",
        panic: float = 6.0,
        access: PodAccess = PODS_ONLY,
    ) -> None:
        targets = [pod.target(f"pod-{number}") for number, pod in enumerate(pods)]
        self.collector.watch(
            key, targets, stable_window=60.0, panic_window=panic, missing_stats=policy, access=access
        )

    async def turn(self, now: float, mute: Sequence[FakePod] = ()) -> None:
        """Do what is due, and wait until every pod asked has answered or failed, or is mute and connected."""
        self.now = START + now
        self.collector.turn(self.now)
        ports = {pod.port for pod in mute}

        def settled() -> bool:
            return not any(self._is_busy(scraper, ports) for scraper in self.collector._scrapers.values())

        await self.until(settled)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition that the collector brings about at this very time."""

        def holds() -> bool:
            self.collector.turn(self.now)
            return bool(condition())

        await until(holds)

    def _is_busy(self, scraper: RevisionScraper, mute: set[int]) -> bool:
        """Some pod or service owes an answer, and is not one that never gives it."""
        if scraper.round._open and scraper.round._batch is not None:
            return True
        waiting = [pod for pod in scraper.pods.values() if pod.waiting]
        if any(pod.target.port not in mute or not pod.connection for pod in waiting):
            return True
        service = scraper._service
        return service is not None and service.waiting and service.target.port not in mute

    async def begin(self, second: int, mute: Sequence[FakePod] = ()) -> None:
        await self.turn(second + 0.5, mute)

    async def end(self, second: int, mute: Sequence[FakePod] = ()) -> None:
        await self.turn(second + 0.95, mute)

    async def seconds(self, first: int, last: int, mute: Sequence[FakePod] = ()) -> None:
        for second in range(first, last + 1):
            await self.begin(second, mute)
            await self.end(second, mute)

    async def end_all(self) -> None:
        """Close the collector, see that no connection is left, and end the servers."""
        await self.collector.close()
        for pod in self.pods:
            await until(lambda pod=pod: not pod.open)
            await pod.stop()
