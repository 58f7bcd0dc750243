"""Knative's queue-proxy and ours end alike: after SIGTERM probes fail, requests do not, metrics stay."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from tests.peer.backend import Backend
from tests.peer.queues import (
    START_SECONDS,
    Queue,
    ask,
    knative_queue,
    kpa_queue,
    settings,
    wait_until,
    wait_until_ready,
)

pytestmark = pytest.mark.peer

PROBE = {"User-Agent": "Knative-Activator-Probe", "K-Network-Probe": "queue"}


@pytest.mark.parametrize("start", [knative_queue, kpa_queue])
def test_a_drained_queue_proxy_fails_probes_and_loses_no_request(
    backend: Backend, start: Callable[[dict[str, str]], AbstractContextManager[Queue]]
) -> None:
    with start(settings(backend.port)) as queue, ThreadPoolExecutor(1) as pool:
        wait_until_ready(queue)
        in_flight = pool.submit(ask, queue.serving, target="/held")
        backend.wait_until_held(1)

        queue.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(queue.serving, headers=PROBE).status == 503, START_SECONDS)

        assert ask(queue.serving, headers=PROBE).body == b"shutting down\n"
        assert ask(queue.serving, target="/echo").status == 200
        assert ask(queue.metrics, target="/metrics").status == 200
        backend.let_go()
        assert in_flight.result().status == 200
        assert queue.process.poll() is None
