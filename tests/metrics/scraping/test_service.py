"""How many services are scraped at a time, and that a whole fleet of them delays no pod.

Left out: what one service is asked and what becomes of its answers (test_collector_mesh).
"""

from metrics.key import Key
from metrics.sampling.routing import PodAccess
from metrics.scraping.semaphore import ScrapeSemaphore
from tests.metrics.fake_pods import silent
from tests.metrics.rig import Rig


class Scraper:
    """Notes when it may begin."""

    def __init__(self, name: str, begun: list[str]) -> None:
        self.name, self.begun = name, begun

    def begin(self) -> None:
        self.begun.append(self.name)


def test_scrapers_go_through_a_gate_in_order_and_a_bounded_number_at_a_time() -> None:
    semaphore, begun = ScrapeSemaphore(at_once=2), list[str]()
    scrapers = {name: Scraper(name, begun) for name in "abcde"}
    for scraper in scrapers.values():
        semaphore.enter(scraper)
    assert begun == ["a", "b"]
    semaphore.leave(scrapers["c"])
    assert begun == ["a", "b"], "who waited makes no room"
    semaphore.leave(scrapers["b"])
    assert begun == ["a", "b", "d"]
    semaphore.leave(scrapers["a"])
    semaphore.leave(scrapers["d"])
    semaphore.leave(scrapers["e"])
    assert begun == ["a", "b", "d", "e"]
    assert not semaphore._inside
    assert not semaphore._waiting


async def test_a_fleet_of_services_that_hang_is_bounded_and_delays_no_pod(rig: Rig) -> None:
    pod, service = await rig.pod(5.0), await rig.pod(behaviour=silent)
    hidden = [Key("hidden", str(number)) for number in range(100)]
    for key in hidden:
        namespace, name = key
        rig.addresses[f"{name}.{namespace}"] = [service.host]
        access = PodAccess(f"{name}.{namespace}", "enabled", port=service.port)
        rig.watch(key, [pod, pod, pod], access=access)
    rig.watch(Key("shop", "cart"), [pod])
    semaphore, seen = rig.collector._resources.semaphore, set[object]()
    for second in range(12):
        await rig.begin(second, [service])
        assert rig.records["shop", "cart"][-1] == (second, 5.0)
        assert len(semaphore._inside) <= 64
        seen |= semaphore._inside
        await rig.end(second, [service])
    assert len(service.open) <= 64 * 3
    assert len(seen) == 100, "all have had their turn"
