"""What one replica knew, another goes on from: on a real API server, with real processes that are killed.

Weakness: amnesia. Knative's autoscaler begins with empty windows and no panic after each restart, upgrade and
failover; in these tests it would read the load of the first seconds alone, end a panic, or begin another.
"""

import asyncio
import contextlib
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from metrics.stat_server import StatServer
from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.installation import SYSTEM
from tests.kube.knative_double import Knative
from tests.kube.revision_double import RevisionDouble
from tests.kube.serving import Autoscaler, Serving

pytestmark = pytest.mark.kube

WINDOW, PANIC_WINDOW = 40, 20
LONG = {
    "stable-window": f"{WINDOW}s",
    "panic-window-percentage": f"{100 * PANIC_WINDOW // WINDOW}",
    "scale-down-delay": "0s",
    "container-concurrency-target-percentage": "100",
}
SHORT_LEASES = {"lease-duration": "4s", "renew-deadline": "3s", "retry-period": "1s"}
BUCKET = "autoscaler-bucket-00-of-01"
KNATIVE = "autoscaler-7c9d-abcde_192.0.2.77"


class Played:
    """A revision, and what was in flight in each of its seconds."""

    def __init__(self, revision: RevisionDouble) -> None:
        self.revision = revision
        self._loads: list[tuple[float, float]] = []

    def load(self, concurrency: float) -> None:
        self._loads.append((time.time(), concurrency))
        self.revision.load(concurrency)

    def mean(self, until: float) -> float:
        """What a stable window holds that nothing was lost of."""
        ends = [began for began, _ in self._loads[1:]] + [until]
        since = max(until - WINDOW, self._loads[0][0])
        parts = [
            load * max(0.0, end - max(began, since))
            for (began, load), end in zip(self._loads, ends, strict=True)
        ]
        return sum(parts) / (until - since)


async def falling(
    knative: Knative, leader: Serving, name: str = "hello-00001", seconds: float = 16.0
) -> Played:
    """Play a load of 48 for some seconds, then of 8: for a stable window it shows who remembers."""
    annotations = {"min-scale": "6"}  # whatever the windows say
    played = Played(await knative.create(name, replicas=6, container_concurrency=10, annotations=annotations))
    played.load(48.0)
    await knative.until(lambda: played.revision.condition("Ready") == ("True", ""), "ready")
    await leader.decided(name, 6)
    await asyncio.sleep(seconds)
    played.load(8.0)
    await asyncio.sleep(seconds)  # the last snapshot or file is of this load, however old it is
    return played


async def known(serving: Serving, name: str = "hello-00001") -> dict[str, object]:
    """Wait until a replica has decided on a revision; return what it says of it at once."""
    async with asyncio.timeout(60):
        while not (said := await serving.revision(name)) or said["stable"] is None:
            await asyncio.sleep(0.02)
    return said


async def remembers(serving: Serving, played: Played) -> None:
    """Assert that a replica which has just taken over knows the whole stable window."""
    said, now = await known(serving), time.time()
    expected, forgotten = played.mean(now), 8.0
    print(f"stable {said['stable']}, of an unbroken window {expected:.1f}; panic {said['panic']}")
    assert said["stable"] == pytest.approx(expected, rel=0.2)
    assert expected > 1.5 * forgotten, "the test is about something"
    await asyncio.sleep(3.0)
    said = await serving.revision("hello-00001")
    assert said["stable"] == pytest.approx(played.mean(time.time()), rel=0.2)


async def test_a_killed_leader_under_steady_load_changes_nothing_and_its_windows_live_on(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", LONG)
    await knative.configure("config-leader-election", SHORT_LEASES)
    leader = await autoscaler.start()
    await leader.logs("we lead")
    follower = await autoscaler.start()
    bursts = {"direct": "0", "proxied": "-1", "default": "211"}
    steady = [
        Played(
            await knative.create(
                f"{name}-{count:05d}",
                replicas=count,
                container_concurrency=10,
                annotations={"target-burst-capacity": burst},
            )
        )
        for name, burst in bursts.items()
        for count in (1, 4)
    ]
    for played in steady:
        played.load(9.5 * int(played.revision.name[-5:]))

    async def report() -> None:
        """Activators report to whoever is there."""
        while True:
            serving = leader if leader.process.returncode is None else follower
            for played in steady:
                if played.revision.name.startswith("proxied"):
                    with contextlib.suppress(OSError):
                        await serving.report(
                            knative.namespace, played.revision.name, 9.5 * int(played.revision.name[-5:])
                        )
            await asyncio.sleep(1.0)

    reporter = asyncio.create_task(report())
    try:
        for played in steady:
            await knative.until(lambda r=played.revision: r.condition("Ready") == ("True", ""), "ready")  # type: ignore[misc]
        falls = await falling(knative, leader)
        asked = {each.name: list(each.replicas_seen) for each in knative.revisions.values()}
        modes = {each.name: list(each.modes_seen) for each in knative.revisions.values()}
        await leader.stop(signal.SIGKILL)
        before = len(requests())
        await follower.logs("we lead")
        await remembers(follower, falls)
        for played in steady:
            said = await follower.revision(played.revision.name)
            # A report of an activator that comes a second late is missing from two.
            assert [said["stable"], said["panic"]] == pytest.approx([played.mean(time.time())] * 2, rel=0.2)
        await asyncio.sleep(4.0)  # two ticks
        assert not reporter.done()
    finally:
        reporter.cancel()
    assert {each.name: each.replicas_seen for each in knative.revisions.values()} == asked
    assert {each.name: each.modes_seen for each in knative.revisions.values()} == modes
    written = [each for each in requests()[before:] if each.writes and each.namespace == knative.namespace]
    assert written == []


async def test_a_panic_in_progress_stays_the_same_panic(knative: Knative, autoscaler: Autoscaler) -> None:
    """Knative's new leader is calm with one pod, and in a new panic with more."""
    await knative.configure("config-autoscaler", LONG)
    await knative.configure("config-leader-election", SHORT_LEASES)
    leader = await autoscaler.start()
    await leader.logs("we lead")
    follower = await autoscaler.start()
    played = Played(await knative.create("hello-00001", container_concurrency=10))
    played.load(5.0)
    await knative.until(lambda: played.revision.condition("Ready") == ("True", ""), "ready")
    await leader.decided("hello-00001", 1)
    assert not (await leader.revision("hello-00001"))["panicking"]
    played.load(60.0)
    await knative.until(lambda: played.revision.replicas >= 5, "panic")
    played.load(20.0)
    await asyncio.sleep(12.0)  # the panic window forgets, the panic lasts
    before = await leader.revision("hello-00001")
    assert before["panicking"]
    since = await panic_since(knative, leader)
    await leader.stop(signal.SIGKILL)
    await follower.logs("we lead")
    assert (await known(follower))["panicking"]
    await asyncio.sleep(2.5)  # a tick
    assert await panic_since(knative, follower) == since
    assert played.revision.replicas == before["replicas"]


async def panic_since(knative: Knative, serving: Serving) -> str:
    """Return the time of day of the last crossing of the threshold."""
    said = await serving.explanation(knative.namespace, "hello-00001")
    found = re.search(r"in panic, last .* at (\S+) UTC", json.dumps(said))
    assert found, said
    return found[1]


async def test_a_leader_that_ends_tells_its_successor_what_it_knows(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", LONG)
    leader = await autoscaler.start()  # leases last a minute
    await leader.logs("we lead")
    played = await falling(knative, leader)
    follower = await autoscaler.start()
    began = time.monotonic()
    ending = asyncio.create_task(leader.stop())
    await known(follower)
    print(f"taken over after {time.monotonic() - began:.2f} s")
    await remembers(follower, played)
    assert await ending < 9.0, "it would wait 10 s for somebody who does not come"
    assert "all buckets handed over" in leader.log.read_text()
    assert [count for _, count in played.revision.replicas_seen] == [6]


async def test_a_pod_that_is_deleted_waits_for_the_one_that_replaces_it(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    """A single replica: its successor starts when it is about to end, and finds it by the Lease."""
    await knative.configure("config-autoscaler", LONG)
    leader = await autoscaler.start()
    await leader.logs("we lead")
    played = await falling(knative, leader)
    ending = asyncio.create_task(leader.stop())
    await leader.logs("we no longer lead")
    lease = await knative.api.get(path("leases", SYSTEM, BUCKET))
    assert lease["metadata"]["annotations"]["kpa.dev/handover"] == "autoscaler-5d4f-00001_192.0.2.1"
    successor = await autoscaler.start()
    await remembers(successor, played)
    await ending
    lease = await knative.api.get(path("leases", SYSTEM, BUCKET))
    assert "kpa.dev/handover" not in lease["metadata"].get("annotations", {})
    assert [count for _, count in played.revision.replicas_seen] == [6]


async def test_a_container_that_is_killed_starts_again_with_what_it_wrote_down(
    knative: Knative, autoscaler: Autoscaler, tmp_path: Path
) -> None:
    """A single replica, in the same pod: the file is as old as 10 s."""
    await knative.configure("config-autoscaler", LONG)
    pod = {"POD_NAME": "autoscaler-5d4f-00001", "POD_IP": "192.0.2.1", "KPA_STATE_DIR": str(tmp_path)}
    serving = await autoscaler.start(environment=pod)
    await serving.logs("we lead")
    played = await falling(knative, serving)
    written = await asyncio.to_thread((tmp_path / "snapshot").stat)
    assert time.time() - written.st_mtime < 20.0
    await serving.stop(signal.SIGKILL)
    again = await autoscaler.start(environment=pod)
    await again.logs("we lead")
    await remembers(again, played)
    assert [count for _, count in played.revision.replicas_seen] == [6]


async def test_a_damaged_file_is_no_reason_not_to_start(
    knative: Knative, autoscaler: Autoscaler, tmp_path: Path
) -> None:
    await asyncio.to_thread((tmp_path / "snapshot").write_bytes, b"kpa\x01\0\0\1\0 and then nothing")
    serving = await autoscaler.start(environment={"KPA_STATE_DIR": str(tmp_path)})
    await serving.logs("cannot use a snapshot: snapshot was cut off")
    revision = await knative.create("hello-00001", annotations={"min-scale": "2"})
    await knative.until(lambda: revision.replicas == 2, "it works")


async def test_a_replica_that_loses_its_lease_and_leads_again_remembers(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    """It has nobody to ask, and no file: as in Knative's own Deployment after an outage of the API server."""
    await knative.configure("config-autoscaler", LONG)
    await knative.configure("config-leader-election", SHORT_LEASES)
    leader = await autoscaler.start()
    played = await falling(knative, leader, seconds=8.0)
    taken = {"spec": {"holderIdentity": KNATIVE, "leaseDurationSeconds": 1}}
    await knative.api.patch(path("leases", SYSTEM, BUCKET), taken)
    while await leader.revision("hello-00001"):
        await asyncio.sleep(0.05)
    await remembers(leader, played)


@contextlib.asynccontextmanager
async def knative_replica(host: str) -> AsyncIterator[list[str]]:
    """A replica of Knative's: its stat server answers 400 to what is no websocket."""
    asked: list[str] = []
    server = StatServer(lambda messages: None, accepts=lambda host: asked.append(host) is None)
    await server.start(host, 8080)
    try:
        yield asked
    finally:
        await server.close()


async def test_beside_knatives_own_autoscaler_nothing_is_handed_over_and_nothing_breaks(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    """A rolling replacement: Knative's pod leads until it is deleted, and knows of no hand-over."""
    lease = {
        "metadata": {"name": BUCKET, "namespace": SYSTEM},
        "spec": {
            "holderIdentity": KNATIVE,
            "leaseDurationSeconds": 60,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2026-01-01T00:00:00.000000Z",
            "leaseTransitions": 0,
        },
    }
    await knative.configure("config-autoscaler", LONG)
    stored = await knative.api.post(path("leases", SYSTEM), lease)
    host = knative.stubs.free_ip()
    autoscaler.lead(KNATIVE.partition("_")[2], host)
    async with knative_replica(host) as asked:
        serving = await autoscaler.start()
        await serving.logs(f"replica {KNATIVE} has nothing to hand over: HTTP status 400")
        played = Played(await knative.create("hello-00001", replicas=3, container_concurrency=10))
        played.load(25.0)
        await asyncio.sleep(6.0)
        assert serving.log.read_text().count("nothing to hand over") == 1
        assert len(asked) <= 4, "the forwarder's connection, and few questions"
        stored["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        await knative.api.put(path("leases", SYSTEM, BUCKET), stored)
        await serving.logs("we lead")
    await serving.decided("hello-00001", 3)
    await knative.until(lambda: played.revision.condition("Ready") == ("True", ""), "ready")
    assert [count for _, count in played.revision.replicas_seen] == [3]
    lines = serving.log.read_text().splitlines()
    assert [line for line in lines if "WARNING" in line and "lease" not in line] == []
