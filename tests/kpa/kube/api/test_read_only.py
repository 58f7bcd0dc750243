"""A client that cannot write, whatever verb is asked for; what it reads is as any client reads it."""

import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from kubernetes.client import Configuration

from kpa.kube.api.client import KubeClient
from kpa.kube.api.credentials import Credentials
from kpa.kube.api.errors import Forbidden
from kpa.kube.api.read_only import ReadOnlyClient
from metrics.key import Key
from tests.kpa.kube.api_client import api_and_client, configuration, list_objects
from tests.kpa.kube.fake_api import THINGS, FakeApi, refusal

Pair = tuple[FakeApi, ReadOnlyClient]

WRITING = ("create", "replace", "replace_status", "patch_replicas", "patch")


async def call(client: KubeClient, verb: str) -> None:
    """Call a verb, and read the first item of one that yields."""
    known: dict[str, Any] = {
        "resource": THINGS,
        "namespace": "default",
        "name": "a",
        "body": {"metadata": {"namespace": "default", "name": "b"}, "spec": {"replicas": 5}},
        "replicas": 5,
        "label_selector": "",
        "limit": 0,
        "resource_version": "0",
    }
    method = getattr(client, verb)
    answer = method(**{name: known[name] for name in inspect.signature(method).parameters})
    await (anext(answer) if inspect.isasyncgen(answer) else answer)


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
    found, version = await list_objects(client, THINGS)
    assert [each["metadata"]["name"] for each in found] == ["a"]
    async with aclosing(client.watch(THINGS, None, version)) as events:
        api.put("b", {"size": 1})
        kind, seen = await anext(events)
    assert (kind, seen["metadata"]["name"]) == ("ADDED", "b")


@pytest.mark.parametrize("verb", WRITING)
async def test_no_verb_writes(pair: Pair, verb: str) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    before, requests = dict(api.objects), len(api.requests)

    with pytest.raises(Forbidden, match="this client only reads"):
        await call(client, verb)

    assert (api.objects, len(api.requests)) == (before, requests)
    assert Key("default", "b") not in api.objects


async def test_all_writing_verbs_were_tried() -> None:
    """A verb writes if a client that may write sends anything but a GET for it."""
    writing = set()
    async with api_and_client() as (api, client):
        for verb, method in inspect.getmembers(KubeClient, inspect.isfunction):
            asks = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
            if asks and verb != "close" and not verb.startswith("_"):
                api.requests.clear()
                api.faults = [refusal(403, "Forbidden") for _ in range(2)]
                with pytest.raises(Forbidden):
                    await call(client, verb)
                if any(request.method != "GET" for request in api.requests):
                    writing.add(verb)
    assert writing == set(WRITING)
