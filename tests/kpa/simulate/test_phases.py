"""The language of phases.

Covered: each word, levels that carry on, every refusal.
"""

import pytest

from kpa.simulate.errors import InputError
from kpa.simulate.phases import Stretch, parse_phases


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        pytest.param("ramp 0..50 5m", [(300, 0, 50)], id="ramp"),
        pytest.param("hold 20 1m", [(60, 20, 20)], id="hold at a level"),
        pytest.param("ramp 5..2.5 1s, hold 1m", [(1, 5, 2.5), (60, 2.5, 2.5)], id="hold goes on"),
        pytest.param("hold 1m", [(60, 0, 0)], id="nothing was reached"),
        pytest.param(
            "hold 3 1s, burst 400 10s, hold 2s", [(1, 3, 3), (10, 400, 400), (2, 3, 3)], id="burst goes back"
        ),
        pytest.param("hold 3 1s,idle 5s,hold 1s", [(1, 3, 3), (5, 0, 0), (1, 0, 0)], id="idle stays"),
    ],
)
def test_phases_become_stretches(text: str, stretches: list[tuple[float, float, float]]) -> None:
    assert parse_phases(text) == tuple(Stretch(*one) for one in stretches)


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("", "phase 1 ''"),
        ("hold 1m,", "phase 2 ''"),
        ("hold 5", "phase 1 'hold 5'"),
        ("hold 1m, climb 1..2 5m", "phase 2 'climb 1..2 5m'"),
        ("ramp 1 5m", "phase 1 'ramp 1 5m'"),
        ("ramp 1..2..3 5m", "phase 1 "),
        ("ramp -1..2 5m", "phase 1 "),
        ("hold nan 5m", "phase 1 "),
        ("hold 1 2 5m", "phase 1 "),
        ("burst 5m", "phase 1 "),
        ("idle 3 5m", "phase 1 "),
        ("hold 3 0s", "phase 1 "),
        ("hold 3 -5s", "phase 1 "),
        ("hold 1e9 5s", "phase 1 "),
    ],
)
def test_a_phase_that_cannot_be_read_is_named(text: str, phase: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_phases(text)
    assert str(refused.value).startswith(phase)
    assert " must be ramp A..B TIME, hold [A] TIME, burst A TIME or idle TIME" in str(refused.value)
