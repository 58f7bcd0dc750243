"""By which way a collector comes to loads: pods themselves, or the service in front of them.

Aspects: the three modes, what is taken for a mesh and what is not, the way back, pod addressability, IPv6,
changes of settings on live revisions, services that fail or hang, what is said of it. All servers are real.
Left out: the arithmetic of a service's answers (test_service_sample), names (test_resolver).
"""

import asyncio
import itertools
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from config.network import MeshMode
from metrics.key import Key
from metrics.sampling.failures import Failure, ScrapeProblem
from metrics.sampling.routing import PodAccess
from tests.metrics.fake_pods import HEAD, Behaviour, FakePod, endless, healthy, says, silent, sized, until
from tests.metrics.rig import Rig

A, B = Key("shop", "cart"), Key("shop", "till")
NAME = "cart-private.shop"


def status(code: int) -> Behaviour:
    return says(sized(b"", HEAD.replace(b"200", b"%d" % code)))


MESH, BAD_GATEWAY = status(503), status(502)


def balancing(pods: Sequence[FakePod], choose: Callable[[Sequence[FakePod]], FakePod]) -> Behaviour:
    """Answer as one of the pods behind a service would."""

    async def behave(service: FakePod, writer: asyncio.StreamWriter) -> None:
        writer.write(sized(choose(pods).stat.encode()))

    return behave


def in_turn() -> Callable[[Sequence[FakePod]], FakePod]:
    numbers = itertools.count()
    return lambda pods: pods[next(numbers) % len(pods)]


class Shop(Rig):
    """One revision with pods, and a service that leads to one after another."""

    async def open(self, *loads: float, behaviour: Behaviour = healthy) -> None:
        self.behind = [await self.pod(load, behaviour) for load in loads]
        for number, pod in enumerate(self.behind):
            pod.stat = pod.stat._replace(pod_name=f"pod-{number}")
        self.service = await self.pod(behaviour=balancing(self.behind, in_turn()))
        self.addresses[NAME] = [self.service.host]

    def access(self, mode: MeshMode = "auto", *, addressable: bool = False) -> PodAccess:
        return PodAccess(NAME, mode, addressable, self.service.port)

    def follow(self, mode: MeshMode = "auto", *, addressable: bool = False, policy: str = "hold") -> None:
        access = self.access(mode, addressable=addressable)
        self.watch(A, self.behind, "zero" if policy == "zero" else "hold", access=access)

    def answer(self, behaviour: Behaviour) -> None:
        for pod in self.behind:
            pod.behaviour = behaviour

    @property
    def asked(self) -> tuple[int, int]:
        """How often pods and service were asked since the last time."""
        counts = sum(len(pod.requests) for pod in self.behind), len(self.service.requests)
        for pod in (*self.behind, self.service):
            pod.requests.clear()
        return counts


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    yield shop
    await shop.end_all()


async def test_without_a_mesh_only_pods_are_asked(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    shop.follow("auto")
    await shop.seconds(0, 3)
    assert shop.records[A] == [(second, 3.0) for second in range(4)]
    assert shop.asked == (8, 0)


async def test_in_mode_enabled_only_the_service_is_asked(shop: Shop) -> None:
    await shop.open(1.0, 2.0, 3.0)
    shop.follow("enabled")
    await shop.seconds(0, 3)
    assert shop.records[A] == [(second, 6.0) for second in range(4)]
    assert shop.service.connections == 12, "each try has a connection of its own"
    assert b"Host: cart-private.shop:%d\r\n" % shop.service.port in shop.service.requests[0]
    assert b"Accept: application/protobuf\r\n" in shop.service.requests[0]
    assert b"Connection: close\r\n" in shop.service.requests[0]
    assert b"Knative-Direct-Lb" not in shop.service.requests[0]
    assert shop.asked == (0, 12)


async def test_in_mode_disabled_only_pods_are_asked_whatever_they_answer(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow("disabled")
    await shop.seconds(0, 5)
    assert A not in shop.records
    assert shop.asked[1] == 0
    problem = ScrapeProblem("CollectionFailed", "all pod scrapes returned 503 error")
    assert shop.problems == [(A, problem)]


@pytest.mark.parametrize("policy", ["hold", "zero"])
async def test_behind_a_mesh_the_service_answers_from_the_first_second_on(
    shop: Shop, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await shop.open(1.0, 2.0, 3.0, behaviour=MESH)
    shop.behind[1].behaviour = BAD_GATEWAY
    shop.follow(policy=policy)
    await shop.seconds(0, 0)
    assert shop.records[A] == [(0, 6.0)]
    assert shop.asked == (3, 3)
    await shop.seconds(1, 5)
    assert shop.records[A] == [(second, 6.0) for second in range(6)]
    assert shop.asked == (0, 15), "pods are left alone"
    assert [record.message for record in caplog.records] == [
        "shop/cart: pods are behind a mesh; scraping service cart-private.shop"
    ]
    assert shop.problems == []


async def test_a_mesh_once_found_is_remembered_by_later_changes_of_the_revision(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow()
    await shop.seconds(0, 1)
    shop.watch(A, [], access=shop.access())
    await shop.seconds(2, 5)
    shop.asked  # noqa: B018
    shop.follow()
    await shop.seconds(6, 8)
    assert shop.asked[0] == 0
    assert shop.records[A] == [(0, 3.0), (1, 3.0), (6, 3.0), (7, 3.0), (8, 3.0)]


async def hangs(shop: Shop) -> None:
    shop.answer(silent)


async def one_hangs(shop: Shop) -> None:
    shop.answer(MESH)
    shop.behind[1].behaviour = silent


async def refuse(shop: Shop) -> None:
    for pod in shop.behind:
        await pod.stop()


async def one_refuses(shop: Shop) -> None:
    shop.answer(MESH)
    await shop.behind[1].stop()


async def one_says_404(shop: Shop) -> None:
    shop.answer(MESH)
    shop.behind[1].behaviour = status(404)


async def say_500(shop: Shop) -> None:
    shop.answer(status(500))


async def say_504(shop: Shop) -> None:
    shop.answer(status(504))


async def garbage(shop: Shop) -> None:
    shop.answer(says(b"garbage\r\n\r\n"))


async def one_answers(shop: Shop) -> None:
    shop.answer(MESH)
    shop.behind[1].behaviour = healthy


@pytest.mark.parametrize(
    "failing",
    [hangs, one_hangs, refuse, one_refuses, one_says_404, say_500, say_504, garbage, one_answers],
    ids=lambda failing: failing.__name__,
)
async def test_nothing_else_is_taken_for_a_mesh(shop: Shop, failing: Callable[[Shop], object]) -> None:
    await shop.open(1.0, 2.0)
    await failing(shop)  # type: ignore[misc]
    shop.follow()
    mute = [pod for pod in shop.behind if pod.behaviour is silent]
    await shop.seconds(0, 8, mute)
    assert not shop.service.requests


async def test_a_pod_that_hung_before_it_met_a_mesh_is_no_obstacle(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.behind[1].behaviour = silent
    shop.follow()
    await shop.seconds(0, 4, [shop.behind[1]])
    assert not shop.service.requests
    shop.behind[1].behaviour = MESH
    await shop.seconds(5, 12, [shop.behind[1]])
    assert shop.records[A][-1] == (12, 3.0)


async def test_pods_are_tried_once_a_minute_and_asked_again_once_they_answer(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow(policy="zero")
    await shop.seconds(0, 0)
    assert shop.asked == (2, 2)
    await shop.seconds(1, 70)
    assert shop.asked == (2, 140), "one try for each pod, and the service all the time"
    shop.answer(healthy)
    await shop.seconds(71, 120)
    assert shop.asked == (2, 100)
    await shop.seconds(121, 125)
    assert shop.asked == (10, 0)
    assert shop.records[A] == [(second, 3.0) for second in range(126)], "no second was lost to a try"


async def test_one_pod_that_answers_among_others_does_not_end_a_mesh(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow()
    await shop.seconds(0, 0)
    shop.behind[0].behaviour = healthy
    await shop.seconds(1, 130)
    assert shop.records[A][-1] == (130, 3.0)
    assert shop.asked == (2 + 4, 2 * 131)


async def test_a_service_that_fails_gives_way_to_pods_that_answer_at_once(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow()
    await shop.seconds(0, 3)
    shop.answer(healthy)
    shop.service.behaviour = status(500)
    await shop.seconds(4, 8)
    assert shop.records[A] == [(second, 3.0) for second in range(9)]
    shop.asked  # noqa: B018
    await shop.seconds(9, 10)
    assert shop.asked == (4, 0)


async def test_while_the_service_fails_one_pod_that_answers_is_enough(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.follow()
    await shop.seconds(0, 3)
    shop.behind[0].behaviour = healthy
    shop.service.behaviour = status(500)
    await shop.seconds(4, 9)
    shop.asked  # noqa: B018
    await shop.seconds(10, 11)
    assert shop.records[A][-1] == (11, 2.0)
    assert shop.asked[1] == 0


def answers_late(shop: Shop) -> asyncio.Event:
    """Let the service answer only once the event is set."""
    answer, lead_on = asyncio.Event(), shop.service.behaviour

    async def late(service: FakePod, writer: asyncio.StreamWriter) -> None:
        await answer.wait()
        await lead_on(service, writer)

    shop.service.behaviour = late
    return answer


@pytest.mark.parametrize(("answering", "load"), [(2, 3.0), (1, 2.0)], ids=["all", "one of two"])
async def test_pods_that_answer_again_are_not_given_up_for_a_service_that_answers_late(
    shop: Shop, answering: int, load: float
) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    answer = answers_late(shop)
    shop.follow()
    await shop.seconds(0, 0, [shop.service])
    for pod in shop.behind[:answering]:
        pod.behaviour = healthy
    await shop.seconds(1, 1, [shop.service])
    await shop.begin(2, [shop.service])
    answer.set()
    await shop.end(2)
    shop.asked  # noqa: B018
    await shop.seconds(3, 6)
    assert shop.asked[1] == 0
    assert shop.records[A][-1] == (6, load)


async def test_pods_that_hang_do_not_hide_a_mesh_whose_service_answers_late(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    answer = answers_late(shop)
    shop.follow()
    await shop.seconds(0, 0, [shop.service])
    shop.answer(silent)
    await shop.begin(1, [shop.service, *shop.behind])
    answer.set()
    await shop.end(1, shop.behind)
    await shop.seconds(2, 6, shop.behind)
    assert shop.records[A] == [(second, 3.0) for second in range(2, 7)]


async def test_a_scrape_of_a_service_that_nobody_waits_for_any_more_is_given_up(shop: Shop) -> None:
    await shop.open(1.0, behaviour=MESH)
    shop.service.behaviour = silent
    shop.follow()
    await shop.begin(0, [shop.service])
    await shop.until(lambda: shop.service.open)
    await shop.end(0, [shop.service])
    shop.answer(healthy)
    await shop.seconds(1, 4, [shop.service])
    await until(lambda: not shop.service.open)


async def test_a_service_that_keeps_failing_is_asked_less_and_less(shop: Shop) -> None:
    await shop.open(1.0)
    shop.service.behaviour = status(500)
    shop.follow("enabled")
    await shop.seconds(0, 11)
    assert len(shop.service.requests) == 10 * len({0, 1, 2, 4, 7, 11})


async def test_a_revision_whose_pods_and_service_fail_comes_back_with_either(shop: Shop) -> None:
    await shop.open(1.0, 2.0, behaviour=MESH)
    shop.service.behaviour = MESH
    shop.follow()
    await shop.seconds(0, 9)
    assert A not in shop.records
    problem = ScrapeProblem("CollectionFailed", "unsuccessful scrape, sampleSize=2: unavailable")
    assert shop.problems == [(A, problem)]
    shop.service.behaviour = balancing(shop.behind, in_turn())
    await shop.seconds(10, 14)
    assert shop.records[A][-1] == (14, 3.0)
    assert shop.problems == [(A, problem), (A, None)]


async def test_with_pod_addressability_requests_say_through_which_service_and_mesh_is_no_reason(
    shop: Shop,
) -> None:
    await shop.open(1.0, 2.0)
    shop.follow(addressable=True)
    await shop.seconds(0, 0)
    (request,) = shop.behind[0].requests
    assert b"Host: cart-private.shop\r\n" in request
    assert b"Knative-Direct-Lb: true\r\n" in request
    shop.answer(MESH)
    await shop.seconds(1, 9)
    assert not shop.service.requests


async def test_without_it_requests_name_the_pod(shop: Shop) -> None:
    await shop.open(1.0)
    shop.follow()
    await shop.seconds(0, 0)
    (request,) = shop.behind[0].requests
    assert b"Host: 127.0.0.1:%d\r\n" % shop.behind[0].port in request
    assert b"Knative-Direct-Lb" not in request


async def test_other_settings_are_in_force_from_the_next_second_on(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    steps: list[tuple[MeshMode, bool, tuple[int, int]]] = [
        ("auto", False, (2, 0)),
        ("enabled", False, (0, 2)),
        ("disabled", False, (2, 0)),
        ("auto", True, (2, 0)),
        ("enabled", True, (0, 2)),
        ("auto", False, (2, 0)),
    ]
    for second, (mode, addressable, asked) in enumerate(steps):
        shop.follow(mode, addressable=addressable)
        direct = b"Knative-Direct-Lb: true" if addressable else b"Host: 127.0.0.1"
        await shop.seconds(second, second)
        assert all(direct in request for pod in shop.behind for request in pod.requests)
        assert shop.asked == asked, mode
    assert shop.records[A] == [(second, 3.0) for second in range(len(steps))]


async def test_settings_that_change_begin_the_search_for_a_mesh_anew(shop: Shop) -> None:
    await shop.open(1.0, behaviour=MESH)
    shop.follow()
    await shop.seconds(0, 0)
    shop.follow("disabled")
    shop.answer(healthy)
    await shop.seconds(1, 1)
    shop.follow()
    shop.asked  # noqa: B018
    await shop.seconds(2, 3)
    assert shop.asked == (2, 0)


async def test_connections_to_pods_end_while_the_service_answers(shop: Shop) -> None:
    await shop.open(1.0)
    shop.follow()
    await shop.seconds(0, 0)
    assert shop.behind[0].open
    shop.follow("enabled")
    await shop.seconds(1, 61)
    await until(lambda: not shop.behind[0].open)


@pytest.mark.parametrize("behaviour", [silent, endless, status(404)], ids=["hangs", "endless", "404"])
async def test_a_service_that_fails_delays_no_other_revision(shop: Shop, behaviour: Behaviour) -> None:
    await shop.open(1.0, 2.0)
    other = await shop.pod(5.0)
    shop.follow("enabled")
    shop.watch(B, [other])
    await shop.seconds(0, 0)
    shop.service.behaviour = behaviour
    for second in range(1, 12):
        await shop.begin(second, [shop.service])
        assert shop.records[B][-1] == (second, 5.0)
        await shop.end(second, [shop.service])
    assert shop.records[A] == [(second, 3.0) for second in range(7)], "held for a panic window"
    assert shop.forgotten == [A]
    assert shop.collector.failures.total() >= 2
    shop.service.behaviour = balancing(shop.behind, in_turn())
    await shop.seconds(12, 18)
    assert shop.records[A][-1] == (18, 3.0)


async def test_a_hanging_service_is_given_up_after_three_rounds(shop: Shop) -> None:
    await shop.open(1.0)
    shop.service.behaviour = silent
    shop.follow("enabled")
    await shop.seconds(0, 2, [shop.service])
    assert not shop.collector.failures.total()
    await shop.begin(3, [shop.service])
    await shop.until(lambda: shop.collector.failures == Counter({Failure.TIMEOUT: 1}))
    await until(lambda: not shop.service.open)


async def test_a_pod_that_hangs_behind_a_service_costs_a_try_and_not_the_scrape(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    hanging = itertools.count()

    async def first_hangs(service: FakePod, writer: asyncio.StreamWriter) -> None:
        if next(hanging):
            await healthy(shop.behind[0], writer)
        else:
            await asyncio.Event().wait()

    shop.service.behaviour = first_hangs
    shop.watch(A, shop.behind[:1], access=shop.access("enabled"))
    await shop.begin(0, [shop.service])
    await shop.until(lambda: shop.service.requests)
    await shop.end(0, [shop.service])
    await shop.seconds(1, 1, [shop.service])
    assert A not in shop.records
    await shop.begin(2, [shop.service])
    await shop.until(lambda: shop.records.get(A) == [(2, 1.0)])
    assert not shop.collector.failures.total()


async def test_an_answer_of_a_service_after_the_deadline_serves_the_next_second(shop: Shop) -> None:
    await shop.open(4.0)
    release = asyncio.Event()

    async def slow(service: FakePod, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        release.clear()
        await healthy(shop.behind[0], writer)

    shop.service.behaviour = slow
    shop.follow("enabled")
    for second in range(4):
        await shop.begin(second, [shop.service])
        await shop.end(second, [shop.service])
        release.set()
        await shop.turn(second + 0.96)
    assert shop.records[A] == [(1, 4.0), (2, 4.0), (3, 4.0)]


async def test_a_name_that_is_looked_up_for_ever_delays_nobody(shop: Shop) -> None:
    await shop.open(1.0)
    answer = threading.Event()

    def slow(name: str) -> list[str]:
        assert answer.wait(30)
        return [shop.service.host]

    shop.collector._resolver._look_up = slow
    other = await shop.pod(5.0)
    shop.follow("enabled")
    shop.watch(B, [other])
    for second in range(5):
        await shop.begin(second, [shop.service])
        assert shop.records[B][-1] == (second, 5.0)
        await shop.end(second, [shop.service])
    await shop.until(lambda: shop.collector.failures == Counter({Failure.NAME: 1}))
    answer.set()
    await shop.until(lambda: shop.service.requests)
    await shop.seconds(5, 6)
    assert shop.service.connections == 3, "a scrape that was given up does not come back"


async def test_a_service_without_address_is_a_problem_until_it_has_one(shop: Shop) -> None:
    await shop.open(1.0)
    del shop.addresses[NAME]
    shop.follow("enabled")
    await shop.seconds(0, 3)
    problem = ScrapeProblem("CollectionFailed", "unsuccessful scrape, sampleSize=1: name")
    assert shop.problems == [(A, problem)]
    shop.addresses[NAME] = [shop.service.host]
    await shop.seconds(4, 9)
    assert shop.problems == [(A, problem), (A, None)]


async def test_a_service_with_several_addresses_is_tried_at_each(shop: Shop) -> None:
    await shop.open(1.0)
    shop.addresses[NAME] = ["127.9.9.9", shop.service.host]
    shop.follow("enabled")
    await shop.seconds(0, 3)
    assert shop.records[A] == [(second, 1.0) for second in range(4)]


async def test_a_service_that_knows_only_one_of_two_pods_is_said_to_repeat_itself(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    shop.service.behaviour = balancing(shop.behind, lambda pods: pods[0])
    shop.follow("enabled")
    await shop.seconds(0, 6)
    text = "unsuccessful scrape, sampleSize=2: did not receive stat from an unscraped pod"
    problem = ScrapeProblem("DidNotReceiveStat", text)
    assert shop.problems == [(A, problem)]
    assert A not in shop.records
    assert shop.collector.failures[Failure.REPEATED] >= 3


async def test_a_service_that_leads_to_another_revisions_pods_gives_no_load(shop: Shop) -> None:
    await shop.open(1.0)
    stranger = await shop.pod(99.0)
    stranger.stat = stranger.stat._replace(pod_name="till-0")
    shop.service.behaviour = balancing([stranger], in_turn())
    shop.follow("enabled")
    await shop.seconds(0, 2)
    assert A not in shop.records
    assert set(+shop.collector.failures) == {Failure.OTHER_POD}
    shop.service.behaviour = balancing([stranger, *shop.behind], in_turn())
    await shop.seconds(3, 9)
    assert shop.records[A][-1] == (9, 1.0)


async def test_old_pods_behind_a_service_stand_for_all(shop: Shop) -> None:
    await shop.open(*[10.0] * 4, *[1.0] * 2)
    for number, pod in enumerate(shop.behind):
        pod.stat = pod.stat._replace(process_uptime=3600.0 if number < 5 else 1.0)
    shop.follow("enabled")
    await shop.seconds(0, 0)
    assert shop.records[A] == [(0, (4 * 10.0 + 1.0) / 5 * 6)]


async def test_an_end_in_the_middle_of_a_scrape_leaves_nothing(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    shop.service.behaviour = silent
    shop.follow("enabled")
    await shop.begin(0, [shop.service])
    await shop.until(lambda: len(shop.service.requests) == 2)
    shop.collector.unwatch(A)
    await until(lambda: not shop.service.open)
    await shop.seconds(1, 2)
    semaphore = shop.collector._resources.semaphore
    assert A not in shop.records
    assert not semaphore._inside
    assert not semaphore._waiting
    assert not shop.collector._resolver._found


async def test_pods_that_refuse_are_told_of_after_three_seconds_and_once(shop: Shop) -> None:
    await shop.open(1.0, 2.0)
    shop.follow("disabled")
    await shop.seconds(0, 0)
    for pod in shop.behind:
        await pod.stop()
    await shop.seconds(1, 2)
    assert shop.problems == []
    await shop.seconds(3, 12)
    problem = ScrapeProblem("CollectionFailed", "pods exhausted: connect")
    assert shop.problems == [(A, problem)]
    shop.watch(A, [], access=shop.access("disabled"))
    assert shop.problems == [(A, problem), (A, None)]


async def test_a_second_that_fails_alone_is_not_told_of(shop: Shop) -> None:
    await shop.open(1.0)
    shop.follow("disabled")
    for second in range(0, 12, 3):
        shop.answer(status(500))
        await shop.seconds(second, second)
        shop.answer(healthy)
        await shop.seconds(second + 1, second + 2)
    assert shop.problems == []


class Shop6(Shop):
    """Everything has IPv6 addresses."""

    async def pod(self, concurrency: float = 1.0, behaviour: Behaviour = healthy) -> FakePod:
        pod = FakePod(concurrency, behaviour)
        pod.host = "::1"
        await pod.start()
        self.pods.append(pod)
        return pod


@pytest.fixture
async def shop6() -> AsyncIterator[Shop6]:
    shop = Shop6()
    yield shop
    await shop.end_all()


async def test_pods_with_ipv6_addresses_are_asked_by_address_in_brackets(shop6: Shop6) -> None:
    await shop6.open(1.0, 2.0)
    shop6.follow()
    await shop6.seconds(0, 2)
    assert shop6.records[A] == [(0, 3.0), (1, 3.0), (2, 3.0)]
    for pod in shop6.behind:
        assert b"Host: [::1]:%d\r\n" % pod.port in pod.requests[0]


async def test_a_service_with_an_ipv6_address_is_found_behind_a_mesh(shop6: Shop6) -> None:
    await shop6.open(1.0, 2.0, behaviour=MESH)
    shop6.follow()
    await shop6.seconds(0, 2)
    assert shop6.records[A] == [(0, 3.0), (1, 3.0), (2, 3.0)]
    assert shop6.service.requests
