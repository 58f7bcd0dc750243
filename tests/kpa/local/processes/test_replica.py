"""One replica from start to end.

Covered: readiness, crashes of either process, back-off, exec probes, graceful and hurried ends, hanging
processes, commands that cannot start, garbage events. Left out: the real queue-proxy (test_whole_replica).
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kpa.local.manifests.spec import Probe
from kpa.local.processes.environment import Identity
from kpa.local.processes.liveness import until_silent
from kpa.local.processes.replica import Replica, ReplicaState, back_off, pod_name
from tests.kpa.local.helpers import SERVER_ARGV, STUB, Hold, get, marked, service, until

pytestmark = pytest.mark.process

Start = Callable[..., Replica]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts replicas, and ends them at once after the test."""
    replicas: list[Replica] = []

    def begin(
        argv: tuple[str, ...] = SERVER_ARGV,
        queue_proxy: tuple[str, ...] = STUB,
        grace: float = 30.0,
        probe: Probe | None = None,
        lines: list[str] | None = None,
        states: list[ReplicaState] | None = None,
    ) -> Replica:
        def changed() -> None:
            if states is not None and replicas:
                states.append(replicas[-1].state)

        identity = Identity("default", "hello", "hello", "hello-00001", pod_name("hello-00001"))
        output = (lines if lines is not None else []).append
        template = service(argv=argv, grace=grace, probe=probe).template
        replicas.append(Replica(template, identity, changed, output, queue_proxy))
        return replicas[-1]

    yield begin
    for replica in replicas:
        replica.kill()
        await replica.wait_gone()


def address(replica: Replica) -> str:
    return f"127.0.0.1:{replica.pod.serving_port}"


async def ask(replica: Replica, path: str = "/") -> tuple[int, str]:
    return await asyncio.to_thread(get, address(replica), path)


def processes(replica: Replica, words: str) -> list[int]:
    """Its processes with a text in the command line."""
    return [
        pid
        for pid in marked(replica.name)
        if words.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    ]


async def test_a_replica_starts_serves_and_ends(start: Start) -> None:
    states: list[ReplicaState] = []
    replica = start(states=states)
    assert replica.state is ReplicaState.STARTING
    assert not replica.pod.ready
    await until(lambda: replica.ready, "ready")
    assert await ask(replica) == (200, replica.name)
    assert replica.pod.metrics_port > 0
    replica.stop()
    assert replica.state is ReplicaState.TERMINATING
    assert replica.pod.terminating
    assert not replica.pod.ready
    await replica.wait_gone()
    assert replica.gone
    assert list(dict.fromkeys(states)) == [
        ReplicaState.STARTING,
        ReplicaState.READY,
        ReplicaState.TERMINATING,
    ]


async def test_requests_in_flight_finish_before_the_end(start: Start, tmp_path: Path) -> None:
    replica, hold = start(), Hold(tmp_path)
    await until(lambda: replica.ready, "ready")
    request = asyncio.create_task(ask(replica, hold.path))
    await until(lambda: hold.arrived, "a request in flight")
    replica.stop()
    await asyncio.sleep(0.2)
    hold.let_go()
    assert await request == (200, replica.name)
    await replica.wait_gone()


async def test_a_process_that_crashes_is_unready_at_once_and_started_again(start: Start) -> None:
    replica = start()
    await until(lambda: replica.ready, "ready")
    began, ports = replica.started_at, replica.pod.serving_port
    with pytest.raises(OSError):  # noqa: PT011 - the connection breaks in one of several ways
        await ask(replica, "/exit")
    await until(lambda: replica.crashes == 1, "the crash is seen")
    await until(lambda: replica.ready, "ready again")
    assert replica.started_at > began
    assert replica.pod.serving_port != ports
    assert await ask(replica) == (200, replica.name)


async def test_a_queue_proxy_that_dies_is_replaced_with_its_process(start: Start) -> None:
    replica = start()
    await until(lambda: replica.ready, "ready")
    (proxy,) = processes(replica, "stub_queue_proxy")
    os.kill(proxy, signal.SIGKILL)
    await until(lambda: not replica.ready, "unready")
    await until(lambda: replica.ready, "ready again")
    assert await ask(replica) == (200, replica.name)
    assert replica.crashes == 1


async def test_a_queue_proxy_that_hangs_is_replaced(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = asyncio.Event()

    async def impatient(host: str, port: int) -> None:
        if replica.crashes:
            await asyncio.Event().wait()  # a healthy one may be slow
        await stopped.wait()
        await until_silent(host, port, interval=0.1, seconds=0.5)

    monkeypatch.setattr("kpa.local.processes.replica_run.until_silent", impatient)
    replica = start()
    await until(lambda: replica.ready, "ready")
    (proxy,) = processes(replica, "stub_queue_proxy")
    os.kill(proxy, signal.SIGSTOP)
    stopped.set()
    await until(lambda: replica.crashes == 1, "it is given up")
    await until(lambda: replica.ready, "ready again")
    assert await ask(replica) == (200, replica.name)


async def test_a_process_that_keeps_crashing_is_started_ever_more_rarely(start: Start) -> None:
    states: list[ReplicaState] = []
    lines: list[str] = []
    replica = start(("sh", "-c", "echo try; exit 1"), states=states, lines=lines)
    await until(lambda: replica.crashes == 3, "three crashes")
    assert lines.count("try") == 3
    assert replica.state is ReplicaState.CRASHED
    assert ReplicaState.READY not in states
    replica.stop()
    await replica.wait_gone()


def test_the_back_off_is_at_once_then_doubles_to_a_minute() -> None:
    assert [back_off(crashes) for crashes in range(1, 10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("what", ["process", "queue-proxy"])
async def test_a_command_that_does_not_exist_is_a_crash_and_leaves_nothing(
    start: Start, what: str, mark: str
) -> None:
    missing = ("/does/not/exist",)
    replica = start(missing) if what == "process" else start(queue_proxy=missing)
    await until(lambda: replica.crashes == 2, "two failed starts")
    await until(lambda: not marked(mark), "the other one was ended")


async def test_an_exec_probe_decides_with_the_queue_proxy(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "ready"
    replica = start(probe=Probe(command=("test", "-f", str(file)), period=1, timeout=5, failure_threshold=1))
    await until(lambda: replica.pod.serving_port, "the queue-proxy listens")
    assert replica.state is ReplicaState.STARTING
    file.touch()
    await until(lambda: replica.ready, "ready")
    file.unlink()
    await until(lambda: not replica.ready, "unready")


@pytest.mark.parametrize("hanging", ["the process", "the queue-proxy"])
async def test_a_replica_that_hangs_ends_at_once_when_told_to_hurry(start: Start, hanging: str) -> None:
    replica = start()
    await until(lambda: replica.ready, "ready")
    words = "stub_queue_proxy" if hanging == "the queue-proxy" else "serve_forever"
    (pid,) = processes(replica, words)
    os.kill(pid, signal.SIGSTOP)
    replica.kill()
    await asyncio.wait_for(replica.wait_gone(), 20)


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(start: Start) -> None:
    replica = start(("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"), grace=0.3)
    await until(lambda: replica.pod.serving_port, "the queue-proxy listens")
    replica.stop()
    await asyncio.wait_for(replica.wait_gone(), 20)


async def test_a_hanging_replica_does_not_hold_up_another(start: Start) -> None:
    one, other = start(), start()
    await until(lambda: one.ready and other.ready, "both ready")
    for pid in marked(one.name):
        os.kill(pid, signal.SIGSTOP)
    one.stop()
    other.stop()
    await asyncio.wait_for(other.wait_gone(), 20)
    assert not one.gone


async def test_a_replica_stopped_while_it_starts_ends(start: Start) -> None:
    replica = start()
    replica.stop()
    await asyncio.wait_for(replica.wait_gone(), 20)


async def test_events_that_cannot_be_read_change_nothing(start: Start) -> None:
    script = """
import os
for line in (b'nonsense', b'[]', b'{"event": "listening"}', b'{"event": "new"}'):
    os.write(int(os.environ["QUEUE_EVENTS_FD"]), line + b"\\n")
"""
    proxy = (*STUB[:-1], "-c", f"{script}\nexec(open({STUB[-1]!r}).read())")
    replica = start(queue_proxy=proxy)
    await until(lambda: replica.ready, "ready")
    assert replica.crashes == 0


def test_pod_names_start_with_the_revision_and_differ() -> None:
    names = {pod_name("hello-00001") for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("hello-00001-") and len(name) == len("hello-00001-") + 5 for name in names)
