"""A fleet under steady load: our autoscaler beside Knative's own, on one API server, in one run.

A real etcd and kube-apiserver hold the revisions; their pods answer at addresses of this machine as
queue-proxies do. Measured are the take-up of new revisions, memory and CPU time at rest, the time from a
restart until every pod was asked again, and the time from an activator's first frame for a revision at zero
until the API server shows its new replica count, at rest and during the take-up. Both autoscalers have the
same fleet one after the other. Needs Linux, and Go to build the programs (or what tests/kube takes instead).

    python bench/bench_fleet.py --revisions 200,1000 --pods 3
    python bench/bench_fleet.py --quick
"""

import argparse
import asyncio
import contextlib
import io
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet_cluster import Standing, standing_fleet
from fleet_floor import floor
from fleet_probe import fleet_probe
from fleet_report import plot, table
from fleet_stages import Figures, Stages

from tests.kube.api import Api, path
from tests.kube.control_plane import ADMIN_TOKEN
from tests.kube.installation import SYSTEM
from tests.kube.peer_autoscaler import KpaAutoscaler, Running, start_knative
from tests.kube.serving import autoscaling
from tests.kube.stub_pods import stub_pods

QUICK = 20  # revisions
LARGEST = 1000
"""Revisions that each autoscaler takes up; of larger fleets Knative's, which took 500 s for these, is given
what ours has taken up."""


@dataclass
class Options:
    """What is measured."""

    pods: int
    zero: int
    rest: float
    peers: tuple[str, ...]


async def measure(folder: Path, revisions: int, options: Options) -> AsyncIterator[Figures]:
    """Measure one autoscaler after the other on one fleet."""
    async with standing_fleet(folder, revisions, options.zero, options.pods) as fleet:
        alone = await floor(fleet.control_plane, fleet.cluster.fleet) if revisions <= LARGEST else 0.0
        for peer in options.peers:
            if peer != "kpa":
                await allow_all(fleet.api)
            yield await _measure_one(fleet, peer, options, alone)


async def measure_all(sizes: Sequence[int], options: Options, output: Path) -> list[Figures]:
    """Measure fleets of all sizes; what is known is printed and written as soon as it is."""
    figures: list[Figures] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            async for each in measure(Path(folder), size, options):
                figures.append(each)
                (output / "fleet.json").write_text(json.dumps([one.to_json() for one in figures], indent=1))
                print(table([one for one in figures if one.revisions == size]), flush=True)
    return figures


async def allow_all(api: Api) -> None:
    """Give the autoscaler's ServiceAccount all rights: Knative's own looks at more than ours."""
    name = "bench-all"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    account = {"kind": "ServiceAccount", "name": "controller", "namespace": SYSTEM}
    await api.post(
        path("clusterrolebindings"), {"metadata": {"name": name}, "roleRef": role, "subjects": [account]}
    )


async def _measure_one(fleet: Standing, peer: str, options: Options, alone: float) -> Figures:
    figures = Figures(peer, len(fleet.cluster.fleet), options.pods, alone=alone)
    access = (fleet.control_plane.url, ADMIN_TOKEN, fleet.control_plane.ca_file)
    with fleet_probe(*access) as probe:
        async with starter(fleet.kubeconfig, peer) as start:
            stages = Stages(fleet.control_plane, fleet.cluster, fleet.pods, probe, start, options.rest)
            if figures.revisions > LARGEST and peer != options.peers[0]:
                return await stages.measure_taken_up(figures)
            return await stages.measure(figures)


@contextlib.asynccontextmanager
async def starter(kubeconfig: Path, peer: str) -> AsyncIterator[Callable[[], Awaitable[Running]]]:
    """Give what starts an autoscaler."""
    folder = kubeconfig.parent
    with stub_pods() as addresses, contextlib.redirect_stdout(io.StringIO()):  # their logs
        async with autoscaling(kubeconfig, folder, addresses) as ours:
            log, host = folder / "knative.log", addresses.free_ip()
            if peer == "kpa":
                yield lambda: KpaAutoscaler(ours).start()
            else:
                yield lambda: start_knative(kubeconfig, log, host, ours.activator)


def main() -> None:
    """Measure, print the table, write JSON and, where matplotlib is installed, a plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--revisions", default="200,1000,3000", help="sizes of the fleet, with commas between"
    )
    parser.add_argument("--pods", type=int, default=3, help="of each revision")
    parser.add_argument(
        "--zero", type=int, default=60, help="revisions at zero that are asked for, half at rest"
    )
    parser.add_argument("--rest", type=float, default=20.0, help="seconds that each is watched at rest")
    parser.add_argument("--only", choices=["kpa", "knative"], help="measure one of both")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} revisions: shows that all works")
    parser.add_argument("--output", type=Path, default=Path(".cache/bench"), help="folder for JSON and plot")
    arguments = parser.parse_args()
    peers = (arguments.only,) if arguments.only else ("kpa", "knative")
    options = Options(arguments.pods, arguments.zero, arguments.rest, peers)
    sizes = [int(size) for size in arguments.revisions.split(",")]
    if arguments.quick:
        sizes, options = [QUICK], Options(arguments.pods, 8, 5.0, peers)
    arguments.output.mkdir(parents=True, exist_ok=True)
    figures = asyncio.run(measure_all(sizes, options, arguments.output))
    print(f"written: {arguments.output / 'fleet.json'}{plot(figures, arguments.output / 'fleet.svg')}")


if __name__ == "__main__":
    main()
