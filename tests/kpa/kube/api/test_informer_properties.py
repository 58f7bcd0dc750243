"""Whatever happens between a server and a cache, in the end both and the listener's view agree.

On the way the listener hears nothing twice and nothing out of order: what it hears of an object is part of
that object's history, in which states may be left out.
"""

import asyncio
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpa.kube.api import informer, transport
from kpa.kube.api.client import KubeClient
from metrics.key import Key
from tests.kpa.kube.api.test_informer import Follower, following, until
from tests.kpa.kube.api_client import api_and_client
from tests.kpa.kube.fake_api import FakeApi, refusal

pytestmark = pytest.mark.virtual_time

_names = st.sampled_from(["a", "b", "c", "d", "e"])
_steps = st.one_of(
    st.tuples(st.just("put"), _names, st.integers(0, 3)),
    st.tuples(st.just("write"), _names, st.integers(0, 3)),
    st.tuples(st.just("answer late"), _names, st.integers(0, 3)),
    st.tuples(st.just("remove"), _names, st.none()),
    st.tuples(st.just("cut"), st.none(), st.none()),
    st.tuples(st.just("forget"), st.none(), st.none()),
    st.tuples(st.just("refuse"), st.sampled_from([410, 429, 500, 503]), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.02]), st.none()),
    st.tuples(st.just("settle"), st.none(), st.none()),
    st.tuples(st.just("settle"), st.none(), st.none()),
)


async def _do(api: FakeApi, follower: Follower, what: str, first: Any, second: Any) -> None:
    if what == "put":
        api.put(first, second)
    elif what == "write":
        follower.informer.learn(api.put(first, second))
    elif what == "answer late":
        answer = api.put(first, second)
        asyncio.get_running_loop().call_later(0.003, follower.informer.learn, answer)
    elif what == "remove" and any(key.name == first for key in api.objects):
        api.remove(first)
    elif what == "cut":
        api.cut()
    elif what == "forget":
        api.compacted = api.version
        api.cut()
    elif what == "refuse":
        api.faults.append(refusal(first, "Tested", {"Retry-After": "0"}))
    elif what == "restart":
        await api.stop()
        await api.start()
    elif what == "wait":
        await asyncio.sleep(first)


def _server(api: FakeApi) -> dict[Key, Any]:
    return {key: body["spec"] for key, body in api.objects.items()}


def _history(api: FakeApi, name: str) -> list[Any]:
    changes = [(kind, body) for _, kind, body in api.changes if body["metadata"]["name"] == name]
    values = [None if kind == "DELETED" else body["spec"] for kind, body in changes]
    return [value for value, _ in groupby(values)]


def _is_part(part: list[Any], whole: list[Any]) -> bool:
    rest = iter(whole)
    return all(value in rest for value in part)


async def _play(api: FakeApi, client: KubeClient, steps: list[tuple[str, Any, Any]]) -> None:
    async with following(client) as follower:
        for what, first, second in steps:
            await _do(api, follower, what, first, second)
            if what == "settle":
                await until(lambda: dict(follower.cache) == _server(api))
        api.put("last", "seen")
        await until(lambda: dict(follower.cache) == _server(api))
        assert follower.view == _server(api)
        for name in {name for name, _ in follower.told}:
            told = [value for other, value in follower.told if other == name]
            assert _is_part(told, _history(api, name))
            assert all(before != after for before, after in pairwise([None, *told]))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(_steps, max_size=25), page=st.sampled_from([1, 2, 500]))
async def test_cache_server_and_listener_agree_in_the_end(
    steps: list[tuple[str, Any, Any]], page: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(informer, "_PAGE", page)
    for module in (informer, transport):
        monkeypatch.setattr(module, "request_delay", lambda failures, error: 0.001)
    async with api_and_client() as (api, client):
        await _play(api, client, steps)
