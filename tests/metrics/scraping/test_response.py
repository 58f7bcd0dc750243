"""Aspects: the short way of reading an answer says what the parser says, for any answer and any damage to it.

Left out: what is accepted and refused over a real connection (test_scraper).
"""

from hypothesis import example, given
from hypothesis import strategies as st

from metrics.sampling.failures import Failure
from metrics.scraping.response import ScrapeResponse, add_up, read_whole
from metrics.stat import Stat

LINES = [
    b"Content-Type: application/protobuf",
    b"content-type:application/protobuf",
    b"Content-Type: text/plain",
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: upgrade",
    b"Upgrade: h2c",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: identity",
    b"Content-Length: 0",
    b"Content-Length : 5",
    b"Content-Length: 1000000000",
    b"X-More: one\r\n two",
    b"X-Feed: a\nb",
    b"X-End: \n",
    b"",
]
STATUS_LINES = [
    *[b"HTTP/1.1 200 OK"] * 9, b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 299 ?",
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switching", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 503 No",
    b"HTTP/2 200", b"GARBAGE",
]  # fmt: skip

names = st.text(max_size=40)
plausible = st.builds(Stat, names, *[st.floats(0.0, 1e15)] * 5, st.just(0))
bodies = st.one_of(
    plausible.map(Stat.encode),
    st.builds(Stat, names, *[st.floats()] * 5, st.integers(-(2**63), 2**63 - 1)).map(Stat.encode),
    st.binary(max_size=400),
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Make an answer that is mostly right: its length, its headers, and what follows may be wrong."""
    body = draw(bodies)
    length = len(body) + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
    usual = [LINES[0], b"Content-Length: %d" % length]
    lines = draw(st.permutations(usual + draw(st.lists(st.sampled_from(LINES), max_size=2))))
    head = b"\r\n".join([draw(st.sampled_from(STATUS_LINES)), *lines, b"", b""])
    return head + body + draw(st.sampled_from([*[b""] * 9, b"\r\n", b"\n", b"x", head + body]))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Make an answer with some bytes of it changed, taken out or put in."""
    answer = bytearray(draw(answers()))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(answer)))
        answer[place : place + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"0", b" ", b"\x00", b"\xff"])
        )
    return bytes(answer)


def _by_the_parser(data: bytes) -> tuple[Stat | Failure | None, bool]:
    answer = ScrapeResponse()
    return answer.feed(data), answer.keep


def _agrees(data: bytes) -> None:
    stat = read_whole(data)
    if stat is not None:
        verdict, keep = _by_the_parser(data)
        assert repr(verdict) == repr(stat)
        assert keep


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\n"


@given(damaged())
@example(HEAD + b"Content-Length: 0\r\n\r\n")
@example(HEAD + b"Content-Length: 0\r\nContent-Type: text/plain\r\n\r\n")
@example(HEAD + b"Content-Length: 0\r\nTransfer-Encoding: gzip\r\n\r\n")
@example(HEAD + b"Content-Length: 0\n\n\r\n\r\n")
@example(HEAD + b"Content-Length: 2\n\n\r\n\r\n")
@example(HEAD.replace(b"200", b"204") + b"Content-Length: 2\r\n\r\n\x0a\x00")
def test_what_is_read_the_short_way_is_what_the_parser_reads(data: bytes) -> None:
    _agrees(data)


@given(answers(), st.lists(bodies, max_size=5))
def test_a_head_that_was_seen_before_means_the_same_before_another_body(
    data: bytes, others: list[bytes]
) -> None:
    head = data[: data.find(b"\r\n\r\n") + 4]
    for body in [data[len(head) :], *others]:
        _agrees(head + body)


@given(plausible)
def test_the_answers_of_queue_proxies_are_read_the_short_way(stat: Stat) -> None:
    body = stat.encode()
    for date in (b"", b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"):
        assert read_whole(HEAD + date + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)) == stat


def _response(stat: Stat) -> bytes:
    body = stat.encode()
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@given(st.lists(plausible, min_size=1, max_size=5))
def test_the_answers_of_several_pods_are_added_up_field_by_field(stats: list[Stat]) -> None:
    sums = add_up([_response(stat) for stat in stats], [Stat(stat.pod_name).encode() for stat in stats])
    expected = tuple(sum(column) for column in list(zip(*stats, strict=True))[1:5])
    assert sums == expected


@given(damaged(), st.sampled_from(["", "pod"]))
@example(_response(Stat("other", 1.0)), "pod")
@example(_response(Stat("pod", -1.0)), "pod")
@example(_response(Stat("pod", 1.0))[:-1], "pod")
def test_what_is_added_up_is_what_each_answer_says_by_itself(data: bytes, name: str) -> None:
    sums = add_up([data], [Stat(name).encode()])
    if sums is not None:
        stat = read_whole(data)
        assert stat is not None
        assert stat.pod_name in ("", name)
        assert stat[1:5] == sums


def test_nothing_is_added_up_while_an_answer_is_missing() -> None:
    whole = _response(Stat("pod", 1.0))
    for missing in (None, b"", whole[:50], whole[:-9]):
        assert add_up([whole, missing], [Stat("pod").encode()] * 2) is None


def test_a_second_answer_to_one_request_spoils_the_first() -> None:
    assert ScrapeResponse().feed((HEAD + b"Content-Length: 0\r\n\r\n") * 2) is Failure.NOT_HTTP


@given(answers(), st.lists(st.integers(0, 600), max_size=6))
def test_an_answer_in_parts_means_the_same_as_in_one(data: bytes, cuts: list[int]) -> None:
    whole, keep = _by_the_parser(data)
    answer = ScrapeResponse()
    verdict: Stat | Failure | None = None
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        if verdict is None and data[start:end]:
            verdict = answer.feed(data[start:end])
    if isinstance(whole, Stat) or verdict is None:  # else what spoils an answer may follow it too late
        assert (repr(verdict), answer.keep) == (repr(whole), keep)
