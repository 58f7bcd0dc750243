"""One fleet, looked after by one replica and then by several: what each costs; one is killed.

A real etcd and kube-apiserver hold the revisions; their pods answer at addresses of this machine. One replica
takes all of them up; others join and lead nothing at first, which shows what revisions of others cost; then
each has its share; then one is killed. CPU is that of each process. Needs Linux, and Go to build programs.

    python bench/bench_replicas.py --revisions 1000 --pods 3 --replicas 4
"""

import argparse
import asyncio
import contextlib
import io
import json
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fleet_cluster import FLEET, ZERO, Cluster, standing_fleet
from fleet_pods import FleetPods
from fleet_stages import rss

from tests.kube.api import Api, path
from tests.kube.installation import SYSTEM
from tests.kube.peer_autoscaler import cpu_seconds
from tests.kube.serving import Autoscaler, Serving, autoscaling
from tests.kube.stub_pods import stub_pods

ELECTION = {"lease-duration": "15s", "renew-deadline": "10s", "retry-period": "5s"}
LONGEST = 120.0  # seconds that anything may take


@dataclass
class Options:
    """What is measured."""

    revisions: int
    pods: int
    replicas: int
    buckets: int
    rest: float


class Replicas:
    """Replicas on one fleet, and what they cost."""

    def __init__(self, api: Api, autoscaler: Autoscaler, pods: FleetPods, options: Options) -> None:
        self._api, self._autoscaler, self._pods, self._options = api, autoscaler, pods, options
        self.running: list[Serving] = []

    async def start(self) -> None:
        """Start one more."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.running.append(await self._autoscaler.start())

    async def level(self, replicas: int, without: str = "") -> float:
        """Wait until so many lead about the same number of buckets; returns the seconds waited."""
        began, buckets = time.monotonic(), self._options.buckets
        while time.monotonic() - began < LONGEST:
            leases = await self._api.items(path("leases", SYSTEM))
            held = Counter(lease["spec"]["holderIdentity"] for lease in leases)
            level = max(held.values(), default=buckets) - min(held.values(), default=0) <= 1
            if len(held) == replicas and level and without not in held and len(leases) == buckets:
                break
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def cost(self, what: str, seconds: float) -> list[dict[str, float]]:
        """Watch all for a while; print and return what each costs."""
        spent = [cpu_seconds(serving.process.pid) for serving in self.running]
        scrapes, began = sum(self._pods.scrapes()), time.monotonic()
        await asyncio.sleep(seconds)
        seconds = time.monotonic() - began
        scrapes = sum(self._pods.scrapes()) - scrapes
        found = []
        print(f"{what}: {scrapes / seconds:.0f} scrapes a second")
        for serving, before in zip(self.running, spent, strict=True):
            pid = serving.process.pid
            cores, revisions = (cpu_seconds(pid) - before) / seconds, len(await serving.revisions())
            found.append({"revisions": revisions, "cores": round(cores, 4), "rss": round(rss(pid), 1)})
            print(f"  {revisions} revisions: {cores:.4f} cores, {rss(pid):.0f} MiB", flush=True)
        return found


async def measure(folder: Path, options: Options) -> dict[str, object]:
    """Go through all stages on a fleet of its own."""
    async with standing_fleet(folder, options.revisions, 0, options.pods) as fleet:
        await fleet.cluster.reset(FLEET, ZERO)
        election = {"data": {**ELECTION, "buckets": str(options.buckets)}}
        await fleet.api.patch(path("configmaps", SYSTEM, "config-leader-election"), election)
        with contextlib.ExitStack() as stack:
            stubs = stack.enter_context(stub_pods())
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            async with autoscaling(fleet.kubeconfig, folder, stubs) as autoscaler:
                try:
                    replicas = Replicas(fleet.api, autoscaler, fleet.pods, options)
                    return await _stages(replicas, fleet.cluster, options)
                finally:
                    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # their logs


async def _stages(replicas: Replicas, cluster: Cluster, options: Options) -> dict[str, object]:
    await replicas.start()
    await cluster.create(FLEET)
    seconds = await cluster.until(lambda: cluster.taken_up == options.revisions, LONGEST)
    print(f"{cluster.taken_up} of {options.revisions} taken up in {seconds:.0f} s", flush=True)
    await asyncio.sleep(5.0)
    alone = await replicas.cost("alone", options.rest)
    for _ in range(options.replicas - 1):
        await replicas.start()
    others = await replicas.cost("others lead nothing yet", 8.0)
    level = await replicas.level(options.replicas)
    print(f"level {level:.0f} s later", flush=True)
    await asyncio.sleep(5.0)
    shared = await replicas.cost("shared", options.rest)
    killed = replicas.running.pop(1)
    await killed.stop(signal.SIGKILL)
    taken = await replicas.level(options.replicas - 1, killed.identity)
    print(f"one was killed: its buckets were taken over within {taken:.1f} s", flush=True)
    await asyncio.sleep(5.0)
    after = await replicas.cost("after that", options.rest / 2)
    return {
        "alone": alone,
        "others": others,
        "level_seconds": level,
        "shared": shared,
        "taken_seconds": taken,
        "after": after,
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--revisions", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=3, help="of each revision")
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--buckets", type=int, default=16)
    parser.add_argument("--rest", type=float, default=20.0, help="seconds that each is watched at rest")
    parser.add_argument("--output", type=Path, default=Path(".cache/bench"), help="folder for JSON")
    arguments = vars(parser.parse_args())
    output = arguments.pop("output")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), Options(**arguments)))
    output.mkdir(parents=True, exist_ok=True)
    (output / "replicas.json").write_text(json.dumps(arguments | found, indent=1))


if __name__ == "__main__":
    main()
