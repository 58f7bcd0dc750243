"""Fields and bodies by themselves.

Covered: lookup, what is passed on, pauses of the sender, errors behind data, what counts as untouched.
"""

import asyncio

import pytest

from kpa.dataplane.http.messages import HIGH_WATER, Body, Flow, Headers, chunk, head, tokens


def headers(*pairs: tuple[bytes, bytes]) -> Headers:
    fields = Headers()
    for name, value in pairs:
        fields.add(name, value)
    return fields


def test_fields_are_found_by_lower_case_name_and_repeated_ones_joined() -> None:
    fields = headers((b"X-A", b"1"), (b"x-a", b"2"), (b"Host", b"h"))
    assert (fields.get(b"x-a"), fields.get(b"x-b"), fields.count(b"x-a")) == (b"1, 2", b"", 2)
    assert b"host" in fields
    assert b"x-b" not in fields


def test_a_client_cannot_have_the_host_dropped() -> None:
    assert headers((b"Connection", b"Host, X"), (b"Host", b"h"), (b"X", b"1")).end_to_end() == [
        (b"Host", b"h")
    ]


def test_dropped_fields_are_dropped_in_any_spelling() -> None:
    assert headers((b"X-Secret", b"1"), (b"X-Open", b"2")).end_to_end((b"x-secret",)) == [(b"X-Open", b"2")]


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"", []), (b"close", [b"close"]), (b" Keep-Alive ,X", [b"keep-alive", b"x"])],
    ids=["empty", "one", "two"],
)
def test_words_of_a_field_are_in_lower_case(value: bytes, words: list[bytes]) -> None:
    assert tokens(value) == words


def test_a_head_and_chunks_have_their_form() -> None:
    assert head(b"GET / HTTP/1.1", [(b"Host", b"h")]) == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
    assert chunk(b"ab", last=True) == b"2\r\nab\r\n0\r\n\r\n"
    assert (chunk(b""), chunk(b"", last=True)) == (b"", b"0\r\n\r\n")


async def test_the_sender_pauses_at_the_mark_and_goes_on_when_all_is_taken() -> None:
    told: list[bool] = []
    body = Body(told.append, None)
    body.feed(bytes(HIGH_WATER - 1))
    assert told == []
    body.feed(b"x")
    body.feed(b"x")
    assert told == [True]
    assert len(await body.read()) == HIGH_WATER + 1
    assert told == [True, False]


def test_the_end_of_a_message_lets_the_next_one_come() -> None:
    told: list[bool] = []
    body = Body(told.append, None)
    body.feed(bytes(HIGH_WATER))
    body.end()
    assert told == [True, False]


async def test_what_came_before_an_error_is_read_first() -> None:
    body = Body(lambda _: None, None)
    body.feed(b"half")
    body.fail(ConnectionResetError("gone"))
    assert await body.read() == b"half"
    with pytest.raises(ConnectionResetError):
        await body.read()


async def test_an_error_after_the_end_is_none() -> None:
    body = Body(lambda _: None, None)
    body.end()
    body.fail(ConnectionResetError("gone"))
    assert await body.read() == b""


async def test_a_reader_wakes_at_the_first_byte_and_at_the_end() -> None:
    body = Body(lambda _: None, None)
    for step, expected in ((lambda: body.feed(b"a"), b"a"), (body.end, b"")):
        reading = asyncio.create_task(body.read())
        await asyncio.sleep(0)
        assert not reading.done()
        step()
        assert await reading == expected


async def test_who_writes_to_a_lost_connection_learns_of_it() -> None:
    flow = Flow()
    await flow.drain()
    flow.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await flow.drain()


async def test_looking_leaves_a_body_untouched_and_taking_does_not() -> None:
    body = Body(lambda _: None, 2)
    body.feed(b"a")
    body.feed(b"b")
    assert body.peek() == b"ab"
    assert body.untouched
    assert body.take() == b"ab"
    assert not body.untouched
