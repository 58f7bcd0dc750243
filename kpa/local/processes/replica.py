"""One replica: a pod whose two containers are processes of this machine."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from kpa.controller.revisions import Pod
from kpa.local.manifests.spec import Template
from kpa.local.processes.environment import HOST, QUEUE_PROXY, Identity, free_port
from kpa.local.processes.process import LineListener
from kpa.local.processes.replica_run import Attempt
from kpa.runtime.backoff import backoff

log = logging.getLogger(__name__)

BACK_OFF_CAP = 60.0
"""Seconds between two restarts at most."""

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Of random suffixes: Kubernetes' choice, no vowels and nothing that looks like another letter."""


class ReplicaState(StrEnum):
    """What a replica is doing."""

    STARTING = "starting"
    READY = "ready"
    CRASHED = "crash-looping"
    TERMINATING = "terminating"


def back_off(crashes: int) -> float:
    """Seconds until the next start after a number of crashes in a row: 0, 1, 2, 4, ... at most 60.

    The kubelet's rule (at once, then doubling to a cap, forgotten after a good run) with shorter times: 1 s
    for 10 s, 60 s for 5 minutes.
    """
    if crashes <= 1:
        return 0.0
    return backoff(crashes - 2, first=1.0, factor=2.0, longest=BACK_OFF_CAP, jitter=0.0)


def pod_name(revision: str) -> str:
    """Make a name for a pod of a revision, such as `hello-00001-x2k7c`."""
    return f"{revision}-{''.join(random.choices(LETTERS, k=5))}"


class Replica:
    """A queue-proxy and its process, started again when either ends, until it is stopped.

    It starts at once. Nothing it does waits for another replica.

    Parameters
    ----------
    template : Template
    identity : Identity
    on_change : callable
        Called after each change of what the properties say, and when it is gone.
    output : LineListener
        Gets the lines of both processes.
    """

    def __init__(
        self,
        template: Template,
        identity: Identity,
        on_change: Callable[[], None],
        output: LineListener,
        queue_proxy: Sequence[str] = QUEUE_PROXY,
    ) -> None:
        self._template = template
        self._identity = identity
        self._on_change = on_change
        self._output = output
        self._queue_proxy = queue_proxy
        self._attempt: Attempt | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._retiring: set[asyncio.Task[None]] = set()
        self.crashes = 0
        self.started_at = time.time()
        self._task = asyncio.create_task(self._run(), name=identity.pod)

    @property
    def name(self) -> str:
        """Name of the pod."""
        return self._identity.pod

    @property
    def state(self) -> ReplicaState:
        """What it is doing now."""
        if self._stopping.is_set():
            return ReplicaState.TERMINATING
        if self._attempt is None:
            return ReplicaState.CRASHED if self.crashes else ReplicaState.STARTING
        return ReplicaState.READY if self._attempt.ready else ReplicaState.STARTING

    @property
    def ready(self) -> bool:
        """It takes requests."""
        return self.state is ReplicaState.READY

    @property
    def gone(self) -> bool:
        """It was stopped and nothing is left of it."""
        return self._task.done()

    @property
    def pod(self) -> Pod:
        """How the autoscaler sees it; ports are 0 before the queue-proxy listens."""
        ports = self._attempt.ports if self._attempt else None
        return Pod(
            name=self.name,
            host=HOST,
            metrics_port=ports.metrics if ports else 0,
            serving_port=ports.serving if ports else 0,
            ready=self.ready,
            started_at=self.started_at,
            terminating=self._stopping.is_set(),
        )

    def stop(self) -> None:
        """Begin to terminate: out of the routes at once, requests in flight finish, then the process ends."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._on_change()

    def kill(self) -> None:
        """End at once, requests in flight or not."""
        self._hurry.set()
        self.stop()

    async def wait_gone(self) -> None:
        """Wait until nothing is left of it."""
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                await self._start_and_attend()
                if not self._stopping.is_set():
                    await _wait(self._stopping, back_off(self.crashes))
            if self._retiring:
                await asyncio.wait(self._retiring)
        finally:
            self._attempt = None
            asyncio.get_running_loop().call_soon(self._on_change)

    async def _start_and_attend(self) -> None:
        """One attempt, from start to end."""
        self.started_at = time.time()
        try:
            self._attempt = self._make_attempt()
            await self._attempt.start()
        except OSError as error:
            self._attempt = None
            self._crash(f"cannot be started: {error}", 0.0)
            return
        stopping = asyncio.create_task(self._stopping.wait())
        waiting: list[asyncio.Future[Any]] = [self._attempt.ended, stopping]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            await self._attempt.drain(self._hurry)
            return
        attempt, self._attempt = self._attempt, None
        task = asyncio.create_task(attempt.retire(self._hurry))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        self._crash(attempt.ended.result(), time.time() - self.started_at)

    def _make_attempt(self) -> Attempt:
        return Attempt(
            self._template, self._identity, free_port(), self._on_change, self._output, self._queue_proxy
        )

    def _crash(self, reason: str, ran: float) -> None:
        """Count a crash and say so; a good run before it makes it the first."""
        self.crashes = 1 if ran > BACK_OFF_CAP else self.crashes + 1
        log.warning("%s: %s; restarting in %g s", self.name, reason, back_off(self.crashes))
        self._on_change()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
