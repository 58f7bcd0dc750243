"""A header and arrays as bytes, and back: the batches that a snapshot is a row of.

    batch    "kpa" · version · length · deflated payload
    payload  length of the header · header in JSON · arrays, each with its length, bytes by significance

Which arrays there are, and what they mean, is the caller's knowledge: their names and numpy's names of their
types, in the order in which they are written.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

VERSION = 1

_BATCH = struct.Struct(">3sBI")
_MAGIC = b"kpa"
_LENGTH = struct.Struct(">I")

_MOST = 2**28
"""Bytes of an inflated payload."""

_LEVEL, _STRATEGY = 1, zlib.Z_RLE
"""Of deflation: runs of a byte, and the more frequent ones in fewer bits. Bytes by significance have nothing
else that repeats; to look for it takes up to three times as long, and finds names."""

Arrays = Mapping[str, NDArray[Any]]


def seal(payload: bytes) -> bytes:
    """Return a batch; the costly part, which may run in a thread."""
    deflating = zlib.compressobj(_LEVEL, strategy=_STRATEGY)
    data = deflating.compress(payload) + deflating.flush()
    return _BATCH.pack(_MAGIC, VERSION, len(data)) + data


def opened(batches: bytes) -> Iterator[bytes]:
    """Give the payload of each batch of a row.

    Raises
    ------
    ValueError
        A batch is none, is of another version, or was damaged.
    """
    start = 0
    while start < len(batches):
        if len(batches) - start < _BATCH.size:
            raise ValueError(f"snapshot ends within a batch, at byte {start}")
        magic, version, length = _BATCH.unpack_from(batches, start)
        if magic != _MAGIC:
            raise ValueError(f"not a snapshot: it begins with {bytes(batches[start : start + 8])!r}")
        if version != VERSION:
            raise ValueError(f"snapshot of version {version}; known is {VERSION}")
        start += _BATCH.size
        yield _inflate(batches[start : start + length], length)
        start += length


def _inflate(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError(f"snapshot was cut off: {len(data)} of {length} bytes are there")
    inflating = zlib.decompressobj()
    try:
        payload = inflating.decompress(data, _MOST)
    except zlib.error as error:
        raise ValueError(f"snapshot is damaged: {error}") from error
    if not inflating.eof:
        raise ValueError(f"snapshot is damaged, or a batch has more than {_MOST} bytes")
    return payload


def pack(header: Mapping[str, Any], arrays: Arrays, kinds: Mapping[str, str]) -> bytes:
    """Return a payload.

    Parameters
    ----------
    header : Mapping
        Values that JSON has.
    arrays : Arrays
    kinds : Mapping
        Type of each array by name, such as `f8`.
    """
    text = orjson.dumps(header)
    parts = [_LENGTH.pack(len(text)), text]
    for name, kind in kinds.items():
        array = np.ascontiguousarray(arrays[name], np.dtype(kind).newbyteorder("<"))
        by_significance = array.view(np.uint8).reshape(-1, array.itemsize).T
        parts += [_LENGTH.pack(array.size), by_significance.tobytes()]
    return b"".join(parts)


def unpack(payload: bytes, kinds: Mapping[str, str]) -> tuple[dict[str, Any], Arrays]:
    """Undo `pack`.

    Raises
    ------
    ValueError
        The payload is shorter than it says, or its header is not JSON.
    """
    length, start = _next_length(payload, 0)
    header, start = orjson.loads(payload[start : start + length]), start + length
    arrays = {}
    for name, kind in kinds.items():
        dtype = np.dtype(kind).newbyteorder("<")
        count, start = _next_length(payload, start)
        end = start + count * dtype.itemsize
        if end > len(payload):
            raise ValueError(f"{name} has {len(payload) - start} of {end - start} bytes")
        planes = np.frombuffer(payload[start:end], np.uint8).reshape(dtype.itemsize, count)
        arrays[name] = np.ascontiguousarray(planes.T).view(dtype).reshape(count).astype(kind)
        start = end
    return header, arrays


def _next_length(payload: bytes, start: int) -> tuple[int, int]:
    end = start + _LENGTH.size
    if end > len(payload):
        raise ValueError(f"no length at byte {start} of {len(payload)}")
    return _LENGTH.unpack(payload[start:end])[0], end
