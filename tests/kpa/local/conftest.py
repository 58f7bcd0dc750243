"""A mark on every process that a test starts, so that none can stay behind unseen."""

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from kpa.local.cluster import LocalCluster
from tests.kpa.local.helpers import STUB, marked


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Unique text in the environment of a test's processes; fails it if one is left, and ends that one."""
    text = uuid.uuid4().hex
    monkeypatch.setenv("KPA_TEST_MARK", text)
    yield text
    deadline = time.monotonic() + 30
    while (left := marked(text)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    """Cluster with stub queue-proxies; its processes' lines are dropped."""
    made = LocalCluster(output=lambda _pod, _line: None, queue_proxy=STUB)
    yield made
    await made.close(patience=1.0)
