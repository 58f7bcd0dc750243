"""Names become addresses in threads; slow and failing look-ups delay nobody else."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from metrics.scraping.resolver import Resolver, look_up
from tests.metrics.fake_pods import until


class Dns:
    """Knows some names; some take until they are released."""

    def __init__(self) -> None:
        self.now = 0.0
        self.known: dict[str, list[str]] = {"a": ["127.0.0.1"], "b": ["127.0.0.2"]}
        self.slow: dict[str, threading.Event] = {}
        self.asked: list[str] = []
        self.resolver = Resolver(self._look_up, lambda: self.now)

    def _look_up(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name in self.slow:
            assert self.slow[name].wait(20)
        if name not in self.known:
            raise OSError("no such name")
        return self.known[name]

    async def find(self, name: str) -> Sequence[str]:
        found: list[Sequence[str]] = []
        known = self.resolver.find(name, found.append)
        assert not found, "nobody is called before find returns"
        if not known:
            await until(lambda: found)
        return known or found[0]

    async def idle(self) -> None:
        await until(lambda: not self.resolver._waiting)


@pytest.fixture
def dns() -> Iterator[Dns]:
    dns = Dns()
    yield dns
    for event in dns.slow.values():
        event.set()
    dns.resolver.close()
    for thread in dns.resolver._threads:
        thread.join(20)


async def test_a_name_is_looked_up_once_in_ten_seconds(dns: Dns) -> None:
    for now in (0.0, 5.0, 9.9):
        dns.now = now
        assert await dns.find("a") == ["127.0.0.1"]
    assert dns.asked == ["a"]


async def test_an_old_address_serves_while_it_is_looked_up_again(dns: Dns) -> None:
    await dns.find("a")
    dns.known["a"], dns.slow["a"], dns.now = ["127.0.0.9"], threading.Event(), 10.0
    assert await dns.find("a") == ["127.0.0.1"]
    dns.slow["a"].set()
    await dns.idle()
    assert await dns.find("a") == ["127.0.0.9"]
    assert dns.asked == ["a", "a"]


async def test_an_old_address_serves_as_long_as_it_cannot_be_looked_up(dns: Dns) -> None:
    await dns.find("a")
    del dns.known["a"]
    for dns.now in (10.0, 100.0):
        assert await dns.find("a") == ["127.0.0.1"]
        await dns.idle()
    assert len(dns.asked) == 3


async def test_a_name_without_address_is_looked_up_each_time(dns: Dns) -> None:
    assert await dns.find("c") == ()
    dns.known["c"] = ["::1"]
    assert await dns.find("c") == ["::1"]


async def test_who_asks_meanwhile_gets_the_same_answer(dns: Dns) -> None:
    dns.slow["a"] = threading.Event()
    found: list[Sequence[str]] = []
    for _ in range(3):
        dns.resolver.find("a", found.append)
    dns.slow["a"].set()
    await until(lambda: len(found) == 3)
    assert dns.asked == ["a"]


async def test_slow_names_delay_no_others_as_long_as_a_thread_is_free(dns: Dns) -> None:
    slow = ["s1", "s2", "s3"]
    for name in slow:
        dns.slow[name] = threading.Event()
        dns.resolver.find(name, lambda addresses: None)
    await until(lambda: sorted(dns.asked) == slow)
    assert await dns.find("a") == ["127.0.0.1"]
    assert len(dns.resolver._threads) == 4


async def test_a_forgotten_name_calls_nobody_and_leaves_nothing(dns: Dns) -> None:
    dns.slow["a"] = threading.Event()
    found: list[Sequence[str]] = []
    dns.resolver.find("a", found.append)
    dns.resolver.forget("a")
    dns.slow["a"].set()
    assert await dns.find("b") == ["127.0.0.2"]
    dns.resolver.forget("b")
    dns.resolver.close()
    for thread in dns.resolver._threads:
        thread.join(20)
    await asyncio.sleep(0)
    assert (found, dns.resolver._found, dns.resolver._waiting) == ([], {}, {})


@pytest.mark.parametrize("name", ["127.0.0.1", "::1"])
def test_the_machine_is_asked(name: str) -> None:
    assert look_up(name) == [name]


@pytest.mark.parametrize("name", ["no-such-service.invalid", "x" * 100, ""], ids=["unknown", "long", "empty"])
async def test_a_name_that_is_none_has_no_address(name: str) -> None:
    resolver = Resolver(lambda name: look_up(name, ".kpa.invalid."))
    found: list[Sequence[str]] = []
    resolver.find(name, found.append)
    await until(lambda: found, 60.0)
    resolver.close()
    assert found == [()]
