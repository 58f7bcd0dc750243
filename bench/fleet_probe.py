"""How long a first request waits until a pod is asked for: an activator's frame, and who sees its effect.

Both are in a process of their own, which does nothing else.
"""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import aiohttp

from metrics.stat import Stat, StatMessage, encode_messages
from tests.kube.api import Api, path

LONGEST = 5.0  # seconds that a probe waits
DECIDED = 3.0
"""Seconds, a tick and more, after which a revision that reported no load is known to need nothing: one that
nothing was ever heard of waits for the next tick of Knative's autoscaler."""


class FleetProbe:
    """Asks for revisions at zero, one after the other."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def react(self, reports: str, names: list[str], pause: float) -> list[float]:
        """Return seconds from the frame until the Deployment was seen to have replicas, at most `LONGEST`.

        Parameters
        ----------
        reports : str
            Where activators report, as HOST:PORT.
        names : list of str
            Revisions at zero.
        pause : float
            Seconds between two probes.
        """
        self._pipe.send((reports, names, pause))
        seconds: list[float] = await asyncio.to_thread(self._pipe.recv)
        return seconds


class _Prober:
    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._scaled: dict[str, asyncio.Event] = {}

    async def watch(self) -> None:
        """See which Deployments have replicas."""
        async for _, found in self._api.watch(path("deployments", self._namespace)):
            name = found["metadata"]["name"].removesuffix("-deployment")
            scaled = self._scaled.setdefault(name, asyncio.Event())
            if found["spec"]["replicas"]:
                scaled.set()
            else:
                scaled.clear()

    async def react(self, reports: str, names: list[str], pause: float) -> list[float]:
        """See FleetProbe."""
        seconds = []
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{reports}/") as socket:
            await socket.send_bytes(self._frame(names, 0.0))
            await asyncio.sleep(DECIDED)
            for name in names:
                seconds.append(await self._react(socket, name))
                await asyncio.sleep(pause)
        return seconds

    async def _react(self, socket: aiohttp.ClientWebSocketResponse, name: str) -> float:
        scaled = self._scaled.setdefault(name, asyncio.Event())
        assert not scaled.is_set(), f"{name} is not at zero"
        frame = self._frame([name], 1.0)
        began = time.perf_counter()
        await socket.send_bytes(frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await scaled.wait()
        return time.perf_counter() - began

    def _frame(self, names: list[str], load: float) -> bytes:
        stat = Stat("activator-1", load, request_count=load)
        return encode_messages([StatMessage(self._namespace, name, stat) for name in names])


async def _probe(pipe: Pipe, url: str, token: str, ca_file: Path, namespace: str) -> None:
    async with Api(url, token, ca_file) as api:
        prober = _Prober(api, namespace)
        watching = asyncio.create_task(prober.watch())
        with contextlib.suppress(EOFError):
            while True:
                pipe.send(await prober.react(*await asyncio.to_thread(pipe.recv)))
        watching.cancel()


def _serve(pipe: Pipe, url: str, token: str, ca_file: Path, namespace: str) -> None:
    asyncio.run(_probe(pipe, url, token, ca_file, namespace))


@contextlib.contextmanager
def fleet_probe(url: str, token: str, ca_file: Path, namespace: str = "zero") -> Iterator[FleetProbe]:
    """Run the process for a while; the namespace is that of the revisions at zero, and of no others."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(theirs, url, token, ca_file, namespace), daemon=True)
    child.start()
    theirs.close()
    try:
        yield FleetProbe(ours)
    finally:
        child.kill()
        child.join()
