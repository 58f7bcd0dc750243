"""The law of snapshots: a restored revision decides as the original, to the last bit, whatever follows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.resolve import RevisionSettings
from scaler.engine.engine import Engine
from scaler.snapshot import snapshot
from scaler.snapshot.encoding import seal
from tests.strategies import loads, settings

START = 1_700_000_001

steps = st.lists(
    st.tuples(
        st.integers(0, 70),  # seconds that pass
        st.lists(
            st.tuples(st.integers(0, 8), loads, loads), max_size=3
        ),  # reports: seconds ago, load, arrivals
        st.integers(0, 30),  # ready pods
        st.sampled_from(["tick", "poke", "nothing"]),
        st.booleans(),  # what is known is forgotten
    ),
    max_size=25,
)
COMPARED = ("valid", "stable", "panic", "recommended", "excess", "panic_since", "ready")
Step = tuple[int, list[tuple[int, float, float]], int, str, bool]
changes = st.fixed_dictionaries(
    {},
    optional={
        "stable_window": st.sampled_from([60.0, 180.0, 300.0]),
        "target_value": st.sampled_from([1.0, 8.5]),
        "metric": st.sampled_from(["rps", "concurrency"]),
    },
)


def play(engine: Engine, keys: list[str], some: list[Step], now: float) -> list[object]:
    """Let time go on for some revisions and return all that is decided."""
    told: list[object] = []
    for passed, reports, ready, what, forget in some:
        now += passed
        for key in keys:
            engine.set_ready(key, ready)
            for ago, load, arrivals in reports:
                engine.record(key, int(now) - ago, load, arrivals)
            if forget and passed > 40:
                engine.forget_data(key)
        if what != "nothing":
            told.append(sorted(engine.tick(now, None if what == "tick" else keys)))  # type: ignore[type-var]
            told += [decided(engine, key) for key in keys]
    return told


def decided(engine: Engine, key: str) -> tuple[object, ...]:
    decision = engine.decision(key)
    return tuple(getattr(decision, name) for name in COMPARED)


@hypothesis_settings(max_examples=150)
@given(
    chosen=st.lists(st.tuples(settings(), st.booleans()), min_size=1, max_size=3),
    before=steps,
    after=steps,
    changed=changes,
)
def test_a_restored_revision_decides_as_the_original_would(
    chosen: list[tuple[RevisionSettings, bool]],
    before: list[Step],
    after: list[Step],
    changed: dict[str, object],
) -> None:
    keys = [f"revision-{number}" for number in range(len(chosen))]
    original, restored = Engine(), Engine(block_columns=1)
    for key, (one, scraped) in zip(keys, chosen, strict=True):
        original.add(key, one, START, 2, scraped)
    play(original, keys, before, START)
    now = START + sum(step[0] for step in before)
    data = b"".join(map(seal, snapshot.collect(original, keys, now)))
    saved = snapshot.read(data)
    for key, (one, scraped) in zip(keys, chosen, strict=True):
        restored.add(key, one, now, 7, scraped, hold=True)
        restored.restore(key, saved[key], now)
        restored.set_ready(key, original.decision(key).ready)
    restored.check_valid()
    half = len(after) // 2
    assert play(restored, keys, after[:half], now) == play(original, keys, after[:half], now)
    now += sum(step[0] for step in after[:half])
    for key, (one, scraped) in zip(keys, chosen, strict=True):
        if changed.get("stable_window", one.panic_window) >= one.panic_window:  # type: ignore[operator]
            for engine in (original, restored):
                engine.update(key, replace(one, **changed), now, scraped)  # type: ignore[arg-type]
    assert play(restored, keys, after[half:], now) == play(original, keys, after[half:], now)
