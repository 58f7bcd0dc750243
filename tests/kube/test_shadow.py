"""`kpa serve --dry-run` beside Knative's own autoscaler: what it sees, would do, and that it writes nothing.

One run, with two shadows: one with the settings of the autoscaler in charge, one with a ConfigMap of its own.
Left out: what is counted and when (tests/kpa/kube/test_shadow), the rights (test_manifests).
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.go_programs import ROOT
from tests.kube import audit
from tests.kube.api import path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM, controller_token
from tests.kube.knative_double import Knative, playing
from tests.kube.peer_autoscaler import ActivatorReports, in_charge, start_knative
from tests.kube.plays import CLUSTER
from tests.kube.revision_double import RevisionDouble
from tests.kube.serving import Autoscaler, Serving, autoscaling
from tests.kube.stub_activator import activator
from tests.kube.stub_pods import StubPods
from tests.peer.programs import program

pytestmark = [pytest.mark.kube, pytest.mark.peer, pytest.mark.timeout(600)]

CALM = {"panic-threshold-percentage": "1000"}
OWN_SETTINGS = "config-autoscaler-shadow"
STEP = 3.5
"""Seconds by which the two may say the same at different times: a tick, a scrape, and the writing."""

Json = dict[str, Any]


@dataclass
class Look:
    """What a shadow said.

    Attributes
    ----------
    steady : dict
        How each revision compared after a while of even load.
    woken, end : dict
        How the one that was at zero compared when it was served, and when it was at zero again.
    telemetry : dict
        Series after a while of even load.
    table : str
        What `kpa status` showed then.
    log : str
    """

    steady: dict[str, Json] = field(default_factory=dict)
    woken: Json = field(default_factory=dict)
    end: Json = field(default_factory=dict)
    telemetry: dict[str, float] = field(default_factory=dict)
    table: str = ""
    log: str = ""


@dataclass
class Run:
    """What became of everything."""

    same: Look
    other: Look
    requests: Sequence[audit.Request]


@pytest.fixture(scope="module")
def run(control_plane: ControlPlane, stubs: StubPods, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Let two shadows look at Knative's autoscaler at work."""
    program("autoscaler")
    before = control_plane.audit_file.stat().st_size
    same, other = asyncio.run(look(control_plane, stubs, tmp_path_factory.mktemp("shadow")))
    return Run(same, other, audit.read_log(control_plane.audit_file, before))


async def look(control_plane: ControlPlane, stubs: StubPods, folder: Path) -> tuple[Look, Look]:
    """Play to Knative's autoscaler."""
    host, admin = stubs.free_ip(), control_plane.kubeconfig(folder / "admin")
    async with playing(control_plane, stubs) as knative, activator(stubs.free_ip()) as stub:
        await knative.configure("config-autoscaler", CLUSTER)
        own = {**CLUSTER, "defaults": "knative", "container-concurrency-target-percentage": "35"}
        await knative.configure(OWN_SETTINGS, own)
        token = await controller_token(knative.api, account="kpa-shadow")
        config = control_plane.kubeconfig(folder / "shadow", token)
        async with (
            in_charge(lambda: start_knative(admin, folder / "knative.log", host, stub)) as charge,
            autoscaling(config, folder, stubs) as shadows,
            asyncio.TaskGroup() as group,
        ):
            reports = ActivatorReports(knative.namespace)
            reporter = group.create_task(reports.run(lambda: charge.running))
            await begin(knative, reports)
            serving = [
                await shadows.start("--dry-run", environment=environment)
                for environment in ({}, {"CONFIG_AUTOSCALER_NAME": OWN_SETTINGS})
            ]
            looks = await watch(knative, reports, serving)
            reporter.cancel()
    return looks[0], looks[1]


async def begin(knative: Knative, reports: ActivatorReports) -> None:
    """Have revisions under an even load: from outside, from activators, and one at zero."""
    annotations = {
        "mixed": {"target-burst-capacity": "1000"},
        "proxied": {"target-burst-capacity": "-1"},
        "zero": {"initial-scale": "0"},
    }
    for name, each in annotations.items():
        await knative.create(
            name,
            replicas=0 if name == "zero" else 1,
            container_concurrency=10,
            annotations={**each, **CALM},
            start_seconds=0.5,
        )
    mixed, proxied, zero = knative.revisions.values()
    mixed.load(20.0, proxied=10.0)
    reports.hold("mixed", 10.0)
    proxied.load(20.0, proxied=20.0)
    reports.hold("proxied", 20.0)
    both = (mixed, proxied)
    await knative.until(lambda: [wanted(each) for each in both] == [3, 3], "three pods wanted", 60)
    await knative.until(lambda: [len(each.ready) for each in both] == [3, 3], "three pods ready", 60)
    await knative.until(lambda: zero.condition("Active") == ("False", "NoTraffic"), "inactive", 60)


async def watch(knative: Knative, reports: ActivatorReports, serving: list[Serving]) -> list[Look]:
    """Look for a while, wake a revision, and let it go back to zero."""
    looks = [Look() for _ in serving]
    zero = knative.revisions["zero"]
    for look, one in zip(looks, serving, strict=True):
        for name in ("mixed", "proxied"):
            look.steady[name] = await compared_for(one, name, 10.0)
        look.telemetry = await one.telemetry()
        look.table = await status(one)
    reports.hold("zero", 5.0)
    await knative.until(lambda: wanted(zero) == 1 and len(zero.ready) == 1, "woken", 60)
    zero.load(5.0, proxied=5.0)
    for look, one in zip(looks, serving, strict=True):
        look.woken = await compared_for(one, "zero", 10.0)
    zero.load(0.0)
    reports.hold("zero", 0.0)
    await knative.until(lambda: wanted(zero) == 0 and zero.replicas == 0, "zero again", 60)
    for look, one in zip(looks, serving, strict=True):
        look.end = await one.revision("zero")
        look.log = one.log.read_text()
    return looks


def wanted(revision: RevisionDouble) -> int:
    """What the autoscaler in charge says that it wants."""
    return int(((revision.pa or {}).get("status") or {}).get("desiredScale", -1))


async def compared_for(shadow: Serving, name: str, seconds: float) -> Json:
    """Wait until a revision was compared for so long, and return how it compares."""
    async with asyncio.timeout(60):
        while (found := (await shadow.revision(name))["comparison"])["compared"] < seconds:
            await asyncio.sleep(0.1)
    return dict(found)


async def status(shadow: Serving) -> str:
    """What an operator sees."""
    command = (sys.executable, "-m", "kpa", "status", "--url", f"http://{shadow.host}:9090")
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env=environment
    )
    output, _ = await process.communicate()
    return output.decode()


async def test_beside_another_kpa_it_is_no_replica_of_it(
    control_plane: ControlPlane, stubs: StubPods, knative: Knative, autoscaler: Autoscaler, tmp_path: Path
) -> None:
    await knative.configure("config-autoscaler", CLUSTER)
    token = await controller_token(knative.api, account="kpa-shadow")
    (tmp_path / "shadow").mkdir()
    config = control_plane.kubeconfig(tmp_path / "shadow" / "kubeconfig", token)
    await autoscaler.start()
    revision = await knative.create("steady", container_concurrency=10, annotations=CALM)
    revision.load(20.0, proxied=10.0)
    await knative.until(lambda: wanted(revision) == 2, "two pods wanted")
    async with autoscaling(config, tmp_path / "shadow", stubs) as shadows:
        shadow = await shadows.start("--dry-run")
        with pytest.raises(aiohttp.ClientConnectionError):
            await shadow.report(knative.namespace, "steady", 50.0)
        found = await compared_for(shadow, "steady", 3.0)
        await knative.create("late")  # at first without services, which somebody must make
        async with asyncio.timeout(60):
            while not await shadow.revision("late"):
                await asyncio.sleep(0.05)
    assert (found["ours"], found["theirs"]) == (3, 2), "the activator that sent 10 of 20 reports to nobody"
    holders = {lease["spec"]["holderIdentity"] for lease in await knative.api.items(path("leases", SYSTEM))}
    assert holders == {"autoscaler-5d4f-00001_192.0.2.1"}


def test_nothing_is_written(run: Run) -> None:
    assert {request.verb for request in run.requests} == {"list", "watch"}
    assert {request.status for request in run.requests} == {200}


@pytest.mark.parametrize("name", ["mixed", "proxied"])
def test_with_the_same_settings_both_want_the_same(run: Run, name: str) -> None:
    found = run.same.steady[name]
    assert (found["ours"], found["theirs"], found["since"], found["differed"]) == (3, 3, None, 0.0)
    assert found["our_pods"] == found["their_pods"]


@pytest.mark.parametrize("name", ["mixed", "proxied"])
def test_other_settings_differ_all_the_time(run: Run, name: str) -> None:
    found = run.other.steady[name]
    assert (found["ours"], found["theirs"]) == (6, 3)
    assert found["differed"] >= found["compared"] - STEP
    assert f"/{name} 3 -> 6" in run.other.log


@pytest.mark.parametrize(("shadow", "difference"), [("same", 0), ("other", 3)])
def test_telemetry_has_the_difference_of_each_revision(run: Run, shadow: str, difference: int) -> None:
    telemetry = getattr(run, shadow).telemetry
    found = {
        name: value
        for series, value in telemetry.items()
        for name in ("mixed", "proxied", "zero")
        if series.startswith("kpa_shadow_difference{") and f'kn_revision_name="{name}"' in series
    }
    assert found == {"mixed": difference, "proxied": difference, "zero": 0}


def test_status_shows_both_side_by_side(run: Run) -> None:
    assert "shadow with profile knative, 3 revisions" in run.other.table
    rows = [line.split() for line in run.other.table.splitlines() if "test-" in line]
    by_name = {row[0].split("/")[1]: row[1:4] for row in rows}
    assert by_name == {"mixed": ["6", "3", "+3"], "proxied": ["6", "3", "+3"], "zero": ["-", "-", "-"]}


def test_a_revision_that_the_other_wakes_is_followed_up_and_down(run: Run) -> None:
    woken, end = run.same.woken, run.same.end["comparison"]
    assert (woken["ours"], woken["theirs"]) == (1, 1)
    assert woken["differed"] <= STEP
    assert end["theirs"] == 0
    assert end["ours"] in (0, None), "its last pod may just have gone"
    assert end["differed"] - woken["differed"] <= STEP
