"""The verbs, what is asked by each, and which error says what.

Left out here: credentials (test_client_credentials), a real API server (tests/kube/test_client_real).
"""

import asyncio
import logging
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from kpa.kube.api.client import KubeClient, Resource
from kpa.kube.api.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    StreamCut,
    TooManyRequests,
    Unreachable,
    error_from_answer,
)
from metrics.key import Key
from tests.kpa.kube.api_client import api_and_client, list_objects
from tests.kpa.kube.fake_api import THINGS, FakeApi, refusal

pytestmark = pytest.mark.virtual_time

Pair = tuple[FakeApi, KubeClient]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with api_and_client(deadline=30.0) as pair:
        yield pair


async def test_objects_are_created_read_and_replaced(pair: Pair) -> None:
    api, client = pair
    made = await client.create(THINGS, "default", {"metadata": {"name": "a"}, "spec": {"size": 1}})
    read = await client.get(THINGS, "default", "a")
    assert read == made
    await client.replace(THINGS, "default", "a", {**read, "spec": {"size": 2}})
    assert api.objects[Key("default", "a")]["spec"] == {"size": 2}


async def test_replacing_the_status_leaves_the_rest(pair: Pair) -> None:
    api, client = pair
    read = api.put("a", {"size": 1})
    await client.replace_status(THINGS, "default", "a", {**read, "spec": {"size": 2}, "status": {"ready": 1}})
    assert api.objects[Key("default", "a")]["spec"] == {"size": 1}
    assert api.objects[Key("default", "a")]["status"] == {"ready": 1}


async def test_replicas_are_patched_by_the_scale_subresource(pair: Pair) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    await client.patch_replicas(THINGS, "default", "a", 7)
    assert api.objects[Key("default", "a")]["spec"] == {"replicas": 7}
    (request,) = api.requests
    assert request.path.endswith("/namespaces/default/things/a/scale")
    assert request.content_type == "application/json-patch+json"


async def test_replicas_are_patched_on_the_object_where_the_subresource_is_forbidden(pair: Pair) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    api.picks = lambda request: request.path.endswith("/scale")
    api.faults = [refusal(403, "Forbidden")]
    for replicas in (7, 8):
        await client.patch_replicas(THINGS, "default", "a", replicas)
        assert api.objects[Key("default", "a")]["spec"] == {"replicas": replicas}
    assert [request.path.rpartition("/")[2] for request in api.requests] == ["scale", "a", "a"]


async def test_rights_that_change_meanwhile_are_found_out(pair: Pair) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    api.faults = [refusal(403, "Forbidden"), refusal(403, "Forbidden")]
    with pytest.raises(Forbidden, match="/scale default/a"):
        await client.patch_replicas(THINGS, "default", "a", 7)
    api.faults = [refusal(403, "Forbidden")]
    await client.patch_replicas(THINGS, "default", "a", 8)
    api.faults = [refusal(403, "Forbidden")]
    await client.patch_replicas(THINGS, "default", "a", 9)
    assert api.objects[Key("default", "a")]["spec"] == {"replicas": 9}
    assert [r.path.rpartition("/")[2] for r in api.requests] == ["scale", "a", "scale", "a", "a", "scale"]


async def test_requests_name_us(pair: Pair) -> None:
    api, client = pair
    await list_objects(client, THINGS)
    assert api.requests[0].headers["User-Agent"].startswith("kpa/")


@pytest.mark.parametrize(
    "name", ["a b", "a?b=c", "a#b", "a%2Fb", "ä", "..", "../things/a", "a/./b", "a\r\nX: b"]
)
async def test_a_name_that_is_none_leads_nowhere(pair: Pair, name: str) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    with pytest.raises(Invalid, match="not the path"):
        await client.patch_replicas(THINGS, "default", name, 2)
    assert not api.requests


async def test_a_list_is_read_in_pages_of_one_moment(pair: Pair) -> None:
    api, client = pair
    for number in range(7):
        api.put(f"a{number}", number)
    pages = client.pages(THINGS, None, "", 3)
    first, version = await anext(pages)
    api.remove("a6")
    rest = [item for page, at in [page async for page in pages] for item in page if at == version]
    assert [item["spec"] for item in first + rest] == list(range(7))


async def test_lists_and_watches_keep_to_a_namespace_and_a_selector(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    api.put("b", 2, space="other")
    [(items, version)] = [page async for page in client.pages(THINGS, "other", "app=web", 2)]
    assert [item["spec"] for item in items] == [2]
    events = client.watch(THINGS, "other", version, "app=web")
    assert (await anext(events))[0] == "BOOKMARK"
    await events.aclose()
    assert [request.query["labelSelector"] for request in api.requests] == ["app=web"] * 2


async def test_a_watch_tells_of_changes_after_a_version(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    version = str(api.version)
    api.put("a", 2)
    api.remove("a")
    events = client.watch(THINGS, None, version)
    told = [(kind, body.get("spec")) async for kind, body in _take(events, 3)]
    assert told == [("MODIFIED", 2), ("DELETED", 2), ("BOOKMARK", None)]
    query = api.requests[0].query
    assert query["allowWatchBookmarks"] == "true"
    assert 300 <= int(query["timeoutSeconds"]) <= 600


async def test_a_watch_takes_objects_of_any_size(pair: Pair) -> None:
    api, client = pair
    text = random.Random(1).randbytes(1_500_000).hex()
    api.put("a", text)
    api.put("b", "small")
    told = [body async for _, body in _take(client.watch(THINGS, None, "10"), 2)]
    assert [body["spec"] for body in told] == [text, "small"]


@pytest.mark.parametrize("version", [5, 6], ids=["as the answer", "as an event"])
async def test_a_watch_from_a_forgotten_version_is_gone(pair: Pair, version: int) -> None:
    _, client = pair
    with pytest.raises(Gone):
        await anext(client.watch(THINGS, None, str(version)))


async def test_a_watch_that_breaks_off_says_so(pair: Pair) -> None:
    api, client = pair
    events = client.watch(THINGS, None, "10")
    await anext(events)
    api.cut()
    with pytest.raises(StreamCut, match=r"watch things\.test\.dev"):
        await anext(events)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (500, "InternalError", ServerError),
        (302, "Found", KubeError),
    ],
)
async def test_refusals_are_not_tried_again(
    pair: Pair, code: int, reason: str, kind: type[KubeError]
) -> None:
    api, client = pair
    api.faults = [refusal(code, reason)]
    with pytest.raises(KubeError) as caught:
        await client.get(THINGS, "default", "a")
    assert type(caught.value) is kind
    assert str(caught.value) == f"get things.test.dev default/a: that is {reason} ({code})"
    assert len(api.requests) == 1


async def test_a_write_of_an_old_version_conflicts(pair: Pair) -> None:
    api, client = pair
    read = api.put("a", 1)
    api.put("a", 2)
    with pytest.raises(Conflict):
        await client.replace(THINGS, "default", "a", {**read, "spec": 3})
    assert api.objects[Key("default", "a")]["spec"] == 2


def test_a_version_of_the_stores_future_is_gone_too() -> None:
    body = b'{"kind":"Status","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}'
    assert type(error_from_answer("watch things", 504, body, None)) is Gone


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[]", b'{"a": 1}', b"\xff"])
def test_an_answer_that_is_no_status_is_an_error_by_its_code(body: bytes) -> None:
    error = error_from_answer("get things", 503, body, "soon")
    assert type(error) is ServerError
    assert error.transient
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("code", "headers"),
    [(429, {"Retry-After": "1"}), (503, {"Retry-After": "1"}), (500, {"Retry-After": "1"})],
)
async def test_a_server_that_is_busy_is_asked_again_when_it_wants(
    pair: Pair, code: int, headers: dict[str, str]
) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    api.faults = [refusal(code, "Busy", headers)]
    before = asyncio.get_running_loop().time()
    await client.patch_replicas(THINGS, "default", "a", 2)
    assert asyncio.get_running_loop().time() - before >= 1.0
    assert api.objects[Key("default", "a")]["spec"] == {"replicas": 2}


async def test_storage_that_starts_is_waited_for(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    api.faults = [
        web.Response(status=429, text="storage is (re)initializing", headers={"Retry-After": "0"})
        for _ in range(3)
    ]
    items, _ = await list_objects(client, THINGS)
    assert len(items) == 1
    assert len(api.requests) == 4


async def test_a_busy_server_is_given_up_at_the_deadline() -> None:
    async with api_and_client(deadline=1.0) as (api, client):
        api.faults = [refusal(429, "TooManyRequests", {"Retry-After": "5"})]
        with pytest.raises(TooManyRequests):
            await client.get(THINGS, "default", "a")


async def test_a_server_that_restarts_is_found_again(pair: Pair) -> None:
    api, client = pair
    api.put("a", {"replicas": 1})
    await client.get(THINGS, "default", "a")
    await api.stop()
    patch = asyncio.create_task(client.patch_replicas(THINGS, "default", "a", 3))
    await asyncio.sleep(0.3)
    await api.start()
    await patch
    assert api.objects[Key("default", "a")]["spec"] == {"replicas": 3}


async def test_a_server_that_is_away_at_the_start_is_told_of_at_once_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with api_and_client(deadline=60.0) as (api, client):
        await api.stop()
        with caplog.at_level(logging.INFO):
            asking = [asyncio.create_task(client.get(THINGS, "default", "a")) for _ in range(5)]
            while not caplog.records:
                await asyncio.sleep(0.005)
            await api.start()
            api.put("a", 1)
            await asyncio.gather(*asking)
            await api.stop()
            waiting = asyncio.create_task(client.get(THINGS, "default", "a"))
            await asyncio.sleep(0.5)
            await api.start()
            await waiting
    told = [record.message for record in caplog.records if record.name == "kpa.kube.api.transport"]
    assert len(told) == 2, told
    assert re.match(r"API server unreachable; retrying in \S+ s: get things\.test\.dev default/a: ", told[0])
    assert told[1] == "API server reachable"


async def test_a_server_that_is_away_is_unreachable_after_the_deadline() -> None:
    async with api_and_client(deadline=0.5) as (api, client):
        await api.stop()
        with pytest.raises(Unreachable, match=r"get things\.test\.dev default/a"):
            await client.get(THINGS, "default", "a")


async def test_a_server_that_hangs_costs_the_deadline() -> None:
    async with api_and_client(deadline=0.4) as (api, client):
        api.delay = 3600.0
        with pytest.raises(Unreachable, match="no answer in time"):
            await client.get(THINGS, "default", "a")


async def test_an_answer_that_is_no_list_is_no_answer(pair: Pair) -> None:
    api, client = pair
    api.faults = [web.json_response({"ok": True})]
    with pytest.raises(Unreachable, match="not a list"):
        await list_objects(client, THINGS)


async def test_writes_are_concurrent_up_to_a_bound() -> None:
    async with api_and_client(concurrency=8) as (api, client):
        for number in range(40):
            api.put(f"a{number}", {"replicas": 1})
        api.delay = 0.05
        await asyncio.gather(*(client.patch_replicas(THINGS, "default", f"a{n}", 2) for n in range(40)))
        assert 2 <= api.most_in_flight <= 8


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (Resource("", "v1", "pods"), "/api/v1/namespaces/n/pods/a/status"),
        (Resource("apps", "v1", "deployments"), "/apis/apps/v1/namespaces/n/deployments/a/status"),
        (Resource("", "v1", "nodes", namespaced=False), "/api/v1/nodes/a/status"),
    ],
    ids=str,
)
def test_resources_know_their_paths(resource: Resource, path: str) -> None:
    assert resource.path("n", "a", "status") == path


async def _take(events: AsyncGenerator[Any, None], count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(events)
    await events.aclose()
