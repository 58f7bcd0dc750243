"""The load player against a real server on this machine.

Covered: open loop, lag, Host, work asked for, every failure, cold starts, the bound, the loopback rule.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from kpa.demo.model_server import LOADED_AT
from kpa.demo.player import Player, RequestOutcome, check_loopback
from kpa.demo.trace import Arrival

NOTHING = [Arrival(0, 0)]


@asynccontextmanager
async def backend(handler: Handler) -> AsyncIterator[str]:
    """Serve one handler on a free port."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def played(handler: Handler, arrivals: list[Arrival], seconds: float = 30.0) -> list[RequestOutcome]:
    async with backend(handler) as url:
        player = Player(url, "model.localhost", timeout=seconds)
        await player.play(arrivals)
    assert player.in_flight == 0
    assert player.sent == len(player.outcomes)
    return player.outcomes


async def test_each_arrival_names_the_service_and_its_work() -> None:
    seen: list[tuple[str, str]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.host, request.query["sleep"]))
        return web.Response()

    outcomes = await played(note, [Arrival(0, 0.0125), Arrival(0.01, 2)])
    assert sorted(seen) == [("model.localhost", "12.5"), ("model.localhost", "2000.0")]
    assert [outcome.status for outcome in outcomes] == [200, 200]


async def test_slow_answers_do_not_hold_later_arrivals_back() -> None:
    all_here = asyncio.Barrier(5)

    async def wait_for_all(request: web.Request) -> web.Response:
        await all_here.wait()
        return web.Response()

    outcomes = await played(wait_for_all, [Arrival(0.02 * number, 0) for number in range(5)])
    assert [outcome.status for outcome in outcomes] == [200] * 5
    assert max(outcome.latency for outcome in outcomes) >= 0.08  # the first one waited for the last one


async def test_latency_counts_from_the_due_time() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    async with backend(answer) as url:
        player = Player(url, "model.localhost")
        playing = asyncio.create_task(player.play([Arrival(0.1, 0)]))
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251  the player cannot send in time
        await playing
    assert player.outcomes[0].due == 0.1
    assert player.outcomes[0].latency >= 0.3


async def test_answers_other_than_200_fail_with_their_text() -> None:
    async def full(request: web.Request) -> web.Response:
        return web.Response(status=503, text="pending request queue full\n")

    (outcome,) = await played(full, NOTHING)
    assert (outcome.status, outcome.error) == (503, "503: pending request queue full")


async def test_a_broken_answer_fails() -> None:
    async def cut_off(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport
        request.transport.close()
        return answer

    (outcome,) = await played(cut_off, NOTHING)
    assert outcome.status == 0
    assert outcome.error.startswith("ClientPayloadError: ")


async def test_no_answer_in_time_fails() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    (outcome,) = await played(hang, NOTHING, seconds=0.2)
    assert (outcome.status, outcome.error) == (0, "no answer within 0.2 s")


async def test_nobody_listening_fails(unused_tcp_port: int) -> None:
    player = Player(f"http://127.0.0.1:{unused_tcp_port}/", "model.localhost")
    await player.play(NOTHING)
    assert player.outcomes[0].status == 0
    assert player.outcomes[0].error.startswith("ClientConnectorError: ")


@pytest.mark.parametrize(("age", "cold"), [(10.0, False), (-10.0, True)])
async def test_a_request_is_cold_when_its_replica_was_ready_after_it_was_due(age: float, cold: bool) -> None:
    loaded_at = time.time() - age

    async def answer(request: web.Request) -> web.Response:
        return web.Response(headers={LOADED_AT: f"{loaded_at:.3f}"})

    (outcome,) = await played(answer, NOTHING)
    assert outcome.cold is cold


async def test_arrivals_beyond_the_bound_are_not_sent_and_say_so() -> None:
    enough = asyncio.Event()
    all_here = asyncio.Barrier(4)  # three requests and this test

    async def hold(request: web.Request) -> web.Response:
        await all_here.wait()
        await enough.wait()
        return web.Response()

    async with backend(hold) as url:
        player = Player(url, "model.localhost", bound=3)
        playing = asyncio.create_task(player.play([Arrival(0, 0)] * 5))
        await all_here.wait()
        assert (player.in_flight, len(player.outcomes)) == (3, 2)
        enough.set()
        await playing
    errors = sorted(outcome.error for outcome in player.outcomes)
    assert errors == ["", "", ""] + ["not sent: 3 requests are in flight, the player's bound"] * 2
    assert player.sent == 5


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8:80", "[::1]:8080", "localhost:8080"])
def test_this_machine_may_be_loaded(host: str) -> None:
    check_loopback(f"http://{host}/")


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1:80", "0.0.0.0", "127.0.0.1.example.com", ""])
def test_another_machine_may_not(host: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not this machine; the player sends to 127\.0\.0\.1, ::1, localhost"
    ):
        Player(f"http://{host}/", "model.localhost")
