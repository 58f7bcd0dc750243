"""Aspects: how many connections are opened when, and whose turn it is."""

import asyncio

import pytest

from metrics.sampling.failures import Failure
from metrics.scraping.connection import ScrapeConnection
from metrics.scraping.connector import Connector
from metrics.stat import Stat


class Wisher:
    """Wants a connection to a port where nobody listens."""

    address = ("127.0.0.1", 9)
    request = b""
    wants_connection = True

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def connect_failed(self) -> None:
        self.log.append(self.name)

    def connected(self, connection: ScrapeConnection) -> None:
        raise AssertionError("port 9 accepts nobody")

    def answered(self, stat: Stat) -> None: ...

    def failed(self, failure: Failure) -> None: ...

    def lost(self, connection: ScrapeConnection, retry: bool) -> None: ...


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of pods in the order in which connections were begun, none of which is really opened."""
    opened: list[str] = []

    def begin(connector: Connector, pod: Wisher, addresses: object, now: float) -> None:
        opened.append(pod.name)

    monkeypatch.setattr(Connector, "_begin", begin)
    return opened


async def test_the_rate_of_connections_is_bounded(opened: list[str]) -> None:
    connector = Connector(rate=100.0, burst=10.0)
    for number in range(1000):
        connector.want(Wisher(str(number), opened), later=False)
    counts = []
    for now in (0.0, 0.0, 0.01, 0.05, 0.05, 10.0):
        connector.turn(now)
        counts.append(len(opened))
    assert counts == [10, 10, 11, 15, 15, 25]
    assert connector.busy
    await connector.close()
    assert not connector.busy


async def test_a_clock_set_back_neither_stops_nor_floods(opened: list[str]) -> None:
    connector = Connector(rate=100.0, burst=2.0)
    for number in range(10):
        connector.want(Wisher(str(number), opened), later=False)
    for now in (1000.0, 10.0, 10.015):
        connector.turn(now)
    assert len(opened) == 3


async def test_pods_that_keep_failing_come_after_the_others(opened: list[str]) -> None:
    connector = Connector(rate=100.0, burst=2.0)
    for name, later in [("bad", True), ("new", False), ("worse", True), ("newer", False)]:
        connector.want(Wisher(name, opened), later=later)
    connector.turn(0.0)
    connector.turn(1.0)
    assert opened == ["new", "newer", "bad", "worse"]


async def test_who_left_the_queue_costs_nothing(opened: list[str]) -> None:
    connector = Connector(rate=100.0, burst=1.0)
    gone = Wisher("gone", opened)
    gone.wants_connection = False
    connector.want(gone, later=False)
    connector.want(Wisher("here", opened), later=False)
    connector.turn(0.0)
    assert opened == ["here"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["being opened", "being resolved"])
async def test_closing_ends_what_is_under_way(host: str) -> None:
    log: list[str] = []
    connector = Connector()
    pod = Wisher("slow", log)
    pod.address = host, 9
    connector.want(pod, later=False)
    connector.turn(0.0)
    await connector.close()
    connector.poller.turn(0.0)
    assert not connector.busy
    assert len(asyncio.all_tasks()) == 1
    assert log == []
