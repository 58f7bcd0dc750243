"""Lines of a stream however it is cut in pieces, and documents without the managers of fields."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.kube.api.errors import Unreachable
from kpa.kube.api.json_stream import lines, parse


class _Stream:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def iter_any(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@given(text=st.text("ab\n", max_size=40).map(str.encode), cuts=st.lists(st.integers(0, 40)))
async def test_lines_are_whole_wherever_the_stream_is_cut(text: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(text)]
    chunks = [text[begin:end] for begin, end in pairwise(bounds)]
    read = [line async for line in lines(_Stream(chunks))]  # type: ignore[arg-type]
    assert read == text.split(b"\n")[:-1]


_leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='}]{[",\\:a', max_size=6)
_names = st.sampled_from(["managedFields", "items", "metadata", "}]", '}],"a":1', "f:spec", 'k:{"a":"}]"}'])
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
)


def _without(value: Any) -> Any:
    if isinstance(value, list):
        return [_without(item) for item in value]
    if isinstance(value, dict):
        return {
            key: [] if key == "managedFields" and _is_managers(each) else _without(each)
            for key, each in value.items()
        }
    return value


def _is_managers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


@given(_json)
def test_a_document_is_read_whole_or_without_its_managers(value: Any) -> None:
    read = parse("get", json.dumps(value, separators=(",", ":")).encode())
    assert read == value or _without(read) == _without(value)


def test_managers_are_left_out_of_every_object() -> None:
    managed = {"metadata": {"managedFields": [{"fieldsV1": {"f:a": {}}}, {"b": {}}], "name": "a"}, "spec": 1}
    read = parse("list", json.dumps({"items": [managed] * 3}, separators=(",", ":")).encode())
    assert read == {"items": [{"metadata": {"managedFields": [], "name": "a"}, "spec": 1}] * 3}


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"a":', b'{"managedFields":[{"a":1'])
def test_what_is_no_json_is_no_answer(text: bytes) -> None:
    with pytest.raises(Unreachable, match="get: the response is not JSON"):
        parse("get", text)
