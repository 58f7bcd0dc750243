"""Waiting until something holds: what is returned, deadlines, and what a failure says."""

import asyncio
import itertools
import time

import pytest

from tests.waiting import until, wait_until


@pytest.mark.virtual_time
class TestUntil:
    async def test_it_returns_what_it_saw(self) -> None:
        looks = itertools.count()
        assert await until(lambda: next(looks), "a look", every=2.0) == 1
        assert asyncio.get_running_loop().time() == 1002.0

    async def test_what_holds_at_once_is_not_waited_for(self) -> None:
        assert await until(lambda: "there", "it is there", 0.0) == "there"
        assert asyncio.get_running_loop().time() == 1000.0

    async def test_it_looks_with_coroutines(self) -> None:
        looks = itertools.count()

        async def look() -> int:
            await asyncio.sleep(1.0)
            return next(looks)

        assert await until(look, "the third look", holds=lambda number: number == 2, every=0.0) == 2
        assert asyncio.get_running_loop().time() == 1003.0

    async def test_a_failure_says_what_was_awaited_and_what_was_seen(self) -> None:
        with pytest.raises(AssertionError) as failure:
            await until(
                lambda: [1, 2],
                "three pods",
                5.0,
                holds=lambda pods: len(pods) == 3,
                every=2.0,
                detail=lambda: "a log",
            )
        assert str(failure.value) == "not within 5 s: three pods; seen last: [1, 2]\na log"
        assert asyncio.get_running_loop().time() == 1005.0

    async def test_a_look_that_hangs_is_ended(self) -> None:
        with pytest.raises(AssertionError, match="not within 5 s: an answer; seen last: None"):
            await until(asyncio.Event().wait, "an answer", 5.0)

    async def test_a_timeout_of_the_look_itself_is_no_failure_of_the_wait(self) -> None:
        async def look() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            await until(look, "an answer")


def test_the_blocking_form_returns_what_it_saw() -> None:
    looks = itertools.count()
    assert wait_until(lambda: next(looks), "the third look", holds=lambda number: number == 2) == 2


def test_the_blocking_form_fails_with_words() -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError) as failure:
        wait_until(lambda: 0, "a look", 0.02, detail=lambda: "a log")
    assert str(failure.value) == "not within 0.02 s: a look; seen last: 0\na log"
    assert time.monotonic() - began > 0.02
