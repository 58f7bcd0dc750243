"""Snapshots as bytes: what is refused, how large they are, and what a restored revision knows at once."""

import random
import zlib
from dataclasses import replace

import pytest

from config.autoscaler import AutoscalerConfig
from config.resolve import RevisionSettings, resolve
from scaler.engine.engine import Engine
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.snapshot import snapshot
from scaler.snapshot.encoding import seal
from tests.strategies import PLAIN

START = 1_700_000_000
INFERENCE = resolve(AutoscalerConfig.from_config_map({"defaults": "inference"}), {}, container_concurrency=10)


def loaded(settings: RevisionSettings, load: float | None, revisions: int = 1, seconds: int = 200) -> Engine:
    """Return an engine after some time of load; no load is drawn at random, to the last bit."""
    engine, drawn = Engine(), random.Random(7)
    for number in range(revisions):
        engine.add(f"default/service-{number:05d}-00001", settings, START, 3)
    for second in range(seconds):
        for number in range(revisions):
            concurrency = drawn.expovariate(1 / 20) if load is None else load
            requests = float(drawn.randint(0, 60)) if load is None else load
            engine.record(f"default/service-{number:05d}-00001", START + second, concurrency, requests)
        if second % 2:
            engine.tick(START + second + 0.92)
    return engine


def taken(engine: Engine, time: float = START + 200.0) -> bytes:
    keys = [f"default/service-{number:05d}-00001" for number in range(len(engine))]
    payloads = [
        payload
        for batch in snapshot.batches(engine, keys)
        for payload in snapshot.collect(engine, batch, time, lambda key: ["active", time - 77.123, None])
    ]
    return b"".join(map(seal, payloads))


def saved_alone(engine: Engine, key: str = "default/service-00000-00001") -> SnapshotRecord:
    payloads = snapshot.collect(engine, [key], START + 200.0)
    return snapshot.read(b"".join(map(seal, payloads)))[key]


@pytest.mark.parametrize(
    ("settings", "load", "most"),
    [(INFERENCE, None, 1536), (PLAIN, None, 600), (INFERENCE, 0.0, 50), (INFERENCE, 12.0, 60)],
    ids=["random load, 180 s", "random load, 60 s", "idle", "steady"],
)
def test_a_revision_takes_few_bytes_of_a_snapshot_of_many(
    settings: RevisionSettings, load: float | None, most: int
) -> None:
    size = len(taken(loaded(settings, load, revisions=100))) / 100
    assert size <= most


def test_an_idle_revision_alone_takes_less_than_its_settings_would_as_text() -> None:
    assert len(taken(loaded(INFERENCE, 0.0))) < 300


def test_a_large_fleet_is_taken_in_parts() -> None:
    engine = Engine()
    for number in range(2000):
        engine.add(number, INFERENCE, START, 1)
    batches = list(snapshot.batches(engine, range(2000)))
    assert sorted(key for batch in batches for key in batch) == list(range(2000))
    assert max(map(len, batches)) < 700
    assert sum(len(snapshot.collect(engine, batch, START)) for batch in batches) == len(batches)


def test_a_revision_that_went_meanwhile_is_left_out() -> None:
    engine = loaded(PLAIN, 5.0, revisions=3)
    engine.remove("default/service-00001-00001")
    found = snapshot.read(
        b"".join(map(seal, snapshot.collect(engine, ["gone", "default/service-00000-00001"], 0.0)))
    )
    assert list(found) == ["default/service-00000-00001"]


def test_an_empty_snapshot_has_no_revisions() -> None:
    assert snapshot.read(b"") == {}


def test_a_note_comes_back() -> None:
    engine = loaded(PLAIN, 5.0)
    data = seal(snapshot.collect(engine, ["default/service-00000-00001"], 12.5, lambda key: {"a": [1]})[0])
    saved = snapshot.read(data)["default/service-00000-00001"]
    assert (saved.note, saved.time) == ({"a": [1]}, 12.5)


def damaged(how: str) -> bytes:
    data = taken(loaded(PLAIN, None))
    header, payload = data[:8], zlib.decompress(data[8:])
    if how == "other":
        return b"<html>Bad Request</html>"
    if how == "version":
        return data[:3] + bytes([99]) + data[4:]
    if how == "cut":
        return data[:-10]
    if how == "header cut":
        return data + b"kpa"
    if how == "flipped":
        return data[:60] + bytes([data[60] ^ 1]) + data[61:]
    if how == "window":
        return seal(payload.replace(b'"seconds":60', b'"seconds":59'))
    if how == "no header":
        return seal(b"\0\0\0\2{}")
    assert header
    return seal(payload[:-9])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("other", "not a snapshot: it begins with b'<html>"),
        ("version", "snapshot of version 99; known is 1"),
        ("cut", "snapshot was cut off"),
        ("header cut", "snapshot ends within a batch"),
        ("flipped", "snapshot is damaged"),
        ("window", "snapshot makes no sense"),
        ("no header", "snapshot makes no sense"),
        ("short payload", "snapshot makes no sense: .* bytes"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_reason(how: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        snapshot.read(damaged(how))


def test_a_flipped_bit_anywhere_is_seen_or_changes_nothing() -> None:
    data, drawn = taken(loaded(PLAIN, None, seconds=70)), random.Random(1)
    whole, seen = str(snapshot.read(data)), 0
    for _ in range(300):
        flipped = bytearray(data)
        flipped[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
        said = said_of(bytes(flipped))
        assert said == whole or "snapshot" in said[:30]
        seen += said != whole
    assert seen > 280


def said_of(data: bytes) -> str:
    try:
        return str(snapshot.read(data))
    except ValueError as error:
        return str(error)


def test_a_panic_in_progress_stays_the_same_panic() -> None:
    engine = loaded(PLAIN, 70.0)
    key = "default/service-00000-00001"
    before = engine.decision(key)
    assert before.panic_since is not None
    saved = saved_alone(engine)
    other = Engine()
    other.add(key, PLAIN, START + 200.0, 3, hold=True)
    other.restore(key, saved, START + 200.0)
    after = other.decision(key)
    assert (after.panic_since, after.recommended, after.excess) == (
        before.panic_since,
        before.recommended,
        before.excess,
    )


@pytest.mark.parametrize("window", [30.0, 65.0, 180.0])
def test_windows_of_another_length_by_now_are_resized(window: float) -> None:
    """As `Engine.update` does on a live revision."""
    live, key = loaded(PLAIN, 70.0, seconds=40), "default/service-00000-00001"
    changed = replace(PLAIN, stable_window=window, panic_window=window // 10)
    other = Engine()
    other.add(key, changed, START + 41.0, 3)
    other.restore(key, saved_alone(live), START + 41.0)
    live.update(key, changed, START + 41.0)
    for engine in (live, other):
        engine.record(key, START + 41, 7.0, 7.0)
        engine.tick(START + 41.92)
    assert other.decision(key) == live.decision(key)
    other.check_valid()


def test_a_delay_that_there_was_not_holds_the_last_answer() -> None:
    """As `Engine.update` does on a live revision."""
    live, key = (
        loaded(replace(PLAIN, max_scale_down_rate=1000.0, panic_threshold=1e9), 70.0),
        "default/service-00000-00001",
    )
    changed = replace(PLAIN, max_scale_down_rate=1000.0, panic_threshold=1e9, scale_down_delay=100.0)
    other = Engine()
    other.add(key, changed, START + 200.0, 3)
    other.restore(key, saved_alone(live), START + 200.0)
    for second in range(200, 270):
        other.record(key, START + second, 0.0, 0.0)
    other.tick(START + 270)
    assert other.decision(key).recommended == 10


@pytest.mark.parametrize("seed", range(5))
def test_delays_rates_and_totals_live_on(seed: int) -> None:
    """Second by second, with ticks twice a step of the delay, as pokes make them."""
    drawn = random.Random(seed)
    settings = replace(
        INFERENCE, scale_down_delay=60.0, scale_rate_period=15.0, max_scale_down_rate=1.1, stable_window=30.0,
        panic_window=3.0, panic_threshold=10.0,
    )  # fmt: skip
    live, key = Engine(), "default/service-00000-00001"
    live.add(key, settings, START, 3)
    level = 50.0

    def play(engines: list[Engine], second: int) -> None:
        nonlocal level
        if second % 20 == 0:
            level = drawn.choice([0.0, 20.0, 60.0, 150.0])
        load, ready = level * drawn.random(), drawn.randint(1, 12)
        for engine in engines:
            engine.set_ready(key, ready)
            engine.record(key, START + second, load, 1.0)
            engine.tick(START + second + 0.92)

    taken_at = 150 + drawn.randrange(40)
    for second in range(taken_at):
        play([live], second)
    other = Engine()
    other.add(key, settings, START + taken_at, 3)
    other.restore(key, saved_alone(live), START + taken_at)
    assert totals(other) == totals(live)
    for second in range(taken_at, taken_at + 150):
        play([live, other], second)
        assert other.decision(key) == live.decision(key), second


def test_a_step_of_the_delay_that_has_begun_keeps_its_largest_answer() -> None:
    abrupt = replace(
        PLAIN, stable_window=1.0, panic_window=1.0, scale_down_delay=60.0, panic_threshold=1e9,
        max_scale_down_rate=1000.0,
    )  # fmt: skip
    live, other, key = Engine(), Engine(), "default/service-00000-00001"
    live.add(key, abrupt, START, 1)
    for second in range(199):
        live.record(key, START + second, 70.0 if second == 198 else 7.0, 0.0)
        live.tick(START + second + 0.92)
    other.add(key, abrupt, START + 199.0, 1)
    other.restore(key, saved_alone(live), START + 199.0)
    for second in (199, 200, 250):
        other.record(key, START + second, 7.0, 0.0)
        other.tick(START + second + 0.92)
        assert other.decision(key).recommended == 10


def totals(engine: Engine) -> list[float]:
    ((block, columns),) = engine.by_block(["default/service-00000-00001"])
    stable, panic = block.windows.histories(columns)
    return [*stable.totals[:, 0], *panic.totals[:, 0]]


def test_a_panic_window_that_knows_less_than_the_stable_one_stays_so() -> None:
    live, key = loaded(PLAIN, None), "default/service-00000-00001"
    longer = replace(PLAIN, panic_window=20.0)
    live.update(key, longer, START + 200.0)
    other = Engine()
    other.add(key, longer, START + 200.0, 3)
    other.restore(key, saved_alone(live), START + 200.0)
    for engine in (live, other):
        engine.record(key, START + 200, 7.0, 7.0)
        engine.tick(START + 200.92)
    assert other.decision(key) == live.decision(key)
    assert other.decision(key).panic < 0.7 * other.decision(key).stable
