"""Aspects: one pod over a real connection: what is accepted, what refused and why, reconnecting, backing off.

Left out: rounds (test_rounds), several pods (test_collector).
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from metrics.sampling.failures import Failure
from metrics.scraping.connection import request_bytes
from metrics.scraping.connector import Connector
from metrics.scraping.pod_scraper import PodScraper
from metrics.stat import Stat
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


class Asker:
    """Asks one pod, and keeps what comes of it."""

    def __init__(self, pod: FakePod) -> None:
        self.failures: Counter[Failure] = Counter()
        self.answers: list[Stat] = []
        self.losses = 0
        self.turns = 0
        self.connector = Connector()
        self.scraper = PodScraper(pod.target(), self, self.connector, self.failures)

    def answered(self, pod: PodScraper, stat: Stat) -> None:
        self.answers.append(stat)

    def failed(self, pod: PodScraper) -> None:
        self.losses += 1

    async def ask(self) -> bool:
        """Ask, and wait until the answer or the failure is there; False if the pod was left alone."""
        if not self.scraper.ask():
            return False
        await self.settle()
        return True

    async def settle(self) -> None:
        await self.until(lambda: not self.scraper.waiting)

    async def until(self, condition: Callable[[], object]) -> None:
        """Turn until the condition holds."""

        def holds() -> object:
            self.turn()
            return condition()

        await until(holds)

    def turn(self) -> None:
        self.turns += 1
        self.connector.poller.turn(self.turns)
        self.connector.turn(asyncio.get_running_loop().time())


@pytest.fixture
async def pod() -> AsyncIterator[FakePod]:
    async with FakePod() as pod:
        yield pod


@pytest.fixture
async def asker(pod: FakePod) -> AsyncIterator[Asker]:
    asker = Asker(pod)
    yield asker
    asker.scraper.close()
    await asker.connector.close()
    assert not asker.scraper.waiting


async def test_a_stat_is_asked_for_as_the_peer_does(pod: FakePod, asker: Asker) -> None:
    await asker.ask()
    assert asker.answers == [pod.stat]
    line, *headers = pod.requests[0].decode().splitlines()
    assert line == "GET /metrics HTTP/1.1"
    assert "Accept: application/protobuf" in headers
    assert f"Host: 127.0.0.1:{pod.port}" in headers


async def test_one_connection_serves_all_requests(pod: FakePod, asker: Asker) -> None:
    for _ in range(5):
        await asker.ask()
    assert len(asker.answers) == 5
    assert pod.connections == 1


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("10.0.0.1", b"Host: 10.0.0.1:9090\r\n"),
        ("pod.local", b"Host: pod.local:9090\r\n"),
        ("fd00::1", b"Host: [fd00::1]:9090\r\n"),
        ("fe80::1%eth0", b"Host: [fe80::1]:9090\r\n"),
    ],
)
def test_the_host_header_names_the_pod(host: str, header: bytes) -> None:
    assert header in request_bytes(host, 9090)


async def test_pods_have_ipv6_addresses() -> None:
    pod = FakePod()
    pod.host = "::1"
    async with pod:
        asker = Asker(pod)
        await asker.ask()
        assert asker.answers == [pod.stat]
        assert f"Host: [::1]:{pod.port}".encode() in pod.requests[0]
        asker.scraper.close()


def _body(length: int) -> bytes:
    """Encode a stat of that length, filled up with a field that we do not know."""
    stat = Stat("", 1.0).encode()
    filler = b"x" * (length - len(stat) - 3)
    return stat + bytes((15 << 3 | 2, 0x80 | len(filler) & 0x7F, len(filler) >> 7)) + filler


def _chunks(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:], b""))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(sized(_body(336)), id="336 bytes"),
        pytest.param(sized(_body(20), HEAD.replace(b"200", b"299")), id="299"),
        pytest.param(sized(_body(20), HEAD.replace(b"Content-Type: ", b"cONTENT-tYPE:   ")), id="case"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + _chunks(_body(20)), id="chunked"),
        pytest.param(sized(b""), id="empty: an idle pod without a name"),
        pytest.param(sized(_body(20), HEAD + b"X-Long: " + b"y" * 7000 + b"\r\n"), id="7 KB of headers"),
    ],
)  # fmt: skip
async def test_is_accepted(pod: FakePod, asker: Asker, answer: bytes) -> None:
    pod.behaviour = says(answer)
    await asker.ask()
    await asker.ask()
    assert len(asker.answers) == 2
    assert pod.connections == 1


OTHER_TYPE = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
NAN, NEGATIVE = Stat("pod", float("nan")), Stat("pod", -1.0)
INFINITE, ABSURD = Stat("pod", 1.0, float("inf")), Stat("pod", 1e300)


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        pytest.param(says(b"\x00\x01garbage\r\n\r\n"), Failure.NOT_HTTP, id="garbage"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n"), Failure.NOT_HTTP, id="another protocol"),
        pytest.param(says(HEAD + b"Content-Length: -5\r\n\r\n"), Failure.NOT_HTTP, id="negative length"),
        pytest.param(says(sized(b"", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n")),
                     Failure.STATUS, id="101"),
        pytest.param(says(sized(b"", b"HTTP/1.1 100 Continue\r\n")), Failure.STATUS, id="100"),
        pytest.param(says(sized(_body(20), HEAD.replace(b"200", b"300"))), Failure.STATUS, id="300"),
        pytest.param(says(sized(_body(20), HEAD.replace(b"200", b"500"))), Failure.STATUS, id="500"),
        pytest.param(says(sized(_body(20), HEAD.replace(b"200", b"502"))), Failure.UNAVAILABLE, id="502"),
        pytest.param(says(sized(_body(20), HEAD.replace(b"200", b"503"))), Failure.UNAVAILABLE, id="503"),
        pytest.param(says(sized(_body(20), HEAD.replace(b"200", b"504"))), Failure.STATUS, id="504"),
        pytest.param(says(sized(_body(20), OTHER_TYPE % b"text/plain")), Failure.CONTENT_TYPE, id="text"),
        pytest.param(says(sized(_body(20), OTHER_TYPE % b"application/protobuf; charset=x")),
                     Failure.CONTENT_TYPE, id="type with parameter"),
        pytest.param(says(sized(_body(20), b"HTTP/1.1 200 OK\r\n")), Failure.CONTENT_TYPE, id="no type"),
        pytest.param(says(sized(_body(337))), Failure.TOO_LARGE, id="337 bytes"),
        pytest.param(says(HEAD + b"Content-Length: 1000000000\r\n\r\n"), Failure.TOO_LARGE, id="1 GB"),
        pytest.param(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + _chunks(_body(337))),
                     Failure.TOO_LARGE, id="337 bytes in chunks"),
        pytest.param(endless, Failure.TOO_LARGE, id="endless body"),
        pytest.param(says(HEAD + b"X-Long: " + b"y" * 9000), Failure.TOO_LARGE, id="9 KB of headers"),
        pytest.param(says(HEAD + b"X: y\r\n" * 2000), Failure.TOO_LARGE, id="many headers"),
        pytest.param(says(sized(b"\xff\xff\xff")), Failure.UNDECODABLE, id="no protobuf"),
        pytest.param(says(sized(NAN.encode())), Failure.IMPLAUSIBLE, id="NaN"),
        pytest.param(says(sized(NEGATIVE.encode())), Failure.IMPLAUSIBLE, id="negative"),
        pytest.param(says(sized(INFINITE.encode())), Failure.IMPLAUSIBLE, id="infinite"),
        pytest.param(says(sized(ABSURD.encode())), Failure.IMPLAUSIBLE, id="absurd"),
        pytest.param(says_and_closes(b""), Failure.CLOSED, id="closed without a word"),
        pytest.param(says_and_closes(HEAD + b"Content-Length: 30\r\n\r\nhalf"), Failure.CLOSED, id="half"),
        pytest.param(says_and_closes(HEAD[:30]), Failure.CLOSED, id="half a header"),
        pytest.param(says_and_closes(HEAD + b"\r\n" + _body(20)), Failure.CLOSED, id="length unknown"),
    ],
)  # fmt: skip
async def test_is_refused(pod: FakePod, asker: Asker, behaviour: Behaviour, failure: Failure) -> None:
    pod.behaviour = behaviour
    await asker.ask()
    assert asker.failures == {failure: 1}
    assert asker.losses == 1
    assert asker.answers == []
    await until(lambda: not pod.open)
    pod.behaviour = healthy
    await asker.ask()
    assert asker.answers == [pod.stat], "the next request begins with a new connection"


async def test_an_endless_body_costs_no_more_than_the_sockets_hold(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = endless
    await asker.ask()
    await until(lambda: not pod.open)
    assert pod.bytes_sent < 20 * 2**20


async def test_garbage_after_an_answer_ends_the_connection_only(pod: FakePod, asker: Asker) -> None:
    await asker.ask()
    for writer in pod.open:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nContent-Length: 0\r\n\r\n")
    await asker.until(lambda: not pod.open)
    await asker.ask()
    assert asker.answers == [pod.stat] * 2
    assert not asker.failures


async def test_nobody_listening_is_a_failure_to_connect(pod: FakePod, asker: Asker) -> None:
    await pod.stop()
    await asker.ask()
    assert asker.failures == {Failure.CONNECT: 1}


async def test_a_name_stands_for_the_first_of_its_addresses_that_accepts(
    pod: FakePod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two(host: str, port: int, **_: object) -> list[object]:
        assert host == "pod.local"
        hosts = ["127.0.0.2", "127.0.0.1"]  # nobody listens at the first
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
    pod.host = "pod.local"
    asker = Asker(pod)
    await asker.ask()
    assert asker.answers == [pod.stat]
    asker.scraper.close()


async def test_a_name_that_is_none_is_a_failure_to_connect() -> None:
    pod = FakePod()
    pod.host, pod.port = "a" * 70 + ".invalid", 1
    asker = Asker(pod)
    await asker.ask()
    assert asker.failures == {Failure.CONNECT: 1}


async def test_a_connection_closed_between_requests_is_made_anew(pod: FakePod, asker: Asker) -> None:
    await asker.ask()
    pod.hang_up()
    await until(lambda: not pod.open)
    await asker.ask()
    assert len(asker.answers) == 2
    assert not asker.failures


async def test_a_request_that_meets_a_connection_just_being_closed_is_sent_again(
    pod: FakePod, asker: Asker
) -> None:
    await asker.ask()

    async def hang_up_once(pod: FakePod, writer: asyncio.StreamWriter) -> None:
        pod.behaviour = healthy
        writer.close()

    pod.behaviour = hang_up_once
    await asker.ask()
    assert len(asker.answers) == 2
    assert not asker.failures


async def test_a_pod_that_always_hangs_up_is_not_asked_for_ever(pod: FakePod, asker: Asker) -> None:
    await asker.ask()
    pod.behaviour = says_and_closes(b"")
    await asker.ask()
    assert asker.failures == {Failure.CLOSED: 1}
    assert len(pod.requests) == 3


async def test_a_server_that_keeps_no_connection_gets_a_new_one_each_time(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = says_and_closes(sized(pod.stat.encode(), HEAD + b"Connection: close\r\n"))
    for _ in range(3):
        await asker.ask()
    assert asker.answers == [pod.stat] * 3
    assert pod.connections == 3
    assert not asker.failures


async def test_a_connection_that_shall_be_closed_is_closed_by_us(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = says(sized(pod.stat.encode(), HEAD + b"Connection: close\r\n"))
    await asker.ask()
    await until(lambda: not pod.open)
    await asker.ask()
    assert asker.answers == [pod.stat] * 2


async def test_a_pod_that_failed_waits_behind_others_for_its_connection(pod: FakePod) -> None:
    wishes: list[bool] = []

    class Queue(Connector):
        def want(self, pod: object, *, later: bool) -> None:
            wishes.append(later)

    scraper = PodScraper(pod.target(), Asker(pod), Queue(), Counter())
    scraper.ask()
    scraper.connect_failed()
    scraper.ask()
    assert wishes == [False, True]


async def test_an_answer_in_pieces_is_put_together(pod: FakePod, asker: Asker) -> None:
    async def dribble(pod: FakePod, writer: asyncio.StreamWriter) -> None:
        for byte in sized(pod.stat.encode()):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    pod.behaviour = dribble
    await asker.ask()
    assert asker.answers == [pod.stat]


async def test_a_request_stays_open_for_three_rounds_then_the_connection_is_given_up(
    pod: FakePod, asker: Asker
) -> None:
    pod.behaviour = silent
    assert asker.scraper.ask()
    await asker.until(lambda: pod.requests)
    assert asker.scraper.ask()
    assert asker.scraper.ask()
    assert not asker.failures
    assert len(pod.requests) == 1
    pod.behaviour = healthy
    assert asker.scraper.ask()
    assert asker.failures == {Failure.TIMEOUT: 1}
    await asker.settle()
    assert asker.answers == [pod.stat]
    assert pod.connections == 2


async def test_slow_headers_are_a_timeout(pod: FakePod, asker: Asker) -> None:
    async def slow(pod: FakePod, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"X-More: ")
        await asyncio.Event().wait()

    pod.behaviour = slow
    asker.scraper.ask()
    await asker.until(lambda: pod.requests)
    for _ in range(3):
        asker.scraper.ask()
    assert asker.failures == {Failure.TIMEOUT: 1}


async def test_a_pod_that_keeps_failing_is_asked_every_few_rounds(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = says(b"garbage\r\n")
    asked = ["x" if await asker.ask() else "." for _ in range(24)]
    assert "".join(asked) == "xxx.x..x...x...x...x...x"
    pod.behaviour = healthy
    asked = ["x" if await asker.ask() else "." for _ in range(6)]
    assert "".join(asked) == "...xxx"
    pod.behaviour = says(b"garbage\r\n")
    asked = ["x" if await asker.ask() else "." for _ in range(6)]
    assert "".join(asked) == "xxx.x.", "one answer clears the record"


async def test_a_pod_out_of_every_sample_loses_its_connection_after_a_minute(
    pod: FakePod, asker: Asker
) -> None:
    await asker.ask()
    for _ in range(59):
        asker.scraper.rest()
    assert pod.open
    asker.scraper.rest()
    await until(lambda: not pod.open)
    await asker.ask()
    assert len(asker.answers) == 2


async def test_rest_gives_up_what_is_overdue_and_counts_down_the_back_off(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = silent
    asker.scraper.ask()
    await asker.until(lambda: pod.requests)
    for _ in range(3):
        asker.scraper.rest()
    assert asker.failures == {Failure.TIMEOUT: 1}
    pod.behaviour = says(b"garbage\r\n")
    await asker.ask()
    await asker.ask()
    asker.scraper.rest()
    assert await asker.ask()


async def test_a_pod_that_left_is_disconnected_and_never_asked_again(pod: FakePod, asker: Asker) -> None:
    pod.behaviour = silent
    asker.scraper.ask()
    await asker.until(lambda: pod.requests)
    asker.scraper.close()
    assert asker.losses == 1, "a round that waits for it learns that it is gone"
    await until(lambda: not pod.open)
    assert not asker.scraper.ask()


async def test_a_pod_that_leaves_while_connecting_gets_no_request(pod: FakePod, asker: Asker) -> None:
    asker.scraper.ask()
    asker.turn()
    asker.scraper.close()
    await until(lambda: pod.connections)
    await asker.until(lambda: not pod.open)
    assert pod.requests == []


async def test_a_connection_that_nobody_accepts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.scraping.connector._TIMEOUT", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        pod = FakePod()
        pod.port = full.getsockname()[1]
        fillers = [socket.create_connection(("127.0.0.1", pod.port))]
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", pod.port))
            fillers.append(filler)
        asker = Asker(pod)
        await asker.ask()
        assert asker.failures == {Failure.CONNECT: 1}
        for filler in fillers:
            filler.close()
