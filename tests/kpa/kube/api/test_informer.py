"""A cache that follows: what listeners are told, and what becomes of it when streams and servers break."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from kpa.kube.api import informer as informer_module
from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import Gone, KubeError, Unreachable
from kpa.kube.api.informer import Informer
from metrics.key import Key
from tests.kpa.kube.api_client import api_and_client
from tests.kpa.kube.fake_api import THINGS, FakeApi, refusal

pytestmark = pytest.mark.virtual_time

DEADLINE = 30.0  # seconds; generous, as it ends a wait that has failed


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.002)


class Follower:
    """An informer of specs that runs, and all that its listener was told."""

    def __init__(self, client: KubeClient, **options: Any) -> None:
        options = {"trim": lambda raw: raw["spec"], "on_change": self._hear} | options
        self.informer: Informer[Any] = Informer(client, THINGS, **options)
        self.cache = self.informer.cache
        self.told: list[tuple[str, Any]] = []
        self.view: dict[Key, Any] = {}

    def _hear(self, key: Key, value: Any) -> None:
        self.told.append((key.name, value))
        self.view[key] = value
        if value is None:
            del self.view[key]

    def specs(self) -> dict[str, Any]:
        return {key.name: value for key, value in self.cache.items()}


@asynccontextmanager
async def following(client: KubeClient, **options: Any) -> AsyncIterator[Follower]:
    follower = Follower(client, **options)
    task = asyncio.create_task(follower.informer.run())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


Pair = tuple[FakeApi, KubeClient]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with api_and_client() as pair:
        yield pair


async def test_what_exists_is_told_before_the_cache_counts_as_synced(pair: Pair) -> None:
    api, client = pair
    for number in range(1203):  # several pages
        api.put(f"a{number:04}", number)
    async with following(client) as follower:
        assert not follower.informer.synced.is_set()
        await asyncio.wait_for(follower.informer.synced.wait(), DEADLINE)
        assert follower.told == [(f"a{number:04}", number) for number in range(1203)]
        assert len(follower.cache) == 1203


async def test_changes_are_told_once_each_and_only_if_something_we_keep_changed(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        api.put("b", 2)
        api.put("a", 1, status={"heartbeat": 17})
        api.put("a", 3)
        api.remove("b")
        await until(lambda: follower.told[-1:] == [("b", None)])
        assert follower.told == [("a", 1), ("b", 2), ("a", 3), ("b", None)]
        assert follower.specs() == {"a": 3}


async def test_what_a_write_was_answered_with_is_known_at_once_and_told_once(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        follower.informer.learn(api.put("a", 2))
        assert follower.specs() == {"a": 2}
        follower.informer.learn(api.put("b", 1))
        api.put("a", 3)
        api.remove("b")
        await until(lambda: follower.told[-1:] == [("b", None)])
        assert follower.told == [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", None)]


async def test_what_was_before_a_write_of_ours_is_passed_over(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        api.put("a", 2)
        follower.informer.learn(api.put("a", 3))
        api.put("b", 1)
        await until(lambda: "b" in follower.specs())
        assert follower.told == [("a", 1), ("a", 3), ("b", 1)]


async def test_writes_are_known_while_a_list_is_due_and_what_the_list_does_not_have_yet_stays(
    pair: Pair,
) -> None:
    """After an outage versions are forgotten: a pass that did not know its own write would repeat it."""
    api, client = pair
    for name in "abc":
        api.put(name, 1)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        api.faults = [refusal(410, "Expired"), *(refusal(503, "Starting") for _ in range(3))]
        api.cut()
        await until(lambda: len(api.faults) < 3)
        assert "watch" not in api.requests[-1].query, "a list is due"
        follower.informer.learn(api.put("a", 2))
        follower.informer.learn(answer := api.put("b", 2))
        assert follower.specs() == {"a": 2, "b": 2, "c": 1}
        api.put("b", 3)
        api.remove("a")
        await until(lambda: follower.specs() == {"b": 3, "c": 1})
        follower.informer.learn(answer)
        assert follower.specs() == {"b": 3, "c": 1}
        told = [("a", 2), ("b", 2), ("b", 3), ("a", None)]
        assert sorted(follower.told[3:], key=str) == sorted(told, key=str)


class Scripted:
    """A client whose lists and watches go on as a test puts something in."""

    def __init__(self) -> None:
        self.lists: asyncio.Queue[tuple[list[Any], str] | None] = asyncio.Queue()
        self.events: asyncio.Queue[tuple[str, Any] | KubeError] = asyncio.Queue()

    async def pages(self, *_: Any) -> AsyncIterator[tuple[list[Any], str]]:
        while (page := await self.lists.get()) is not None:
            yield page

    async def watch(self, *_: Any) -> AsyncIterator[tuple[str, Any]]:
        while not isinstance(event := await self.events.get(), KubeError):
            yield event
        raise event


def thing(name: str, version: int) -> Any:
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": str(version)}, "spec": version}


async def test_a_list_of_before_our_write_does_not_undo_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "request_delay", lambda failures, error: 0.0)
    client = Scripted()
    async with following(client) as follower:  # type: ignore[arg-type]
        client.lists.put_nowait(([thing("a", 1)], "5"))
        client.lists.put_nowait(None)
        client.events.put_nowait(("MODIFIED", thing("a", 9)))
        client.events.put_nowait(Gone("too old"))
        await until(lambda: client.events.empty() and follower.specs() == {"a": 9})
        follower.informer.learn(thing("a", 8))
        assert follower.specs() == {"a": 9}, "an answer that comes late"
        follower.informer.learn(thing("a", 13))
        follower.informer.learn(thing("b", 12))
        client.lists.put_nowait(([thing("a", 9)], "11"))
        client.lists.put_nowait(None)
        client.events.put_nowait(("ADDED", thing("b", 12)))
        client.events.put_nowait(("MODIFIED", thing("a", 13)))
        client.events.put_nowait(("MODIFIED", thing("a", 14)))
        await until(lambda: follower.specs() == {"a": 14, "b": 12})
        assert follower.told == [("a", 1), ("a", 9), ("a", 13), ("b", 12), ("a", 14)]


async def test_a_server_that_is_back_and_has_forgotten_our_version_is_asked_at_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long nobody answered; an answer counts from one again."""
    counted: list[tuple[int, bool]] = []

    def delay(failures: int, error: KubeError) -> float:
        counted.append((failures, isinstance(error, Unreachable)))
        return 0.01

    monkeypatch.setattr(informer_module, "request_delay", delay)
    api, client = pair
    api.put("a", 1)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        await api.stop()
        await until(lambda: len(counted) > 8)
        api.put("a", 2)
        api.compacted = api.version
        await api.start()
        await until(lambda: follower.specs() == {"a": 2})
    away = [failures for failures, unreachable in counted if unreachable]
    answered = [failures for failures, unreachable in counted if not unreachable]
    assert away == list(range(1, len(away) + 1))
    assert answered == [1], "that the version is too old"


@pytest.mark.parametrize("change", ["changed", "removed"])
async def test_an_answer_that_comes_after_later_news_changes_nothing(pair: Pair, change: str) -> None:
    api, client = pair
    async with following(client) as follower:
        await follower.informer.synced.wait()
        answer = api.put("a", 1)
        if change == "removed":
            api.remove("a")
        else:
            api.put("a", 2)
        api.put("b", 1)
        await until(lambda: "b" in follower.specs())
        before = follower.specs()
        follower.informer.learn(answer)
        assert follower.specs() == before


async def test_nothing_is_learned_before_the_first_list_nor_without_a_number(pair: Pair) -> None:
    api, client = pair
    informer: Informer[Any] = Informer(client, THINGS, lambda raw: raw["spec"])
    informer.learn(api.put("a", 1))
    assert dict(informer.cache) == {}
    async with following(client) as follower:
        await follower.informer.synced.wait()
        follower.informer.learn(
            {"metadata": {"namespace": "default", "name": "c", "resourceVersion": "x9"}, "spec": 3}
        )
        assert follower.specs() == {"a": 1}


async def test_objects_of_one_name_in_two_namespaces_are_two(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    api.put("a", 2, space="other")
    async with following(client) as everything, following(client, namespace="other") as other:
        await everything.informer.synced.wait()
        await other.informer.synced.wait()
        assert dict(everything.cache) == {Key("default", "a"): 1, Key("other", "a"): 2}
        assert dict(other.cache) == {Key("other", "a"): 2}


async def test_what_trimming_drops_does_not_exist(pair: Pair) -> None:
    api, client = pair
    api.put("odd", 1)
    api.put("even", 2)
    trim = lambda raw: raw["spec"] if raw["spec"] % 2 == 0 else None  # noqa: E731
    async with following(client, trim=trim) as follower:
        await follower.informer.synced.wait()
        assert follower.specs() == {"even": 2}
        api.put("even", 3)
        api.put("odd", 4)
        await until(lambda: follower.specs() == {"odd": 4})
        assert follower.told == [("even", 2), ("even", None), ("odd", 4)]


async def test_an_object_that_cannot_be_read_hides_no_other(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    api, client = pair
    api.put("a", {"size": 1})
    api.put("bad", {"seize": 1})
    async with following(client, trim=lambda raw: raw["spec"]["size"]) as follower:
        await follower.informer.synced.wait()
        assert follower.specs() == {"a": 1}
        with caplog.at_level(logging.ERROR):
            api.put("a", {})
            api.put("b", {"size": 2})
            await until(lambda: "b" in follower.specs())
        assert follower.specs() == {"a": 1, "b": 2}, "the last one stays"
        assert "default/a" in caplog.text
        api.remove("a")
        await until(lambda: follower.specs() == {"b": 2})


async def test_a_listener_that_fails_stops_nothing(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    api, client = pair

    def fail(key: Key, value: Any) -> None:
        raise RuntimeError("no")

    async with following(client, on_change=fail) as follower:
        await follower.informer.synced.wait()
        api.put("a", 1)
        await until(lambda: follower.specs() == {"a": 1})
        assert "change handler failed" in caplog.text


async def test_a_stream_that_is_cut_again_and_again_loses_and_doubles_nothing(pair: Pair) -> None:
    api, client = pair
    async with following(client) as follower:
        await follower.informer.synced.wait()
        for number in range(60):
            api.put(f"a{number % 7}", number)
            if number % 4 == 0:
                api.cut()
            await asyncio.sleep(0.01)
        await until(lambda: len(follower.told) >= 60)
        assert [value for _, value in follower.told] == list(range(60))
        lists = [request for request in api.requests if "watch" not in request.query]
        assert len(lists) == 1, "a cut is no reason to list"


@pytest.mark.parametrize("odd", [True, False], ids=["as the answer", "as an event"])
async def test_what_went_while_versions_were_forgotten_is_found(pair: Pair, odd: bool) -> None:
    api, client = pair
    for number in range(3 if odd else 4):
        api.put(f"a{number}", number)
    async with following(client) as follower:
        await follower.informer.synced.wait()
        await until(lambda: any("watch" in request.query for request in api.requests))
        assert bool(api.version % 2) is odd
        before = len(follower.told)
        await api.stop()
        api.remove("a0")
        api.put("a1", "new")
        api.put("a9", 9)
        api.compacted = api.version
        await api.start()
        await until(lambda: "a9" in follower.specs())
        await until(lambda: "a0" not in follower.specs())
        assert sorted(follower.told[before:]) == [("a0", None), ("a1", "new"), ("a9", 9)]


async def test_a_server_that_comes_back_is_followed_soon(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    api, client = pair
    with caplog.at_level(logging.INFO):
        async with following(client) as follower:
            await follower.informer.synced.wait()
            await api.stop()
            await asyncio.sleep(2.5)
            await api.start()
            api.put("a", 1)
            await until(lambda: follower.specs() == {"a": 1})
    told = [record.message for record in caplog.records if record.name == "kpa.kube.api.informer"]
    assert len(told) == 2, told
    assert "watch things.test.dev failing" in told[0]
    assert told[1] == "watch things.test.dev works again"


async def test_a_server_that_is_busy_is_asked_again_when_it_wants(pair: Pair) -> None:
    api, client = pair
    api.put("a", 1)
    api.picks = lambda request: "watch" in request.query
    api.faults = [refusal(429, "TooManyRequests", {"Retry-After": "1"}) for _ in range(2)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with following(client) as follower:
        await follower.informer.synced.wait()
        api.put("a", 2)
        await until(lambda: follower.specs() == {"a": 2})
    assert loop.time() - began >= 2.0
    assert len([request for request in api.requests if "watch" not in request.query]) == 1


async def test_a_lack_of_rights_is_logged_and_tried_again(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    api, client = pair
    api.put("a", 1)
    api.faults = [refusal(403, "Forbidden") for _ in range(3)]
    async with following(client) as follower:
        await asyncio.wait_for(follower.informer.synced.wait(), DEADLINE)
    assert caplog.text.count("list things.test.dev: that is Forbidden (403)") == 1


async def test_a_list_whose_pages_take_too_long_is_asked_for_as_a_whole(pair: Pair) -> None:
    api, client = pair
    for number in range(1100):
        api.put(f"a{number}", number)
    api.picks = lambda request: "continue" in request.query
    api.faults = [refusal(410, "Expired")]
    async with following(client) as follower:
        await asyncio.wait_for(follower.informer.synced.wait(), DEADLINE)
        assert len(follower.cache) == 1100
        lists = [request.query.get("limit") for request in api.requests if "watch" not in request.query]
        assert lists == ["50", "50", None]
