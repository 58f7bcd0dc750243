"""Queue-proxies of a fleet in a process of their own, so that their cost is nobody's."""

import contextlib
import multiprocessing
import resource
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection as Pipe

from tests.kube.stub_pods import StubPods


def raise_file_limit(wanted: int) -> None:
    """Have as many files open as the fleet needs, where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        except (ValueError, OSError):  # only root may go beyond the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class FleetPods:
    """Pods that report a steady load.

    Attributes
    ----------
    ips : list of str
        One a pod.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.ips: list[str] = []

    def start(self, names: Sequence[str], concurrency: float) -> None:
        """Start pods that report so many requests in flight, each."""
        self._pipe.send((list(names), concurrency))
        self.ips = self._pipe.recv()

    def scrapes(self) -> list[int]:
        """Return how often each pod was asked so far."""
        self._pipe.send(None)
        counts: list[int] = self._pipe.recv()
        return counts


def _serve(pipe: Pipe) -> None:
    raise_file_limit(200_000)
    stubs, pods = StubPods(), []
    with contextlib.suppress(EOFError):
        while True:
            asked = pipe.recv()
            if asked is None:
                pipe.send([pod.scrapes for pod in pods])
                continue
            names, concurrency = asked
            pods = [stubs.add(name, concurrency) for name in names]
            pipe.send([pod.ip for pod in pods])


@contextlib.contextmanager
def fleet_pods() -> Iterator[FleetPods]:
    """Run the process for a while."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    try:
        yield FleetPods(ours)
    finally:
        child.kill()
        child.join()
