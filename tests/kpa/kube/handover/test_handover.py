"""Snapshots on their way between replicas, over real sockets; the file beside them.

Left out: whole processes on a real API server (tests/kube).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from kpa.kube.handover import handover, pages
from kpa.kube.handover.follower import Follower
from kpa.kube.handover.handover import Handover
from kpa.kube.handover.pace import Pace
from kpa.kube.handover.pages import CONTENT_TYPE, LENGTHS, PATH, HandoverPages
from kpa.kube.handover.state_file import StateFile
from metrics.key import Key
from metrics.stat_server import StatServer
from scaler.snapshot import snapshot
from tests.kpa.controller.test_reconciler import KEY, World

pytestmark = pytest.mark.virtual_time

HERE, THERE = "autoscaler-1_127.0.0.1", "autoscaler-2_127.0.0.1"
ONE, OTHER = "bucket-00", "bucket-01"


class Leader:
    """A replica that leads a bucket of two, with a revision in each."""

    def __init__(self, state_folder: Path | None = None) -> None:
        self.world = World()
        for name in ("hello-00001", "other-00001"):
            self.world.revision(Key("default", name), ready=2)
        self.led = {ONE}
        self.handover = Handover(
            self.world.reconciler,
            THERE,
            lambda key: ONE if key == KEY else OTHER,
            lambda bucket: bucket in self.led,
            state_folder,
        )
        self.pages: HandoverPages = self.handover.pages
        self.requests = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Leader"]:
        server = StatServer(lambda messages: None, pages={PATH: self._answer})
        self.port = await server.start("127.0.0.1", 0)
        try:
            yield self
        finally:
            await server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        return await self.pages.answer(request)


@pytest.fixture
async def leader() -> AsyncIterator[Leader]:
    async with Leader().serving() as leader:
        yield leader


async def asked(port: int, query: str = f"?bucket={ONE}") -> tuple[int, str, bytes]:
    url = f"http://127.0.0.1:{port}{PATH}{query}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.content_type, await answer.read()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_bucket_that_is_led_is_told_of(leader: Leader) -> None:
    status, content_type, data = await asked(leader.port)
    assert (status, content_type) == (200, CONTENT_TYPE)
    assert list(snapshot.read(data)) == [str(KEY)]


@pytest.mark.parametrize("query", [f"?bucket={OTHER}", "?bucket=bucket-99", "", "?bucket="])
async def test_of_others_nothing_is_told(leader: Leader, query: str) -> None:
    status, _, data = await asked(leader.port, query)
    assert status == 404
    assert b"is not ours" in data


async def test_buckets_are_told_of_together_each_in_its_length(leader: Leader) -> None:
    leader.led.add(OTHER)
    follower = Follower(HERE, leader.port)
    for bucket in (ONE, "bucket-99", OTHER):
        follower.set_holder(bucket, THERE)
    await until(lambda: len(follower._kept) == 2)
    kept = {bucket: list(snapshot.read(data)) for bucket, data in follower._kept.items()}
    assert kept == {ONE: [str(KEY)], OTHER: ["default/other-00001"]}
    assert leader.requests == 1
    await follower.close()


@pytest.mark.parametrize("lengths", ["1", "1,1", "2,-1", "many", "1,0,0"])
async def test_lengths_that_cannot_be_are_refused(lengths: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"1", content_type=CONTENT_TYPE, headers={LENGTHS: lengths})

    async with peer(answer) as port:
        follower = Follower(HERE, port)
        follower.set_holder(ONE, THERE)
        follower.set_holder(OTHER, THERE)
        await until(lambda: caplog.messages)
        assert not follower._kept
        await follower.close()


async def test_a_replica_that_gives_no_lengths_tells_of_the_one_bucket_that_it_was_asked_for() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"all", content_type=CONTENT_TYPE)

    async with peer(answer) as port:
        follower = Follower(HERE, port)
        assert await follower.last_word(ONE, THERE, 5.0) == [b"all"]
        await follower.close()


async def test_a_bucket_that_comes_to_a_holder_is_asked_for_at_once(leader: Leader) -> None:
    follower = Follower(HERE, leader.port, Pace(3600.0))
    follower.set_holder(ONE, THERE)
    await until(lambda: ONE in follower._kept)
    leader.led.add(OTHER)
    follower.set_holder(OTHER, THERE)
    await until(lambda: OTHER in follower._kept)
    await follower.close()


async def test_many_buckets_are_asked_for_in_parts(leader: Leader) -> None:
    follower = Follower(HERE, leader.port)
    for number in range(1000):
        follower.set_holder(f"autoscaler-bucket-{number:03d}-of-1000", THERE)
    follower.set_holder(ONE, THERE)
    await until(lambda: ONE in follower._kept)
    await follower.close()


async def test_what_is_being_told_when_a_lease_is_released_is_kept() -> None:
    """The holder counts it as told, and ends: nobody would say it again."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if asked.is_set():
            return web.Response(status=404)
        asked.set()
        await go.wait()
        return web.Response(body=b"onetwo", content_type=CONTENT_TYPE, headers={LENGTHS: "3,3"})

    async with peer(answer) as port:
        follower = Follower(HERE, port)
        for bucket in (ONE, OTHER):
            follower.set_holder(bucket, THERE)
        await asked.wait()
        for bucket in (ONE, OTHER):
            follower.set_holder(bucket, "")
        words = [asyncio.create_task(follower.last_word(bucket, THERE, 5.0)) for bucket in (ONE, OTHER)]
        done, _ = await asyncio.wait(words, timeout=0.2)
        assert not done, "they wait for what is being told"
        go.set()
        assert await asyncio.gather(*words) == [[b"one"], [b"two"]]
        await follower.close()


@pytest.mark.parametrize(("lease", "every"), [(4.0, 5.0), (40.0, 10.0), (60.0, 15.0), (600.0, 15.0)])
def test_requests_keep_pace_with_leases(lease: float, every: float) -> None:
    pace = Pace()
    pace.keep(lease)
    assert (pace.every, pace.fresh) == (every, 0.8 * every)


async def test_a_bucket_released_just_now_is_told_of_as_it_was_asked_for_last(leader: Leader) -> None:
    before = await asked(leader.port)
    leader.led.clear()
    leader.world.cluster.remove(KEY)
    assert await asked(leader.port) == before


async def test_many_who_ask_at_once_cost_one_snapshot(leader: Leader) -> None:
    took = 0
    payloads = leader.world.reconciler.payloads

    def counted(keys: list[Key]) -> list[bytes]:
        nonlocal took
        took += 1
        return payloads(keys)

    leader.world.reconciler.payloads = counted  # type: ignore[method-assign,assignment]
    answers = await asyncio.gather(*(asked(leader.port) for _ in range(5)))
    assert len(set(answers)) == 1
    assert took == 1


async def test_who_ends_waits_until_it_was_asked(leader: Leader) -> None:
    await leader.handover.finish([ONE])
    leader.led.clear()
    leader.world.cluster.remove(KEY)
    waiting = asyncio.create_task(leader.pages.fetched(60.0))
    _, _, data = await asked(leader.port)
    assert list(snapshot.read(data)) == [str(KEY)]
    async with asyncio.timeout(30):
        await waiting
    assert (await asked(leader.port))[2] == data, "another one may ask as well"


async def test_who_ends_does_not_wait_for_ever(leader: Leader, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await leader.handover.finish([ONE])
    await leader.pages.fetched(0.05)
    assert "no successor within 0.05 s" in caplog.messages


async def test_who_knows_nothing_does_not_wait(leader: Leader) -> None:
    await leader.handover.finish([OTHER])
    await leader.pages.fetched(3600.0)
    leader.world.cluster.remove(KEY)
    await leader.handover.finish([ONE])
    await leader.pages.fetched(3600.0)


async def test_a_follower_keeps_what_it_was_told_last(leader: Leader) -> None:
    follower = Follower(HERE, leader.port)
    follower.set_holder(ONE, THERE)
    await until(lambda: follower._kept)
    leader.led.clear()
    leader.pages._taken.clear()
    follower.set_holder(ONE, "")
    kept = await follower.last_word(ONE, THERE, 5.0)
    assert [list(snapshot.read(data)) for data in kept] == [[str(KEY)]]
    assert await follower.last_word(ONE, "", 5.0) == [], "it is told once"
    await follower.close()


async def test_who_lost_a_bucket_goes_on_from_its_own_last_snapshot_unless_another_told_more(
    leader: Leader,
) -> None:
    handover = leader.handover
    leader.led.clear()
    await handover.lost(ONE)
    assert list(snapshot.read((await asked(leader.port))[2])) == [str(KEY)], "its next holder may ask"
    told = await handover.follower.last_word(ONE, THERE, 5.0)
    assert [list(snapshot.read(data)) for data in told] == [[str(KEY)]]
    handover.follower.keep(ONE, b"of the next holder")
    await handover.lost(ONE)
    assert await handover.follower.last_word(ONE, "", 5.0) == [b"of the next holder"]


async def test_a_bucket_that_is_given_away_costs_one_snapshot(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await leader.pages.refresh(ONE)
    leader.led.clear()
    monkeypatch.setattr(leader.pages, "_take", None)
    monkeypatch.setattr(pages, "_JUST_NOW", 60.0)
    assert await leader.pages.lost(ONE) == made


async def test_the_last_holder_is_asked_once_more(leader: Leader) -> None:
    follower = Follower(HERE, leader.port)
    assert len(await follower.last_word(ONE, THERE, 5.0)) == 1
    assert await follower.last_word(OTHER, THERE, 5.0) == []
    assert await follower.last_word(ONE, HERE, 5.0) == [], "we do not ask ourselves"
    await follower.close()


@asynccontextmanager
async def peer(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """A replica of another kind."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "said"), [(400, "HTTP status 400"), (200, "HTTP status 200"), (503, "HTTP status 503")]
)
async def test_a_peer_without_hand_overs_is_asked_ever_more_rarely_and_that_is_said_once(
    status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Knative's stat server answers 400 to a plain GET, and 200 to one for a bucket that it does not lead."""
    caplog.set_level(logging.INFO)
    loop, times = asyncio.get_running_loop(), list[float]()

    async def answer(request: web.Request) -> web.Response:
        times.append(loop.time())
        return web.Response(status=status)

    async with peer(answer) as port:
        follower = Follower(HERE, port, Pace(0.005))
        follower.set_holder(ONE, THERE)
        await until(lambda: len(times) >= 6)
        assert await follower.last_word(ONE, THERE, 5.0) == []
        await follower.close()
    assert times[5] - times[4] > 0.1, "pauses double: no sleep is shorter than asked for"
    assert caplog.messages == [f"replica {THERE} has nothing to hand over: {said}"]
    assert {record.levelno for record in caplog.records} == {logging.INFO}


async def test_a_holder_that_is_about_to_know_is_asked_again_soon(
    leader: Leader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leader.led.clear()
    follower = Follower(HERE, leader.port, Pace(0.01))
    follower.set_holder(ONE, THERE)
    await asyncio.sleep(0.1)  # it asks some times
    leader.led.add(ONE)
    await until(lambda: follower._kept)
    assert caplog.messages == []
    await follower.close()


@pytest.mark.parametrize("identity", ["nobody", "pod_10.0.0.300", "_"])
async def test_an_identity_without_an_address_is_no_holder(
    identity: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    follower = Follower(HERE)
    assert await follower.last_word(ONE, identity, 5.0) == []
    assert "has nothing to hand over" in caplog.text
    await follower.close()


async def test_a_peer_that_hangs_is_not_waited_for() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async with peer(hang) as port:
        follower = Follower(HERE, port)
        assert await follower.last_word(ONE, THERE, 0.05) == []
        await follower.close()


async def test_a_bucket_is_inherited_with_all_that_is_known(leader: Leader, tmp_path: Path) -> None:
    successor = Leader(tmp_path)
    successor.handover.follower = Follower(HERE, leader.port)
    await StateFile(tmp_path).write(b"no snapshot")
    for key in (KEY, Key("default", "other-00001")):
        successor.world.cluster.remove(key)
    await leader.world.run(20, 12.0)
    await successor.handover.inherit(ONE, THERE)
    successor.world.now = leader.world.now
    successor.world.revision(ready=2)
    await successor.world.step()
    known = {status.key: status for status in leader.world.reconciler.statuses()}[KEY]
    assert next(iter(successor.world.reconciler.statuses())).stable == pytest.approx(known.stable)
    await successor.handover.close()


async def test_a_damaged_snapshot_is_told_of_and_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await StateFile(tmp_path).write(b"<html></html>")
    successor = Leader(tmp_path)
    await successor.handover.inherit(ONE, "")
    assert caplog.messages == [
        f"bucket {ONE}: cannot use a snapshot: not a snapshot: it begins with b'<html></'"
    ]


async def test_the_state_is_written_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_WRITE_EVERY", 0.01)
    leader = Leader(tmp_path)
    task = asyncio.create_task(leader.handover.run())
    file = StateFile(tmp_path)
    async with asyncio.timeout(30):
        while (data := await file.read()) is None:
            await asyncio.sleep(0.01)
    assert set(snapshot.read(data)) == {"default/hello-00001", "default/other-00001"}
    leader.world.cluster.remove(KEY)
    async with asyncio.timeout(30):
        while set(snapshot.read(await file.read() or b"")) != {"default/other-00001"}:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_who_is_followed_makes_one_snapshot_for_its_file_and_its_followers(tmp_path: Path) -> None:
    leader = Leader(tmp_path)
    leader.led.add(OTHER)
    taken = list[list[Key]]()
    payloads = leader.world.reconciler.payloads

    def noted(keys: list[Key]) -> list[bytes]:
        taken.append(list(keys))
        return payloads(keys)

    leader.world.reconciler.payloads = noted  # type: ignore[method-assign,assignment]
    first = await leader.pages.snapshot(ONE)
    everything = await leader.pages.everything()
    assert set(snapshot.read(everything)) == {"default/hello-00001", "default/other-00001"}
    second = await leader.pages.snapshot(ONE)
    assert taken == [[KEY], [KEY], [Key("default", "other-00001")]]
    assert everything.startswith(second or b"-")
    assert first is not second


async def test_a_file_that_cannot_be_written_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = StateFile(tmp_path / "absent")
    assert await file.read() is None
    await file.write(b"")
    await file.write(b"")
    assert len(caplog.messages) == 1
    (tmp_path / "absent").mkdir()
    await file.write(b"12")
    assert await file.read() == b"12"
    assert [path.name for path in (tmp_path / "absent").iterdir()] == ["snapshot"]


@pytest.mark.parametrize("folder", [True, False])
async def test_without_a_folder_nothing_is_written(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Written(Exception):
        """The state was about to be written."""

    async def write(self: StateFile, data: bytes) -> None:
        raise Written

    monkeypatch.setattr(handover, "_WRITE_EVERY", 0.01)
    monkeypatch.setattr(StateFile, "write", write)
    leader = Leader(tmp_path if folder else None)
    outcome = pytest.raises(Written) if folder else nullcontext()
    async with asyncio.timeout(30):
        with outcome:
            await leader.handover.run()
        with outcome:
            await leader.handover.finish([ONE])
