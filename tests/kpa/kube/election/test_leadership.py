"""Our part in an election for several buckets, on an API server of leases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from config.leader_election import Timing
from kpa.kube.election import leadership, lease_store
from kpa.kube.election.leadership import Leadership
from metrics.key import Key
from tests.kpa.kube.api_client import api_and_client
from tests.kpa.kube.fake_api import THINGS, FakeApi

pytestmark = pytest.mark.virtual_time

TIMING = Timing(lease_duration=60, renew_deadline=40, retry_period=10)
SYSTEM = "knative-serving"


class Replica:
    """One replica's leadership, and what it was told."""

    def __init__(self, client: Any, identity: str, buckets: int) -> None:
        self.changes: list[tuple[str, bool]] = []
        self.holders: dict[str, str] = {}
        self.given: list[str] = []
        self.leadership = Leadership(
            client,
            SYSTEM,
            identity,
            buckets,
            TIMING,
            lambda bucket, leading: self.changes.append((bucket, leading)),
            lambda bucket, identity: self.holders.update({bucket: identity}),
            self._before_giving,
        )

    async def _before_giving(self, bucket: str) -> None:
        self.given.append(bucket)

    def leads_all(self) -> bool:
        return all(self.leadership.leads(name) for name in self.leadership.buckets.names)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.leadership.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake API server serves one kind."""
    for module in (leadership, lease_store):
        monkeypatch.setattr(module, "LEASES", THINGS)


def holder(api: FakeApi, name: str) -> str:
    return str(api.objects[Key(SYSTEM, name)]["spec"]["holderIdentity"])


async def test_one_replica_alone_looks_after_everything() -> None:
    async with api_and_client() as (_, client):
        replica = Replica(client, "one_10.0.0.1", 3)
        assert not any(map(replica.leadership.leads, replica.leadership.buckets.names))
        async with replica.running():
            await until(replica.leads_all)
            await until(lambda: len(replica.holders) == 3)
            assert all(map(replica.leadership.leads, replica.leadership.buckets.names))
            assert set(replica.holders.values()) == {"one_10.0.0.1"}
            assert not replica.leadership.leads("autoscaler-bucket-00-of-99")
        assert sorted(replica.changes) == sorted(
            (name, leading) for name in replica.leadership.buckets.names for leading in (True, False)
        )


async def test_what_is_ours_is_released_at_the_end_and_taken_at_once_by_another() -> None:
    async with api_and_client() as (api, client):
        api.delay = 0.02  # a release takes time
        first, second = Replica(client, "one_10.0.0.1", 2), Replica(client, "two_10.0.0.2", 2)
        async with second.running():
            await until(second.leads_all)
            async with first.running():
                await until(lambda: len(first.holders) == 2)
                assert first.changes == []
        assert [holder(api, name) for name in second.leadership.buckets.names] == ["", ""]
        async with first.running():
            await until(first.leads_all)


async def test_a_released_bucket_is_taken_by_the_one_that_waits() -> None:
    async with api_and_client() as (api, client):
        api.delay = 0.02
        first, second = Replica(client, "one_10.0.0.1", 1), Replica(client, "two_10.0.0.2", 1)
        ending = first.running()
        await ending.__aenter__()
        await until(first.leads_all)
        async with second.running():
            await until(lambda: second.holders)
            await ending.__aexit__(None, None, None)
            await until(second.leads_all)
            await until(lambda: set(second.holders.values()) == {"two_10.0.0.2"})


async def test_leases_of_others_are_nobodys_concern() -> None:
    async with api_and_client() as (api, client):
        api.put("somebody-elses", {"holderIdentity": "else"}, SYSTEM)
        replica = Replica(client, "one_10.0.0.1", 1)
        async with replica.running():
            await until(lambda: replica.holders)
            assert list(replica.holders) == ["autoscaler-bucket-00-of-01"]
        assert holder(api, "somebody-elses") == "else"
