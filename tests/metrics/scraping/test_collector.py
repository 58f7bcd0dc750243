"""A fleet of real servers scraped in virtual seconds, and the loop itself on the real clock.

Aspects: totals, broken pods, both policies, pods and clocks that change, lateness of the loop. Left out:
which pods a round asks (test_rounds), what a connection accepts (test_scraper).

See tests.metrics.rig for the two moments of a virtual second.
"""

import asyncio
import random
import time

import pytest

from metrics.key import Key
from metrics.sampling.gap_filling import MissingStats
from metrics.scraping.collector import Collector, PodTarget
from tests.metrics.fake_pods import (
    HEAD,
    Behaviour,
    FakePod,
    endless,
    healthy,
    says,
    says_and_closes,
    silent,
    sized,
    until,
)
from tests.metrics.rig import START, Rig

A, B = Key("default", "a"), Key("default", "b")


async def test_each_revision_is_recorded_once_a_second(rig: Rig) -> None:
    keys = [("default", str(number)) for number in range(20)]
    for number, key in enumerate(keys):
        rig.watch(key, [await rig.pod(number), await rig.pod(1.0)][: 1 + number % 2])
    await rig.seconds(0, 4)
    for number, key in enumerate(keys):
        total = number + number % 2
        assert rig.records[key] == [(second, total) for second in range(5)]
    assert {pod.connections for pod in rig.pods if pod.requests} == {1}
    assert rig.durations == [0.0] * 100


async def test_a_sample_stands_for_all_pods(rig: Rig) -> None:
    pods = [await rig.pod(2.0) for _ in range(10)]
    rig.watch(A, pods)
    await rig.seconds(0, 1)
    assert rig.records[A] == [(0, 20.0), (1, 20.0)]
    assert sum(len(pod.requests) for pod in pods) == 14


async def slow_headers(pod: FakePod, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD[:20])
    await asyncio.Event().wait()


async def half_a_body(pod: FakePod, writer: asyncio.StreamWriter) -> None:
    writer.write(sized(pod.stat.encode())[:-5])
    await asyncio.Event().wait()


BROKEN = {
    "garbage": says(b"garbage\r\n\r\n"),
    "500": says(sized(b"", HEAD.replace(b"200", b"500"))),
    "wrong type": says(sized(b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")),
    "endless": endless,
    "closes": says_and_closes(b""),
    "half and closes": says_and_closes(HEAD),
}
HANGING = {"silent": silent, "slow headers": slow_headers, "half a body": half_a_body}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_a_broken_pod_delays_nobody(rig: Rig, behaviour: Behaviour) -> None:
    broken = await rig.pod(behaviour=behaviour)
    rig.watch(A, [await rig.pod(3.0), broken])
    rig.watch(B, [await rig.pod(1.0)])
    for second in range(8):
        await rig.begin(second)
        assert rig.records[A][-1] == (second, 6.0)
        assert rig.records[B][-1] == (second, 1.0)
    assert 2 <= len(broken.requests) <= 5
    broken.behaviour = healthy
    await rig.seconds(9, 13)
    assert rig.records[A][-1] == (13, 4.0)


@pytest.mark.parametrize("behaviour", HANGING.values(), ids=HANGING)
async def test_a_hanging_pod_delays_its_own_revision_once_and_only_to_the_deadline(
    rig: Rig, behaviour: Behaviour
) -> None:
    hanging = await rig.pod(behaviour=behaviour)
    rig.watch(A, [await rig.pod(3.0), hanging])
    rig.watch(B, [await rig.pod(1.0)])
    await rig.begin(0, [hanging])
    assert A not in rig.records
    assert rig.records[B] == [(0, 1.0)]
    await rig.end(0, [hanging])
    assert rig.records[A] == [(0, 6.0)]
    for second in range(1, 12):
        await rig.begin(second, [hanging])
        assert rig.records[A][-1] == (second, 6.0)
        assert rig.records[B][-1] == (second, 1.0)
    assert rig.collector.failures["timeout"] >= 2


async def test_a_refusing_pod_delays_nobody(rig: Rig) -> None:
    refusing = await rig.pod()
    await refusing.stop()
    rig.watch(A, [await rig.pod(3.0), refusing])
    await rig.begin(0)
    assert rig.records[A] == [(0, 6.0)]
    assert +rig.collector.failures == {"connect": 1}


async def test_under_hold_an_outage_is_bridged_for_a_panic_window_and_then_forgotten(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod])
    await rig.seconds(0, 1)
    await pod.stop()
    await rig.seconds(2, 7)
    assert rig.records[A] == [(second, 5.0) for second in range(8)]
    assert rig.forgotten == []
    await rig.seconds(8, 12)
    assert rig.forgotten == [A]
    assert len(rig.records[A]) == 8
    await pod.start()
    await rig.seconds(13, 17)
    assert rig.records[A][8:][-1] == (17, 5.0)
    assert rig.records[A][8][0] <= 16, "a failing pod is asked every few seconds"
    assert rig.forgotten == [A]


async def test_under_hold_silence_is_bridged_at_the_deadline(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod])
    await rig.seconds(0, 0)
    pod.behaviour = silent
    await rig.begin(1, [pod])
    assert rig.records[A] == [(0, 5.0)]
    await rig.end(1, [pod])
    assert rig.records[A] == [(0, 5.0), (1, 5.0)]


async def test_under_zero_an_outage_leaves_its_seconds_empty(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod], "zero")
    await rig.seconds(0, 1)
    await pod.stop()
    await rig.seconds(2, 9)
    await pod.start()
    await rig.seconds(10, 14)
    assert rig.records[A][:2] == [(0, 5.0), (1, 5.0)]
    assert rig.records[A][2][0] in (10, 11, 12, 13)
    assert rig.forgotten == []


async def test_under_zero_one_pod_of_three_spoils_the_second(rig: Rig) -> None:
    broken = await rig.pod(behaviour=says(b"garbage\r\n"))
    rig.watch(A, [await rig.pod(), await rig.pod(), broken], "zero")
    await rig.seconds(0, 1)
    assert A not in rig.records


async def test_under_zero_spares_fill_the_sample(rig: Rig) -> None:
    pods = [await rig.pod(2.0) for _ in range(9)]
    broken = [await rig.pod(behaviour=says(b"garbage\r\n")) for _ in range(3)]
    rig.watch(A, [*pods, *broken], "zero")
    await rig.seconds(0, 4)
    assert rig.records[A] == [(second, 24.0) for second in range(5)]


async def test_pods_that_never_answered_leave_nothing_to_hold(rig: Rig) -> None:
    rig.watch(A, [await rig.pod(behaviour=says(b"garbage\r\n"))])
    await rig.seconds(0, 9)
    assert A not in rig.records
    assert rig.forgotten == []


async def test_scaled_to_zero_is_no_outage(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod])
    await rig.seconds(0, 1)
    rig.watch(A, [])
    await rig.seconds(2, 12)
    assert rig.records[A] == [(0, 5.0), (1, 5.0)]
    assert rig.forgotten == []
    await until(lambda: not pod.open)
    rig.watch(A, [await rig.pod(behaviour=silent)])
    await rig.seconds(13, 14, rig.pods)
    assert len(rig.records[A]) == 2, "what was held before scaling to zero is not held after it"


async def test_pods_that_come_and_go_in_mid_round(rig: Rig) -> None:
    stays, leaves = await rig.pod(3.0), await rig.pod(behaviour=silent)
    rig.watch(A, [stays, leaves])
    await rig.begin(0, [leaves])
    comes = await rig.pod(4.0)
    rig.watch(A, [stays, comes])
    assert rig.records[A] == [(0, 6.0)], "the round ends without the pod that left"
    await until(lambda: not leaves.open)
    await rig.seconds(1, 1)
    assert rig.records[A][1:] == [(1, 7.0)]
    assert stays.connections == 1


async def test_unwatching_in_mid_round_records_nothing_more(rig: Rig) -> None:
    pod = await rig.pod(behaviour=silent)
    rig.watch(A, [await rig.pod(1.0), pod])
    await rig.begin(0, [pod])
    rig.collector.unwatch(A)
    await rig.seconds(1, 2)
    assert A not in rig.records
    await until(lambda: not any(pod.open for pod in rig.pods))
    with pytest.raises(KeyError):
        rig.collector.unwatch(A)


async def test_a_consumer_may_unwatch_while_it_is_told(rig: Rig) -> None:
    rig.watch(A, [await rig.pod()])
    rig.watch(B, [await rig.pod()])
    rig.collector._scrapers[A].round.gap_filler._record = lambda key, stat, second: rig.collector.unwatch(key)
    await rig.seconds(0, 2)
    assert rig.records == {B: [(0, 1.0), (1, 1.0), (2, 1.0)]}


async def test_watching_again_with_the_same_pods_changes_nothing(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    for second in range(3):
        rig.watch(A, [pod])
        await rig.begin(second)
        rig.watch(A, [pod])
        await rig.end(second)
    assert rig.records[A] == [(0, 5.0), (1, 5.0), (2, 5.0)]
    assert pod.connections == 1


async def test_a_pod_named_twice_is_asked_once(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    for second in range(2):
        twice = [pod.target(), pod.target()]
        rig.collector.watch(A, twice, stable_window=60.0, panic_window=6.0, missing_stats="hold")
        await rig.seconds(second, second)
    assert rig.records[A] == [(0, 5.0), (1, 5.0)]
    assert pod.connections == 1


async def test_a_pod_under_a_new_address_gets_a_new_connection(rig: Rig) -> None:
    old, new = await rig.pod(1.0), await rig.pod(2.0)
    rig.watch(A, [old])
    await rig.seconds(0, 0)
    rig.watch(A, [new])
    await rig.seconds(1, 1)
    assert rig.records[A] == [(0, 1.0), (1, 2.0)]
    await until(lambda: not old.open)


async def test_a_connection_closed_between_rounds_costs_no_second(rig: Rig) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod], "zero")
    for second in range(3):
        await rig.begin(second)
        pod.hang_up()
        await until(lambda: not pod.open)
    assert rig.records[A] == [(0, 5.0), (1, 5.0), (2, 5.0)]
    assert not rig.collector.failures.total()


async def test_an_answer_after_the_deadline_serves_the_next_second(rig: Rig) -> None:
    release = asyncio.Event()

    async def slow(pod: FakePod, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        release.clear()
        await healthy(pod, writer)

    pod = await rig.pod(5.0, slow)
    rig.watch(A, [pod])
    for second in range(4):
        await rig.begin(second, [pod])
        await rig.end(second, [pod])
        release.set()
        await rig.turn(second + 0.96)
    assert rig.records[A] == [(1, 5.0), (2, 5.0), (3, 5.0)]
    assert not rig.collector.failures.total()


async def test_a_loop_that_is_late_by_300_ms_at_times_doubles_and_skips_no_second(rig: Rig) -> None:
    chance = random.Random(7)
    keys = [("default", str(number)) for number in range(12)]
    for key in keys:
        rig.watch(key, [await rig.pod(1.0)], "zero")
    now = -0.05
    while now < 12.0:
        await rig.turn(now)
        now += chance.choice([0.01, 0.05, 0.3])
    for key in keys:
        assert [second for second, _ in rig.records[key]] == list(range(len(rig.records[key])))
        assert len(rig.records[key]) >= 11


@pytest.mark.parametrize(("policy", "seconds"), [("hold", [0, 1, 2, 3, 4, 5]), ("zero", [0, 4, 5])])
async def test_after_a_stall_each_second_has_one_record_at_most(
    rig: Rig, policy: MissingStats, seconds: list[int]
) -> None:
    pod = await rig.pod(5.0)
    rig.watch(A, [pod], policy)
    await rig.seconds(0, 0)
    await rig.turn(4.5)
    assert len(pod.requests) == 2
    await rig.seconds(5, 5)
    assert rig.records[A] == [(second, 5.0) for second in seconds]


async def test_a_clock_set_back_begins_anew(rig: Rig) -> None:
    rig.watch(A, [await rig.pod(5.0)])
    rig.watch(B, [])
    await rig.seconds(0, 0)
    await rig.begin(1)
    await rig.turn(-3600.05)
    await rig.seconds(-3600, -3599)
    assert rig.forgotten == [A]
    assert rig.records[A][2:] == [(-3600, 5.0), (-3599, 5.0)]
    rig.pods[0].behaviour = silent
    await rig.seconds(-3598, -3598, rig.pods)
    assert rig.records[A][4:] == [(-3598, 5.0)], "deadlines go by the new clock"


async def test_nothing_wakes_the_collector_up_at_the_deadlines_of_rounds_that_have_ended(rig: Rig) -> None:
    pods = [await rig.pod() for _ in range(2)]
    rig.watch(A, pods)
    await rig.seconds(0, 1)
    slow = await rig.pod(behaviour=silent)
    rig.watch(B, [slow])
    await rig.begin(2, mute=[slow])
    assert rig.collector.turn(START + 2.75) == START + 2.75 + 0.02, "one that is late is looked for"
    assert rig.collector.turn(START + 2.89) == START + 2.9, "its deadline"
    rig.collector.unwatch(B)
    assert rig.collector.turn(START + 2.895) > START + 2.95


async def test_connections_are_opened_at_a_bounded_rate(rig: Rig) -> None:
    pods = [await rig.pod() for _ in range(3)]
    for number in range(100):
        rig.watch(("default", str(number)), pods)
    rig.collector.turn(START + 0.5)
    await until(lambda: sum(pod.connections for pod in pods) >= 40)
    rig.collector.turn(START + 0.51)
    await until(lambda: sum(pod.connections for pod in pods) >= 60)
    assert sum(pod.connections for pod in pods) == 60


@pytest.mark.parametrize("timeout", [0.0, -1.0, 0.6])
def test_a_timeout_beyond_the_second_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be within"):
        Collector(lambda *_: None, lambda _: None, timeout=timeout)


async def test_the_loop_records_every_second_on_the_real_clock() -> None:
    recorded: list[int] = []
    async with FakePod(2.0) as pod:
        collector = Collector(lambda key, stat, second: recorded.append(second), lambda key: None)
        targets = [PodTarget("pod", pod.host, pod.port, time.time())]
        collector.watch(A, targets, stable_window=60.0, panic_window=6.0, missing_stats="hold")
        running = asyncio.create_task(collector.run())
        await until(lambda: len(recorded) >= 3, 20.0)
        running.cancel()
        await collector.close()
        await until(lambda: not pod.open)
    assert recorded == list(range(recorded[0], recorded[0] + len(recorded)))
    assert abs(recorded[-1] - time.time()) < 60
