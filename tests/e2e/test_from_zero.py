"""A request to a service at zero is answered: the start of its process, and little more.

The start of the process is measured by starting it directly. What kpa may add is the wake of the autoscaler,
the start of the queue-proxy (which runs beside that of the process) and the probe.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from kpa.local.processes.environment import free_port
from tests.e2e.conftest import Launch
from tests.e2e.running import REPOSITORY, service

pytestmark = pytest.mark.e2e

OWN_SHARE = 0.5
"""Seconds that kpa may add to the start of the process, which takes less than 0.1 s."""

SLOWER = 5.0
"""On a machine that takes longer to start it, kpa may add so many times that."""

ROUNDS = 3
"""Services asked; the median counts, as one start may be in the way of something else on a busy machine."""


def start_directly() -> float:
    """Seconds from the start of a process of the service to its first answer."""
    port = free_port()
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "kpa.demo.model_server"],
        cwd=REPOSITORY,
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 30) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert connection.recv(100).startswith(b"HTTP/1.1 200")
                    return time.monotonic() - started
            except ConnectionRefusedError:
                assert time.monotonic() < started + 30
                time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def test_a_request_at_zero_costs_the_start_of_the_process_and_less_than_half_a_second(
    launch: Launch, record_property: Callable[[str, object], None]
) -> None:
    names = [f"asleep-{number}" for number in range(ROUNDS)]
    kpa = launch(
        *(service(name, {"initial-scale": 0}) for name in names),
        settings={"allow-zero-initial-scale": "true"},
    )
    kpa.wait(lambda: kpa.look("/readyz")[0] == 200, "ready")
    kpa.wait(lambda: kpa.revisions().keys() >= {f"{name}-00001" for name in names}, "all revisions are known")
    assert all(status.replicas == 0 for status in kpa.revisions().values())
    own, whole = [], []
    for name in names:
        own.append(start_directly())
        started = time.monotonic()
        assert kpa.get(name) == (200, "done\n")
        whole.append(time.monotonic() - started)
    alone = statistics.median(own)
    share = statistics.median(whole) - alone
    figures = f"process alone {own}, through kpa {whole}, our share {share:.3f} s"
    print(figures)
    record_property("seconds", figures)
    assert share < max(OWN_SHARE, SLOWER * alone), f"{figures}\n{kpa.log}"
