"""How `kpa local` begins wrongly and how it ends: requests in flight are answered, and nothing is left."""

import asyncio
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.running import NAMED, Answer, Kpa, client, failures, service, wait_gone
from tests.kpa.local.helpers import Hold, until

pytestmark = pytest.mark.e2e


async def in_flight(kpa: Kpa, hold: Hold, number: int) -> list[Answer]:
    """Ask for answers that are held, end kpa in the middle, return the answers."""
    async with client(kpa) as requests:
        asking = [asyncio.create_task(requests.ask("hello", hold.path)) for _ in range(3)]
        await until(lambda: hold.arrived == 3, "three requests in flight")
        kpa.process.send_signal(number)
        await asyncio.sleep(1)
        hold.let_go()
        return list(await asyncio.gather(*asking))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_requests_in_flight_are_answered_before_the_end(
    launch: Launch, number: signal.Signals, tmp_path: Path
) -> None:
    kpa = launch(service("hello", {"min-scale": 2}, command=NAMED))
    kpa.wait_replicas("hello-00001", 2)
    answers = asyncio.run(in_flight(kpa, Hold(tmp_path), number))
    assert not failures(answers)
    assert kpa.process.wait(60) == 0
    assert wait_gone(kpa.mark, 0) == []
    assert "Traceback" not in kpa.log


def test_a_request_that_waits_for_a_pod_is_answered_before_the_end(launch: Launch) -> None:
    kpa = launch(
        service("hello", {"initial-scale": 0}, env={"LOAD_SECONDS": 2}),
        settings={"allow-zero-initial-scale": "true"},
    )
    kpa.wait(lambda: kpa.look("/readyz")[0] == 200, "ready")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(kpa.get("hello")))
    asking.start()
    kpa.wait_status("hello-00001", lambda status: status.replicas == 1, "a pod is on its way")
    assert kpa.stop() == 0
    asking.join(60)
    assert answers == [(200, "done\n")]


def test_nobody_is_left_when_it_is_killed(launch: Launch) -> None:
    kpa = launch(service("hello", {"min-scale": 2}, command=NAMED))
    kpa.wait_replicas("hello-00001", 2)
    assert len(kpa.pids("K_SERVICE=hello")) == 2
    kpa.process.kill()
    kpa.process.wait()
    assert wait_gone(kpa.mark, 30) == []


def test_nobody_is_left_when_the_service_process_is_killed(launch: Launch) -> None:
    kpa = launch(service("hello", {"min-scale": 2}, command=NAMED))
    kpa.wait_replicas("hello-00001", 2)
    os.kill(kpa.service_process, signal.SIGKILL)
    assert kpa.process.wait(60) == 128 + signal.SIGKILL
    assert wait_gone(kpa.mark, 30) == []


def test_a_pod_that_ignores_sigterm_delays_the_end_only_so_far(launch: Launch) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + NAMED[-1]
    document = service("hello", command=(*NAMED[:-1], stubborn))
    document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2
    kpa = launch(document)
    kpa.wait_replicas("hello-00001", 1)
    started = time.monotonic()
    assert kpa.stop() == 0
    assert time.monotonic() - started < 29, "Kubernetes would give it 30 s if it did not ask for less"
    assert wait_gone(kpa.mark, 0) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"concurrency": -1}, "containerConcurrency: -1 is not allowed"),
        ({"annotations": {"window": "1s"}}, "autoscaling.knative.dev/window"),
    ],
    ids=["manifest", "annotation"],
)
def test_a_bad_manifest_at_the_start_is_exit_code_2(
    launch: Launch, change: dict[str, object], told: str
) -> None:
    kpa = launch(service("hello", **change), ready=False)  # type: ignore[arg-type]
    assert kpa.process.wait(60) == 2
    assert told in kpa.log
    assert wait_gone(kpa.mark, 5) == []


def test_a_bad_setting_at_the_start_is_exit_code_2(launch: Launch) -> None:
    kpa = launch(service("hello"), settings={"stable-window": "1s", "activator-capacity": "0"}, ready=False)
    assert kpa.process.wait(60) == 2
    assert "stable-window = '1s'" in kpa.log
    assert "activator-capacity = '0'" in kpa.log


@pytest.mark.parametrize("option", ["--port", "--telemetry-port"])
def test_a_port_that_is_taken_is_exit_code_2(launch: Launch, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        kpa = launch(service("hello"), arguments=[option, port], ready=False)
        assert kpa.process.wait(60) == 2
    assert port in kpa.log
    assert wait_gone(kpa.mark, 5) == []


def test_the_examples_run_as_they_are(launch: Launch, tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "examples"
    kpa = launch(
        service("own", command=NAMED),
        arguments=[
            "-f",
            str(examples / "knative-service.yaml"),
            "-f",
            str(examples / "inference-service.yaml"),
        ],
    )
    assert kpa.get("hello") == (200, "worked for 500 ms\n")
    assert kpa.get("sentiment") == (200, "worked for 1000 ms\n")
    assert kpa.get("own")[0] == 200
