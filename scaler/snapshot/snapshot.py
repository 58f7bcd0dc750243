"""Some revisions of an engine as bytes, and back: what another process goes on from.

    engine ── collect ──> payload ── seal ──> bytes ══ file, HTTP ══> read ─> SnapshotRecord ── Engine.restore

A snapshot is a row of batches (`scaler.snapshot.encoding`), so that a large fleet can be taken bit by bit.

A restored revision decides as the original would have, to the last bit. Of the windows only what is not zero
is kept, and of the panic window only what the stable one does not know; of the entries of a sliding maximum
only those that can still become it.

Per revision, in a snapshot of many: 40 bytes idle, 1.5 KiB for 180 s of random loads (noise has no shorter
form). On one core 20 us to collect and 25 us to seal the latter, a fifth of that idle; 20 us to read.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.resolve import LONGEST_WINDOW
from metrics.windows.history import NEVER, WindowHistories, WindowHistory
from metrics.windows.windows import ColumnHistory
from scaler.engine.block import Block
from scaler.engine.engine import Engine
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.snapshot.encoding import Arrays, opened, pack, unpack

_BATCH_BYTES = 2**21
"""Memory of an engine that is read for one batch at most: a few milliseconds."""

_RINGS = ("answers", "most_ready", "fewest_ready")

_ARRAYS: dict[str, str] = {
    "stable_window": "f8", "panic_window": "f8", "first": "i8", "last": "i8", "panic_first": "i8",
    "panic_last": "i8", "totals": "f8", "panic_totals": "f8", "nonzero": "u1", "values": "f8", "apart": "u1",
    "panic_values": "f8", "delayed": "u1", "panic_since": "f8", "panic_pods": "f8", "desired": "f8",
    "excess": "f8",
} | {f"{ring}_{part}": kind for ring in _RINGS for part, kind in
     (("counts", "i4"), ("steps", "i8"), ("maxima", "i4"))}  # fmt: skip


def batches(engine: Engine, keys: Iterable[Hashable]) -> Iterator[list[Hashable]]:
    """Divide keys of an engine into lists that `collect` takes a few milliseconds for."""
    for block, columns in engine.by_block(keys):
        count = max(1, _BATCH_BYTES // block.column_bytes)
        for start in range(0, len(columns), count):
            yield [block.keys[column] for column in columns[start : start + count]]


def collect(
    engine: Engine, keys: Iterable[Hashable], time: float, note: Callable[[Hashable], Any] = lambda key: None
) -> list[bytes]:
    """Return payloads with what an engine knows of some keys; those that it does not know are left out.

    Parameters
    ----------
    engine : Engine
    keys : iterable
        Their texts are their names in the snapshot.
    time : float
        Unix seconds: now.
    note : callable (key)
        What to remember besides, in values that JSON has.
    """
    payloads = []
    for block, columns in engine.by_block(keys):
        taken = [block.keys[column] for column in columns]
        header = {
            "time": time,
            "names": [str(key) for key in taken],
            "notes": [note(key) for key in taken],
        }
        payloads.append(_payload(header, block, columns))
    return payloads


def read(snapshot: bytes) -> dict[str, SnapshotRecord]:
    """Return what a snapshot says of each revision, by name.

    Raises
    ------
    ValueError
        It is none, is of another version, or was damaged.
    """
    found: dict[str, SnapshotRecord] = {}
    for payload in opened(snapshot):
        found |= _revisions(payload)
    return found


# Arrays of a batch.


def _payload(header: dict[str, Any], block: Block, columns: NDArray[np.intp]) -> bytes:
    stable, panic = block.windows.histories(columns)
    header |= {"seconds": stable.values.shape[1], "panic_seconds": panic.values.shape[1]}
    apart = _apart(stable, panic)
    some = stable.values != 0.0
    arrays: dict[str, NDArray[Any]] = {
        "stable_window": stable.window, "panic_window": panic.window, "first": stable.first,
        "last": stable.last, "panic_first": panic.first, "panic_last": panic.last, "totals": stable.totals,
        "panic_totals": panic.totals, "nonzero": np.packbits(some), "values": stable.values[some],
        "apart": apart, "panic_values": panic.values[:, :, apart],
        "delayed": block.specs.delay_steps[columns] > 0,
        "panic_since": block.states.panic_since[columns], "panic_pods": block.states.panic_pods[columns],
        "desired": block.recommended[columns], "excess": block.excess[columns],
    }  # fmt: skip
    for ring in _RINGS:
        parts = getattr(block.states, ring).peaks(columns)
        arrays |= zip((f"{ring}_counts", f"{ring}_steps", f"{ring}_maxima"), parts, strict=True)
    return pack(header, arrays, _ARRAYS)


def _apart(stable: WindowHistories, panic: WindowHistories) -> NDArray[np.bool_]:
    """Tell whose panic window holds something else than the newest part of the stable one."""
    shared = min(stable.values.shape[1], panic.values.shape[1])
    within = np.arange(shared)[:, None] < np.ceil(panic.window)
    differs = (stable.values[:, :shared] != panic.values[:, :shared]) & within
    unlike: NDArray[np.bool_] = (
        differs.any(axis=(0, 1)) | (stable.last != panic.last) | (panic.window > stable.window)
    )
    return unlike


# Revisions of a batch.


def _revisions(payload: bytes) -> dict[str, SnapshotRecord]:
    try:
        header, arrays = unpack(payload, _ARRAYS)
        names, notes = list(map(str, header["names"])), list(header["notes"])
        _check(arrays, len(names))
        stable, panic = _histories(header, arrays, len(names))
        rings = {ring: _entries(arrays, ring) for ring in _RINGS}
        return {
            name: SnapshotRecord(
                time=float(header["time"]),
                stable_window=float(arrays["stable_window"][row]),
                panic_window=float(arrays["panic_window"][row]),
                windows=ColumnHistory(stable[row], panic[row]),
                delayed=bool(arrays["delayed"][row]),
                panic_since=float(arrays["panic_since"][row]),
                panic_pods=float(arrays["panic_pods"][row]),
                recommended=float(arrays["desired"][row]),
                excess=float(arrays["excess"][row]),
                note=notes[row],
                **{ring: entries[row] for ring, entries in rings.items()},
            )
            for row, name in enumerate(names)
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"snapshot makes no sense: {error}") from error


def _check(arrays: Arrays, revisions: int) -> None:
    """Refuse numbers that no engine has written."""
    for name in ("stable_window", "panic_window"):
        if not ((arrays[name] > 0) & (arrays[name] <= LONGEST_WINDOW)).all():
            raise ValueError(f"{name} must be within 0 and {LONGEST_WINDOW:g} s")
    for name in ("values", "totals", "panic_values", "panic_totals", "panic_pods", "desired", "excess"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} must be finite")
    for prefix in ("", "panic_"):
        first, last = arrays[f"{prefix}first"], arrays[f"{prefix}last"]
        if not ((first >= NEVER) & (first <= last) & (last < -NEVER)).all():
            raise ValueError(f"{prefix}first and {prefix}last are no seconds")
    for ring in _RINGS:
        counts, steps = arrays[f"{ring}_counts"], arrays[f"{ring}_steps"]
        if len(counts) != revisions or (counts < 0).any() or counts.sum() != len(steps):
            raise ValueError(f"{ring} is incomplete")
        if not ((steps > 0) & (steps < -NEVER)).all():
            raise ValueError(f"{ring} has steps that never were")


def _histories(
    header: Mapping[str, Any], arrays: Arrays, n: int
) -> tuple[list[WindowHistory], list[WindowHistory]]:
    seconds, panic_seconds = int(header["seconds"]), int(header["panic_seconds"])
    if not 0 <= panic_seconds <= LONGEST_WINDOW >= seconds >= 0:
        raise ValueError(f"windows of {seconds} and {panic_seconds} seconds")
    some = np.unpackbits(arrays["nonzero"], count=2 * seconds * n).astype(bool).reshape(2, seconds, n)
    values = np.zeros(some.shape)
    values[some] = arrays["values"]
    apart = arrays["apart"].astype(bool)
    panic_values = np.zeros((2, panic_seconds, n))
    shared = min(seconds, panic_seconds)
    panic_values[:, :shared] = values[:, :shared]
    panic_values[:, :, apart] = arrays["panic_values"].reshape(2, panic_seconds, -1)
    stable = _each(arrays, "", values, np.ceil(arrays["stable_window"]).astype(int))
    return stable, _each(arrays, "panic_", panic_values, np.ceil(arrays["panic_window"]).astype(int))


def _each(
    arrays: Arrays, prefix: str, values: NDArray[np.float64], sizes: NDArray[np.int64]
) -> list[WindowHistory]:
    totals = arrays[f"{prefix}totals"].reshape(2, -1)
    first, last = arrays[f"{prefix}first"].tolist(), arrays[f"{prefix}last"].tolist()
    return [
        WindowHistory(first[row], last[row], values[:, : sizes[row], row], totals[:, row])
        for row in range(values.shape[2])
    ]


def _entries(arrays: Arrays, ring: str) -> list[list[tuple[int, int]]]:
    ends = np.cumsum(arrays[f"{ring}_counts"]).tolist()
    pairs = list(zip(arrays[f"{ring}_steps"].tolist(), arrays[f"{ring}_maxima"].tolist(), strict=True))
    return [pairs[start:end] for start, end in zip([0, *ends], ends, strict=False)]
