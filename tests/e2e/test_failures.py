"""What breaks in one service, and that no other service notices.

One `kpa local` runs a service per failure and a steady one that is asked all the time. Everything fails at
the same time, and once; the tests look at what was recorded. The activator, through which all requests go, is
killed after the others.

Broken `/metrics` are made by a module that Python imports at the start of each process (`sitecustomize`): in
the queue-proxies of two services it replaces what they have to say.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kpa.controller.status import RevisionStatus
from tests.e2e.conftest import Launch
from tests.e2e.running import DEADLINE, NAMED, REPOSITORY, Answer, Client, Kpa, client, failures, service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BREAK_METRICS = """
import os
body = {"garbled": b"\\xff<html>" * 9, "endless": b"0" * 20_000_000}.get(os.environ.get("SERVING_SERVICE"))
if body is not None:
    import metrics.stat
    metrics.stat.Stat.encode = lambda self: body
"""
SETTINGS = {"stable-window": "6s", "scale-down-delay": "0s", "max-scale-down-rate": "10"}
TWO = {"min-scale": 2, "max-scale": 2}
PROBE = {"httpGet": {"path": "/"}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 2}
VICTIMS = ("process-killed", "proxy-killed", "process-hangs", "proxy-hangs")
CLIENTS = 4
"""Requests in flight at each victim, half of them at the replica that fails."""


@dataclass
class Case:
    """What happened to one service: the pod that failed and when, answers, statuses after the failure."""

    pod: str = ""
    failed_at: float = 0.0
    back_at: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    after: RevisionStatus | None = None

    def of_others(self, begin: float, end: float) -> list[Answer]:
        """Answers of other pods than the failed one in a time."""
        return [
            answer
            for answer in self.answers
            if begin <= answer.end < end and answer.status == 200 and answer.body != self.pod
        ]


class Stage:
    """A running kpa in which things break."""

    def __init__(self, kpa: Kpa, client: Client) -> None:
        self.kpa, self.client = kpa, client
        self.cases = {name: Case() for name in (*VICTIMS, "steady", "garbled", "endless")}
        self.over = asyncio.Event()

    async def ask(self, name: str, path: str, over: asyncio.Event) -> None:
        """Ask a service, one request after the other, until something is over."""
        while not over.is_set():
            self.cases[name].answers.append(await self.client.ask(name, path))
            await asyncio.sleep(0.05)

    async def status(self, name: str, ready: int, what: str) -> RevisionStatus:
        """Wait for so many ready pods."""
        return await asyncio.to_thread(
            self.kpa.wait_status,
            f"{name}-00001",
            lambda status: (status.ready, status.not_ready) == (ready, 0),
            what,
        )

    async def fail(self, name: str) -> None:
        """Let one of two replicas fail under load, and wait until both are there again."""
        case, over = self.cases[name], asyncio.Event()
        await self.status(name, 2, "two replicas at first")
        load = [asyncio.create_task(self.ask(name, "/?sleep=0.2", over)) for _ in range(CLIENTS)]
        await asyncio.sleep(2)
        case.pod = self.kpa.pods(name)[0]
        find = self.kpa.process_of if name.startswith("process") else self.kpa.queue_proxy_of
        pid = find(case.pod)
        case.failed_at = time.time()
        os.kill(pid, signal.SIGKILL if name.endswith("killed") else signal.SIGSTOP)
        if name == "process-hangs":
            await asyncio.to_thread(
                self.kpa.wait_status, f"{name}-00001", lambda status: status.ready == 1, "its absence is seen"
            )
            await asyncio.sleep(3)
            os.kill(pid, signal.SIGCONT)
        else:
            await asyncio.to_thread(
                self.kpa.wait,
                lambda: not Path(f"/proc/{pid}").exists(),
                f"{name}: the failed one is replaced",
            )
        case.after = await self.status(name, 2, "two replicas again")
        case.back_at = time.time()
        await asyncio.sleep(2)
        over.set()
        await asyncio.wait(load)

    async def confuse(self, name: str) -> None:
        """Load a service whose queue-proxies talk nonsense: only the activator tells what it has to do."""
        case, over = self.cases[name], asyncio.Event()
        load = [asyncio.create_task(self.ask(name, "/?sleep=0.5", over)) for _ in range(3 * CLIENTS)]
        case.after = await asyncio.to_thread(
            self.kpa.wait_status, f"{name}-00001", lambda status: status.ready == 3, "three replicas"
        )
        over.set()
        await asyncio.wait(load)


@pytest.fixture(scope="module")
def stage(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Everything has failed once and come back."""
    hook = tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(BREAK_METRICS)
    probed = {"process-hangs": PROBE}
    kpa = launch(
        *(service(name, TWO, command=NAMED, timeout=40, probe=probed.get(name)) for name in VICTIMS),
        *(service(name, {"target": 5, "max-scale": 3}, command=NAMED) for name in ("garbled", "endless")),
        service("steady", {"target": 5}, command=NAMED),
        settings=SETTINGS,
        environment={"PYTHONPATH": f"{hook}{os.pathsep}{REPOSITORY}"},
    )
    return asyncio.run(play(kpa))


async def play(kpa: Kpa) -> Stage:
    """Let everything fail."""
    async with client(kpa) as requests:
        stage = Stage(kpa, requests)
        over = asyncio.Event()
        steady = asyncio.create_task(stage.ask("steady", "/?sleep=0.1", over))
        async with asyncio.TaskGroup() as group:
            for name in VICTIMS:
                group.create_task(stage.fail(name))
            for name in ("garbled", "endless"):
                group.create_task(stage.confuse(name))
        stage.cases["steady"].after = kpa.revisions()["steady-00001"]
        over.set()
        await steady
        return stage


def test_a_steady_service_notices_nothing(stage: Stage) -> None:
    case = stage.cases["steady"]
    assert len(case.answers) > 60
    assert not failures(case.answers)
    assert max(answer.end - answer.start for answer in case.answers) < 10.0
    assert case.after is not None
    assert (case.after.mode, case.after.replicas, case.after.ready) == ("stable", 1, 1)


@pytest.mark.parametrize("name", VICTIMS)
def test_the_other_replica_goes_on_and_the_failed_one_comes_back(stage: Stage, name: str) -> None:
    case = stage.cases[name]
    broken = failures(case.answers)
    print(name, f"back after {case.back_at - case.failed_at:.2f} s, {len(case.answers)} answers,", broken)
    assert case.after is not None
    assert (case.after.replicas, case.after.ready) == (2, 2)
    for second in range(int(case.back_at - case.failed_at)):
        begin = case.failed_at + second
        assert case.of_others(begin, begin + 6), f"nobody answered for 6 s from {second} s on"
    assert len(broken) <= 2 * CLIENTS
    assert all(answer.start < case.failed_at + DEADLINE for answer in broken)
    assert not failures(answer for answer in case.answers if answer.start > case.back_at)


def test_a_process_that_hangs_for_a_while_loses_no_request(stage: Stage) -> None:
    case = stage.cases["process-hangs"]
    assert not failures(case.answers)
    assert max(answer.end - answer.start for answer in case.answers) > 3.0


@pytest.mark.parametrize("name", ["garbled", "endless"])
def test_nonsense_instead_of_metrics_stops_neither_requests_nor_decisions(stage: Stage, name: str) -> None:
    case = stage.cases[name]
    assert not failures(case.answers)
    assert case.after is not None
    assert case.after.recommended >= 3


def test_decisions_go_on_and_memory_stays(stage: Stage) -> None:
    assert stage.kpa.look("/healthz") == (200, "ok\n")
    kpa = stage.kpa
    for pid in (kpa.service_process, kpa.activator):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 200e6


def test_a_killed_activator_is_replaced_and_nothing_else_is_touched(stage: Stage) -> None:
    kpa = stage.kpa
    before = replicas(kpa)
    pods = {name: kpa.pods(name) for name in VICTIMS}
    killed = kpa.activator
    os.kill(killed, signal.SIGKILL)
    kpa.wait(lambda: answers(kpa, "steady"), "requests are answered again")
    kpa.wait(lambda: kpa.look("/readyz")[0] == 200, "load is reported again")
    assert kpa.activator != killed
    assert "activator exited with code" in kpa.log
    assert replicas(kpa) == before
    assert {name: kpa.pods(name) for name in VICTIMS} == pods


def replicas(kpa: Kpa) -> Mapping[str, tuple[int, int]]:
    """Replicas asked for and ready of all revisions."""
    return {name: (status.replicas, status.ready) for name, status in kpa.revisions().items()}


def answers(kpa: Kpa, name: str) -> bool:
    """A service answers."""
    try:
        return kpa.get(name)[0] == 200
    except OSError:
        return False
