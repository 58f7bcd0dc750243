"""How long an activator waits before it connects again."""

from kpa.dataplane.activator.reconnect import reconnect_delay


def test_attempts_get_rarer_up_to_a_bound():
    assert 0.1 <= reconnect_delay(0) <= 0.15
    assert 0.13 <= reconnect_delay(1) <= 0.195
    assert 2.0 <= reconnect_delay(1000) <= 3.0
