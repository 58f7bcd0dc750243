"""The wire form of stats: bytes as Knative's pods write them, both ways."""

from struct import Struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from metrics.stat import Stat, StatMessage, decode_messages, encode_messages, read_loads

numbers = st.floats(allow_nan=False, allow_infinity=False)
stats = st.builds(
    Stat, st.text(max_size=20), numbers, numbers, numbers, numbers, numbers, st.integers(-(2**63), 2**63 - 1)
)
messages = st.lists(st.builds(StatMessage, st.text(max_size=9), st.text(max_size=9), stats), max_size=5)


def test_a_stat_is_written_with_the_field_numbers_of_the_peer() -> None:
    stat = Stat("p", 1.0, 0.5, 3.0, 2.0, 10.0, 7)
    assert stat.encode() == bytes.fromhex(
        "0a0170"  # 1, text
        "11000000000000f03f"  # 2 to 6, doubles
        "19000000000000e03f"
        "210000000000000840"
        "290000000000000040"
        "310000000000002440"
        "3807"  # 7, varint
    )


def test_load_that_an_activator_reports_itself_is_taken_off() -> None:
    stat = Stat("p", 5.0, 3.0, 9.0, 4.0)
    assert (stat.concurrency, stat.requests) == (2.0, 5.0)


def test_load_that_nobody_else_reports_counts_in_full() -> None:
    stat = Stat("p", 5.0, 3.0, 9.0, 4.0).in_full()
    assert (stat.concurrency, stat.requests) == (5.0, 9.0)


@given(stats)
def test_a_stat_survives_its_wire_form(stat: Stat) -> None:
    assert Stat.decode(stat.encode()) == stat


@given(st.builds(Stat, st.text(max_size=20), *[st.one_of(st.just(0.0), st.floats())] * 5, st.just(0)))
def test_the_loads_of_a_stat_are_read_alone_whichever_of_its_numbers_are_zero(stat: Stat) -> None:
    loads = read_loads(stat.encode(), start=len(Stat(stat.pod_name).encode()))
    assert repr(loads) == repr(stat[1:5])


tags = st.sampled_from([bytes([number << 3 | kind]) for number in range(1, 9) for kind in (0, 1, 2)])


@given(st.lists(st.one_of(tags, st.binary(max_size=9), st.floats().map(Struct("<d").pack))).map(b"".join))
def test_what_is_read_alone_is_what_the_whole_message_says(data: bytes) -> None:
    loads = read_loads(data, start=0)
    if loads is not None:
        assert repr(loads) == repr(Stat.decode(data)[1:5])


@given(messages)
def test_a_frame_survives_its_wire_form(batch: list[StatMessage]) -> None:
    assert decode_messages(encode_messages(batch)) == batch


def test_a_message_without_a_stat_is_skipped() -> None:
    without = bytes.fromhex("0a060a016e120172")  # one message: namespace n, name r
    with_stat = encode_messages([StatMessage("n", "s", Stat("p"))])
    assert decode_messages(without + with_stat) == [StatMessage("n", "s", Stat("p"))]


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x11\x00"], ids=["tag", "length", "double"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a Stat message"):
        Stat.decode(data)
    with pytest.raises(ValueError, match="not a WireStatMessages message"):
        decode_messages(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (Stat.decode, decode_messages):
        try:
            read(data)
        except ValueError:
            continue


def test_unknown_fields_are_ignored() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="more.proto", package="more", syntax="proto3")
    field = file.message_type.add(name="More").field.add(name="new", number=99, type=9)
    field.label = 1
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    more = message_factory.GetMessageClass(pool.FindMessageTypeByName("more.More"))(new="x")  # type: ignore[no-untyped-call]
    assert Stat.decode(Stat("p").encode() + more.SerializeToString()) == Stat("p")
