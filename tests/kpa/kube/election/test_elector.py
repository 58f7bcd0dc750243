"""Elections among replicas on one store, in time that the test walks forward."""

import asyncio
import copy
from typing import Any

import pytest

from config.leader_election import Timing
from kpa.kube.api.errors import Conflict, NotFound, Unreachable
from kpa.kube.election.elector import Elector
from kpa.kube.election.lease import WANTED_BY

pytestmark = pytest.mark.virtual_time

TIMING = Timing(lease_duration=60, renew_deadline=40, retry_period=10)


class Store:
    """Leases with resource versions; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.reads = self.writes = 0
        self.down = False
        self.seconds = 0.0  # until a lease was read

    async def get(self, name: str) -> dict[str, Any]:
        self._check()
        self.reads += 1
        await asyncio.sleep(self.seconds)
        if name not in self.leases:
            raise NotFound(f"lease {name}")
        return copy.deepcopy(self.leases[name])

    async def create(self, lease: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if lease["metadata"]["name"] in self.leases:
            raise Conflict("it exists")
        return self._write(lease["metadata"]["name"], lease)

    async def replace(self, name: str, lease: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if name not in self.leases:
            raise NotFound(f"lease {name}")
        if lease["metadata"]["resourceVersion"] != self.leases[name]["metadata"]["resourceVersion"]:
            raise Conflict("it changed")
        return self._write(name, lease)

    def _check(self) -> None:
        if self.down:
            raise Unreachable("down")

    def _write(self, name: str, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        stored = copy.deepcopy(lease)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.leases[name] = stored
        return copy.deepcopy(stored)


class Replicas:
    def __init__(self, count: int, timing: Timing = TIMING) -> None:
        self.store = Store()
        self._timing = timing
        self.now = 1000.0
        self.told: list[tuple[int, bool]] = []
        self.electors = [self._elector(number) for number in range(count)]

    def _elector(self, number: int) -> Elector:
        def told(leading: bool) -> None:
            self.told.append((number, leading))

        identity = f"pod-{number}_10.0.0.{number}"
        return Elector(self.store, "bucket", identity, self._timing, told, lambda: self.now)

    @property
    def holder(self) -> str:
        return str(self.store.leases["bucket"]["spec"]["holderIdentity"])


async def test_the_first_to_ask_leads_and_the_others_wait() -> None:
    replicas = Replicas(3)
    for elector in replicas.electors:
        await elector.attempt()
    assert replicas.told == [(0, True)]
    assert replicas.holder == "pod-0_10.0.0.0"


@pytest.mark.parametrize(("seconds", "leader"), [(60, 0), (61, 1)])
async def test_a_lease_is_taken_only_once_nobody_was_seen_to_renew_it_for_its_duration(
    seconds: float, leader: int
) -> None:
    replicas = Replicas(2)
    await replicas.electors[0].attempt()
    await replicas.electors[1].attempt()
    replicas.now += seconds
    await replicas.electors[1].attempt()
    assert replicas.holder == f"pod-{leader}_10.0.0.{leader}"


async def test_a_renewed_lease_stays() -> None:
    replicas = Replicas(2)
    for _ in range(20):
        for elector in replicas.electors:
            await elector.attempt()
        replicas.now += 10
    assert replicas.told == [(0, True)]
    assert replicas.store.leases["bucket"]["spec"]["leaseTransitions"] == 0


async def test_a_leader_renews_without_reading() -> None:
    replicas = Replicas(1)
    await replicas.electors[0].attempt()
    reads = replicas.store.reads
    for _ in range(5):
        replicas.now += 10
        await replicas.electors[0].attempt()
    assert replicas.store.reads == reads
    assert replicas.store.writes == 6


@pytest.mark.parametrize("happened", ["deleted", "labelled"])
async def test_a_leader_whose_lease_is_not_as_it_was_looks_and_leads_on(happened: str) -> None:
    replicas = Replicas(1)
    await replicas.electors[0].attempt()
    if happened == "deleted":
        replicas.store.leases.clear()
    else:
        replicas.store.leases["bucket"]["metadata"]["resourceVersion"] = "17"
    replicas.now += 10
    await replicas.electors[0].attempt()
    assert replicas.told == [(0, True)]
    assert replicas.holder == "pod-0_10.0.0.0"


async def test_a_new_holder_counts_the_transition_and_keeps_its_time_of_acquiring() -> None:
    replicas = Replicas(2)
    await replicas.electors[0].attempt()
    await replicas.electors[1].attempt()
    replicas.now += 61
    await replicas.electors[1].attempt()
    first = replicas.store.leases["bucket"]["spec"]
    await replicas.electors[1].attempt()
    second = replicas.store.leases["bucket"]["spec"]
    assert (first["leaseTransitions"], second["leaseTransitions"]) == (1, 1)
    assert first["acquireTime"] == second["acquireTime"]


@pytest.mark.parametrize(("seconds", "leading"), [(39, True), (40, False)])
async def test_a_leader_without_an_api_server_leads_until_the_renew_deadline(
    seconds: float, leading: bool
) -> None:
    replicas = Replicas(1)
    await replicas.electors[0].attempt()
    replicas.store.down = True
    replicas.now += seconds
    await replicas.electors[0].attempt()
    assert replicas.electors[0].leading is leading


async def test_a_leader_that_slept_through_its_lease_does_not_lead_when_it_wakes() -> None:
    replicas = Replicas(2)
    await replicas.electors[0].attempt()
    await replicas.electors[1].attempt()
    replicas.now += 59
    assert replicas.electors[0].leading
    replicas.now += 2
    assert not replicas.electors[0].leading, "before it could ask anybody"
    await replicas.electors[1].attempt()
    await replicas.electors[0].attempt()
    assert replicas.told == [(0, True), (1, True), (0, False)]


async def test_one_that_slept_alone_leads_again() -> None:
    replicas = Replicas(1)
    await replicas.electors[0].attempt()
    replicas.now += 300
    await replicas.electors[0].attempt()
    assert replicas.told == [(0, True), (0, False), (0, True)]


async def test_a_slow_api_server_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    replicas = Replicas(1, Timing(lease_duration=30, renew_deadline=20, retry_period=0.05))
    replicas.store.seconds = 0.1
    await replicas.electors[0].attempt()
    replicas.store.leases["bucket"]["metadata"]["resourceVersion"] = "17"  # it has to look
    await replicas.electors[0].attempt()
    assert caplog.messages == []
    assert replicas.told == [(0, True)]


async def test_an_api_server_that_never_answers_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    replicas = Replicas(2, Timing(lease_duration=30, renew_deadline=0.2, retry_period=0.05))
    leader, standby = replicas.electors
    await leader.attempt()
    replicas.store.leases["bucket"]["metadata"]["resourceVersion"] = "17"
    replicas.store.seconds = 3600.0
    for elector in (leader, standby, leader):
        await elector.attempt()
    assert caplog.messages == ["request for lease bucket failed: request timed out"] * 2


async def test_a_leader_that_finds_another_holder_stops_leading() -> None:
    replicas = Replicas(2)
    await replicas.electors[0].attempt()
    await replicas.electors[1].attempt()
    replicas.now += 61
    await replicas.electors[1].attempt()
    await replicas.electors[0].attempt()
    assert replicas.told == [(0, True), (1, True), (0, False)]


async def test_a_graceful_stop_hands_over_at_once() -> None:
    replicas = Replicas(2)
    leader = asyncio.create_task(replicas.electors[0].run())
    while not replicas.electors[0].leading:
        await asyncio.sleep(0)
    standby = asyncio.create_task(replicas.electors[1].run())
    await asyncio.sleep(0.01)
    leader.cancel()
    await asyncio.wait([leader])
    assert replicas.holder == ""
    replicas.electors[1].observe(replicas.store.leases["bucket"])
    async with asyncio.timeout(30):
        while not replicas.electors[1].leading:
            await asyncio.sleep(0)
    standby.cancel()
    await asyncio.wait([standby])
    assert replicas.told == [(0, True), (0, False), (1, True), (1, False)]


async def test_news_of_a_held_lease_asks_the_api_server_nothing() -> None:
    replicas = Replicas(2)
    standby = asyncio.create_task(replicas.electors[1].run())
    while "bucket" not in replicas.store.leases:
        await asyncio.sleep(0)
    writes = replicas.store.writes
    replicas.electors[1].observe(replicas.store.leases["bucket"])
    await asyncio.sleep(0.01)
    assert replicas.store.writes == writes
    standby.cancel()
    await asyncio.wait([standby])


async def test_two_that_claim_at_one_moment_do_not_both_lead() -> None:
    replicas = Replicas(2)
    await asyncio.gather(*(elector.attempt() for elector in replicas.electors))
    assert sum(elector.leading for elector in replicas.electors) == 1


async def test_who_releases_a_lease_is_named_on_it_until_somebody_takes_it() -> None:
    replicas = Replicas(2)
    first, second = replicas.electors
    running = asyncio.create_task(first.run())
    async with asyncio.timeout(30):
        while not first.leading:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    metadata = replicas.store.leases["bucket"]["metadata"]
    assert metadata["annotations"] == {"kpa.dev/handover": "pod-0_10.0.0.0"}
    await second.attempt()
    assert (first.predecessor, second.predecessor) == ("", "pod-0_10.0.0.0")
    assert replicas.store.leases["bucket"]["metadata"]["annotations"] == {}


async def test_who_held_a_lease_that_ran_out_is_known() -> None:
    replicas = Replicas(2)
    first, second = replicas.electors
    await first.attempt()
    await second.attempt()
    replicas.now += 61
    for _ in range(3):
        await second.attempt()
        assert second.predecessor == "pod-0_10.0.0.0"
        replicas.store.leases["bucket"]["metadata"]["resourceVersion"] = "17"  # it has to look again


async def test_a_lease_that_is_given_is_the_heirs_before_it_knows() -> None:
    replicas = Replicas(3)
    first, second, third = replicas.electors
    for elector in replicas.electors:
        await elector.attempt()
    await first.give("pod-1_10.0.0.1")
    lease = replicas.store.leases["bucket"]
    assert lease["spec"]["holderIdentity"] == "pod-1_10.0.0.1"
    assert lease["spec"]["leaseTransitions"] == 1
    replicas.now += 59
    second.observe(lease)
    third.observe(lease)
    for elector in (first, third, second):
        await elector.attempt()
    assert replicas.told == [(0, True), (0, False), (1, True)]
    assert second.predecessor == "pod-0_10.0.0.0"
    lease = replicas.store.leases["bucket"]
    assert (lease["spec"]["leaseTransitions"], lease["metadata"]["annotations"]) == (1, {})


async def test_a_lease_that_could_not_be_given_is_led_again(caplog: pytest.LogCaptureFixture) -> None:
    replicas = Replicas(1)
    elector = replicas.electors[0]
    await elector.attempt()
    replicas.store.down = True
    await elector.give("pod-1_10.0.0.1")
    assert caplog.messages == ["lease bucket could not be released: down"]
    replicas.store.down = False
    await elector.attempt()
    assert replicas.told == [(0, True), (0, False), (0, True)]


async def test_who_asks_for_a_lease_is_named_on_it_until_it_is_renewed() -> None:
    replicas = Replicas(2)
    first, second = replicas.electors
    await first.attempt()
    await second.request()
    assert replicas.store.leases["bucket"]["metadata"]["annotations"] == {WANTED_BY: "pod-1_10.0.0.1"}
    replicas.now += 10
    await first.attempt()
    assert replicas.store.leases["bucket"]["metadata"]["annotations"] == {}
    assert replicas.told == [(0, True)]


@pytest.mark.parametrize(("seconds", "leading"), [(0.5, False), (1.0, True)])
async def test_a_free_lease_is_left_to_others_for_a_while(seconds: float, leading: bool) -> None:
    replicas = Replicas(2)
    first, second = replicas.electors
    second._patience = lambda: 1.0
    await first.attempt()
    await second.attempt()
    replicas.store.leases["bucket"]["spec"]["holderIdentity"] = ""
    second.observe(replicas.store.leases["bucket"])
    replicas.now += seconds
    await second.attempt()
    assert second.leading is leading


async def test_a_watched_lease_is_not_read() -> None:
    replicas = Replicas(2)
    first, second = replicas.electors
    await first.attempt()
    await second.attempt()
    reads = replicas.store.reads
    for _ in range(20):
        replicas.now += 10
        await first.attempt()
        second.observe(replicas.store.leases["bucket"])
        await second.attempt()
    assert replicas.store.reads == reads
    assert not second.leading
