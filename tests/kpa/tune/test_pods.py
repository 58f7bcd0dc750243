"""Pods of many candidates.

Covered: start-up, which pods stop first, the cost of draining, scalings, random walks against single pods.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpa.tune.pods import Pods


def test_pods_take_their_time_to_start() -> None:
    pods = Pods(np.array([1, 1]), start_up_steps=3, drain_steps=2)
    pods.scale(0, 4, index=0)
    ready = []
    for index in range(1, 5):
        got = pods.advance(index).tolist()
        ready.append((pods.ready.tolist(), got))
    assert ready == [([1, 1], []), ([1, 1], []), ([4, 1], [0]), ([4, 1], [])]
    assert pods.scalings.tolist() == [1, 0]


def test_those_that_start_stop_first_and_the_youngest_of_them() -> None:
    pods = Pods(np.array([2]), start_up_steps=10, drain_steps=2)
    pods.scale(0, 4, index=0)
    pods.scale(0, 7, index=3)
    pods.scale(0, 3, index=5)
    for index in range(6, 11):
        pods.advance(index)
    assert pods.ready.tolist() == [3]
    pods.advance(13)
    assert pods.ready.tolist() == [3]


def test_a_stopped_pod_costs_until_it_has_drained() -> None:
    pods = Pods(np.array([3]), start_up_steps=1, drain_steps=20.0)
    assert pods.take_cost().tolist() == [3.0]
    pods.scale(0, 1, index=0)
    assert pods.take_cost().tolist() == [1.0 + 2 * 20.0]
    assert pods.take_cost().tolist() == [1.0]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.integers(1, 6))
def test_pods_are_those_of_a_list_of_single_ones(requested: list[int], start_up: int) -> None:
    pods = Pods(np.array([1]), start_up, 0.0)
    ready, starting = 1, []
    for index, replicas in enumerate(requested):
        pods.advance(index)
        ready += starting.count(index)
        starting = [due for due in starting if due > index]
        pods.scale(0, replicas, index)
        change = replicas - ready - len(starting)
        starting += [index + start_up] * change
        while change < 0 and starting:
            starting.pop()
            change += 1
        ready += min(change, 0)
        assert pods.ready.tolist() == [ready]
        assert pods.replicas.tolist() == [replicas]
