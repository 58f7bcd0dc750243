"""Replicas that come, go and die: each bucket has one leader, and their shares become level.

Time is virtual: minutes of elections pass in milliseconds. Left out: what the rest of a replica does when
buckets change hands (tests/kube).
"""

import asyncio
import copy
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from config.leader_election import Timing
from kpa.kube.api.errors import Conflict, NotFound, Unreachable
from kpa.kube.election.elector import Elector
from kpa.kube.election.leadership import Leadership
from tests.virtual_time import run

TIMING = Timing()  # 60 s, 40 s, 10 s
SYSTEM = "knative-serving"
SLOWEST = 0.3  # seconds that an answer of the API server takes, or the news of a change
TAKEN = TIMING.lease_duration + 3 * TIMING.retry_period
"""Seconds after which every bucket has a leader again, even if the next in turn was killed as well."""

Json = dict[str, Any]


def now() -> float:
    return asyncio.get_running_loop().time()


class Api:
    """Leases, their history, and a count of writes."""

    def __init__(self, chance: random.Random) -> None:
        self.leases: dict[str, Json] = {}
        self.history: list[tuple[str, Json]] = []
        self.news = asyncio.Condition()
        self.chance = chance

    async def write(self, kind: str, lease: Json) -> Json:
        lease = copy.deepcopy(lease)
        self.history.append((kind, lease))
        lease["metadata"] |= {"namespace": SYSTEM, "resourceVersion": str(len(self.history))}
        self.leases[lease["metadata"]["name"]] = lease
        async with self.news:
            self.news.notify_all()
        return copy.deepcopy(lease)

    @property
    def transitions(self) -> int:
        return sum(lease["spec"]["leaseTransitions"] for lease in self.leases.values())


class Client:
    """The way of one replica to the API; a dead one gets no answer."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.dead = False

    async def _travel(self) -> None:
        await asyncio.sleep(self._api.chance.uniform(0.001, SLOWEST))
        if self.dead:
            raise Unreachable("dead")

    async def get(self, resource: Any, namespace: str, name: str) -> Json:
        await self._travel()
        if name not in self._api.leases:
            raise NotFound(name)
        return copy.deepcopy(self._api.leases[name])

    async def create(self, resource: Any, namespace: str, lease: Json) -> Json:
        await self._travel()
        if lease["metadata"]["name"] in self._api.leases:
            raise Conflict("it exists")
        return await self._api.write("ADDED", lease)

    async def replace(self, resource: Any, namespace: str, name: str, lease: Json) -> Json:
        await self._travel()
        if lease["metadata"]["resourceVersion"] != self._api.leases[name]["metadata"]["resourceVersion"]:
            raise Conflict("it changed")
        return await self._api.write("MODIFIED", lease)

    async def pages(self, *_: Any) -> AsyncIterator[tuple[list[Json], str]]:
        await self._travel()
        yield copy.deepcopy(list(self._api.leases.values())), str(len(self._api.history))

    async def watch(
        self, resource: Any, namespace: str, version: str, selector: str
    ) -> AsyncIterator[tuple[str, Json]]:
        at = int(version)
        while True:
            async with self._api.news:
                while len(self._api.history) == at:
                    await self._api.news.wait()
            await self._travel()
            for kind, lease in self._api.history[at:]:
                at += 1
                yield kind, copy.deepcopy(lease)


class Replica:
    """One replica, running."""

    def __init__(self, api: Api, identity: str, buckets: int) -> None:
        self.identity = identity
        self.client = Client(api)
        self.leadership = Leadership(
            self.client,  # type: ignore[arg-type]
            *(SYSTEM, identity, buckets, TIMING),
            lambda bucket, leading: None,
            lambda bucket, holder: None,
            self._before_giving,
            now,
        )
        self._task = asyncio.create_task(self.leadership.run())

    async def _before_giving(self, bucket: str) -> None:
        assert self.leadership.leads(bucket)
        await asyncio.sleep(0.2)

    @property
    def led(self) -> list[str]:
        names = self.leadership.buckets.names
        return [] if self.client.dead else [name for name in names if self.leadership.leads(name)]

    async def end(self, dead: bool) -> None:
        self.client.dead = dead
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Fleet:
    """Replicas that share buckets, and what must never be."""

    def __init__(self, buckets: int, seed: int) -> None:
        self.api = Api(random.Random(seed))
        self.buckets = buckets
        self.replicas: list[Replica] = []
        self._started = 0

    @property
    def shares(self) -> list[int]:
        return sorted((len(replica.led) for replica in self.replicas), reverse=True)

    def start(self) -> None:
        self._started += 1
        name = f"autoscaler-5d4f-{self._started:05d}_10.0.0.{self._started}"
        self.replicas.append(Replica(self.api, name, self.buckets))

    async def end(self, dead: bool) -> None:
        await self.replicas.pop(self.api.chance.randrange(len(self.replicas))).end(dead)

    async def go_on(self, seconds: float) -> None:
        """Let time pass, and look often."""
        until = now() + seconds
        while now() < until:
            await asyncio.sleep(0.5)
            leaders = Counter(name for replica in self.replicas for name in replica.led)
            assert not leaders or max(leaders.values()) == 1, f"two lead: {leaders}"

    async def close(self) -> None:
        while self.replicas:
            await self.end(dead=False)


async def _rests(fleet: Fleet) -> None:
    """Assert that the fleet is level and only renews, for five minutes."""
    assert sum(fleet.shares) == fleet.buckets
    assert fleet.shares[0] - fleet.shares[-1] <= 1, fleet.shares
    transitions, written = fleet.api.transitions, len(fleet.api.history)
    await fleet.go_on(300.0)
    assert fleet.api.transitions == transitions, "nothing moves"
    written = len(fleet.api.history) - written
    assert fleet.buckets * 27 <= written <= fleet.buckets * 31, "each lease once a retry period"


steps = st.lists(
    st.tuples(st.sampled_from(["start", "start", "kill", "stop"]), st.sampled_from([0.0, 1.0, 20.0, 90.0])),
    max_size=8,
)


@settings(max_examples=12, phases=(Phase.generate,))
@given(st.sampled_from([1, 2, 3, 8, 13]), steps, st.integers(0, 1000))
def test_whatever_happens_all_buckets_are_led_by_one_and_the_shares_become_level(
    buckets: int, steps: list[tuple[str, float]], seed: int
) -> None:
    async def play() -> None:
        fleet = Fleet(buckets, seed)
        fleet.start()
        for step, seconds in steps:
            if step == "start":
                fleet.start()
            elif len(fleet.replicas) > 1:
                await fleet.end(dead=step == "kill")
            await fleet.go_on(seconds)
        until = now() + TAKEN
        while sum(fleet.shares) < buckets:  # one that is being given has none for a moment
            assert now() < until, "each has a leader"
            await fleet.go_on(0.5)
        await fleet.go_on(until - now() + 240.0)
        await _rests(fleet)
        await fleet.close()

    random.seed(seed)
    run(play())


@pytest.mark.parametrize("seed", range(5))
def test_four_that_share_eight_and_one_that_is_killed_and_comes_back(seed: int) -> None:
    async def play() -> None:
        fleet = Fleet(8, seed)
        for _ in range(4):
            fleet.start()
        await fleet.go_on(180.0)
        assert fleet.shares == [2, 2, 2, 2]
        transitions = fleet.api.transitions
        await fleet.end(dead=True)
        await fleet.go_on(TIMING.lease_duration + 2.0)
        assert fleet.shares == [3, 3, 2], "within the lease duration, each by another one"
        assert fleet.api.transitions - transitions == 2, "no bucket moved twice"
        fleet.start()
        await fleet.go_on(120.0)
        assert fleet.shares == [2, 2, 2, 2]
        assert fleet.api.transitions - transitions == 4
        await _rests(fleet)
        await fleet.close()

    random.seed(seed)
    run(play())


@pytest.mark.parametrize("seed", range(3))
def test_in_a_rollout_each_new_replica_takes_what_an_old_one_releases(seed: int) -> None:
    async def play() -> None:
        fleet = Fleet(12, seed)
        for _ in range(3):
            fleet.start()
        await fleet.go_on(240.0)
        assert fleet.shares == [4, 4, 4]
        transitions = fleet.api.transitions
        for _ in range(3):
            fleet.start()
            await fleet.go_on(5.0)
            await fleet.replicas.pop(0).end(dead=False)
            await fleet.go_on(5.0)
        assert fleet.shares == [4, 4, 4]
        assert fleet.api.transitions - transitions == 12, "each bucket moved once"
        await _rests(fleet)
        await fleet.close()

    random.seed(seed)
    run(play())


@pytest.mark.parametrize("seed", range(3))
def test_three_that_join_one_that_leads_all_take_their_shares_in_the_fewest_moves(seed: int) -> None:
    async def play() -> None:
        fleet = Fleet(40, seed)
        fleet.start()
        await fleet.go_on(60.0)
        assert fleet.shares == [40]
        for _ in range(3):
            fleet.start()
        await fleet.go_on(200.0)
        assert fleet.shares == [10, 10, 10, 10]
        assert fleet.api.transitions == 30, "no bucket moved twice"
        await fleet.close()

    random.seed(seed)
    run(play())


@pytest.mark.parametrize("retry_period", [10.0, 15.0, 39.0])
def test_a_leader_that_reaches_no_api_server_gives_up_at_the_renew_deadline(retry_period: float) -> None:
    async def play() -> None:
        client, told = Client(Api(random.Random(1))), asyncio.Queue[tuple[bool, float]]()

        def change(leading: bool) -> None:
            told.put_nowait((leading, now()))

        timing = Timing(60.0, 40.0, retry_period)
        elector = Elector(_Store(client), "bucket", "autoscaler-5d4f-00001_10.0.0.1", timing, change, now)
        task = asyncio.create_task(elector.run())
        assert await told.get() == (True, now())
        client.dead, began = True, now()
        leading, at = await told.get()
        assert not leading
        assert 40.0 - 2 * SLOWEST < at - began < 40.1  # the lease was written a moment before
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(play())


def test_knatives_replica_that_leads_all_is_left_alone() -> None:
    """It knows no shares: it takes what it can, and gives nothing but when it ends."""

    async def play() -> None:
        fleet = Fleet(6, 1)
        names = [f"autoscaler-bucket-{number:02d}-of-06" for number in range(6)]
        store = _Store(Client(fleet.api))
        theirs = [
            Elector(store, name, "autoscaler-7c9d-abcde_10.0.1.1", TIMING, _ignore, now) for name in names
        ]
        tasks = [asyncio.create_task(elector.run()) for elector in theirs]
        await asyncio.sleep(5.0)
        fleet.start()
        await fleet.go_on(100.0)
        transitions, written = fleet.api.transitions, len(fleet.api.history)
        await fleet.go_on(1200.0)
        assert (fleet.shares, fleet.api.transitions) == ([0], transitions)
        renewed = 6 * 120
        assert len(fleet.api.history) - written <= 1.02 * renewed, "it is asked once in ten minutes"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await fleet.go_on(5.0)
        assert fleet.shares == [6]
        await fleet.close()

    random.seed(1)
    run(play())


class _Store:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, name: str) -> Json:
        return await self._client.get(None, SYSTEM, name)

    async def create(self, lease: Json) -> Json:
        return await self._client.create(None, SYSTEM, lease)

    async def replace(self, name: str, lease: Json) -> Json:
        return await self._client.replace(None, SYSTEM, name, lease)


def _ignore(leading: bool) -> None:
    pass
