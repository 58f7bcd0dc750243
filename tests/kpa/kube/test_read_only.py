"""A client that cannot write, whatever verb is asked for; what it reads is as any client reads it."""

import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from kubernetes.client import Configuration

from kpa.kube.client import KubeClient
from kpa.kube.credentials import Credentials
from kpa.kube.errors import Forbidden
from kpa.kube.read_only import ReadOnlyClient
from kpa.revisions import Key
from tests.kpa.kube.api_client import configuration
from tests.kpa.kube.fake_api import THINGS, FakeApi

Pair = tuple[FakeApi, ReadOnlyClient]
READING = {"get", "list", "pages", "watch", "close"}


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    api = FakeApi()
    address = await api.start()

    def load() -> Configuration:
        return configuration(address)

    client = ReadOnlyClient(Credentials(load), deadline=30.0)
    yield api, client
    await client.close()
    await api.stop()


async def test_what_is_there_is_read(pair: Pair) -> None:
    api, client = pair
    made = api.put("a", {"size": 1})
    assert await client.get(THINGS, "default", "a") == made
    found, version = await client.list(THINGS)
    assert [each["metadata"]["name"] for each in found] == ["a"]
    async with aclosing(client.watch(THINGS, None, version)) as events:
        api.put("b", {"size": 1})
        kind, seen = await anext(events)
    assert (kind, seen["metadata"]["name"]) == ("ADDED", "b")


@pytest.mark.parametrize(
    "verb",
    [
        name
        for name, member in vars(KubeClient).items()
        if inspect.iscoroutinefunction(member) and not name.startswith("_") and name not in READING
    ],
)
async def test_no_verb_writes(pair: Pair, verb: str) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    before, requests = dict(api.objects), len(api.requests)
    body = {"metadata": {"namespace": "default", "name": "b"}, "spec": {"replicas": 5}}
    known = {"resource": THINGS, "namespace": "default", "name": "a", "body": body, "replicas": 5}
    method = getattr(client, verb)

    with pytest.raises(Forbidden, match="kpa only looks on"):
        await method(*(known[name] for name in inspect.signature(method).parameters))

    assert (api.objects, len(api.requests)) == (before, requests)
    assert Key("default", "b") not in api.objects


def test_all_writing_verbs_were_tried() -> None:
    assert {"create", "replace", "replace_status", "patch_replicas", "delete"} <= set(vars(KubeClient))
