"""The activator as a process: its events, its command lines, and an end that loses no request.

Left out: what it does with requests (test_activator_server).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from kpa.commands import activator as activator_command
from kpa.dataplane.activator import app as activator_app
from kpa.dataplane.activator.__main__ import main
from kpa.dataplane.activator.app import ActivatorOptions
from kpa.dataplane.routes import Route
from tests.kpa.dataplane.activator.fakes import DEADLINE, Autoscaler, Pod, RoutesSource, running, until


def route(*pods: Pod) -> Route:
    return Route("default", "hello-00001", ("hello.localhost",), 0, 60.0, tuple(pod.backend for pod in pods))


class Process:
    """`python -m kpa.dataplane.activator` and what it says on its events descriptor."""

    def __init__(self, autoscaler: Autoscaler, routes: RoutesSource, *arguments: str) -> None:
        self.arguments = ["--port", "0", "--routes", routes.url, "--autoscaler", autoscaler.url, *arguments]
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator["Process"]:
        reading, writing = os.pipe()
        command = [
            sys.executable,
            "-m",
            "kpa.dataplane.activator",
            *self.arguments,
            "--events-fd",
            str(writing),
        ]
        environment = {**os.environ, "POD_NAME": "activator-7"}
        self.process = await asyncio.create_subprocess_exec(*command, pass_fds=[writing], env=environment)
        os.close(writing)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(reading, "rb")
        loop.add_reader(pipe, lambda: self._read(pipe.readline()) or loop.remove_reader(pipe))
        try:
            yield self
        finally:
            loop.remove_reader(pipe)
            pipe.close()
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    def _read(self, line: bytes) -> bool:
        if line:
            self.events.put_nowait(json.loads(line))
        return bool(line)

    async def event(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.events.get(), DEADLINE)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), DEADLINE)


@pytest.fixture
async def autoscaler() -> AsyncIterator[Autoscaler]:
    autoscaler = Autoscaler()
    async with running(autoscaler):
        yield autoscaler


@pytest.fixture
async def routes() -> AsyncIterator[RoutesSource]:
    routes = RoutesSource()
    async with running(routes):
        await routes.publish(route())
        yield routes


async def get(port: int) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}/"
    async with (
        aiohttp.ClientSession() as client,
        client.get(url, headers={"Host": "hello.localhost"}) as response,
    ):
        return response.status, await response.text()


@pytest.mark.process
async def test_it_says_where_it_listens_and_when_the_autoscaler_hears_it(autoscaler, routes):
    async with Process(autoscaler, routes).started() as activator:
        listening = await activator.event()
        assert listening["event"] == "listening"
        assert await activator.event() == {"event": "connected"}
        request = asyncio.create_task(get(listening["port"]))
        await until(lambda: autoscaler.heard)
        assert autoscaler.heard[0][1].pod_name == "activator-7"
        pod = Pod("a")
        async with running(pod):
            await routes.publish(route(pod))
            assert await request == (200, "a")
        await autoscaler.stop()
        assert await activator.event() == {"event": "disconnected"}


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_requests_that_wait_at_the_end_still_get_their_answer(autoscaler, routes, number):
    async with Process(autoscaler, routes).started() as activator:
        port = (await activator.event())["port"]
        request = asyncio.create_task(get(port))
        await until(lambda: autoscaler.heard)
        activator.process.send_signal(number)
        await until(lambda: not listens(port))
        pod = Pod("a")
        async with running(pod):
            await routes.publish(route(pod))
            assert await request == (200, "a")
        assert await activator.ended() == 0


@pytest.mark.process
@pytest.mark.parametrize(
    ("grace", "signals"), [("0.1", 1), ("3600", 2)], ids=["the time is over", "asked twice"]
)
async def test_the_end_is_bounded(autoscaler, routes, grace: str, signals: int):
    async with Process(autoscaler, routes, "--grace", grace).started() as activator:
        port = (await activator.event())["port"]
        request = asyncio.create_task(get(port))
        await until(lambda: autoscaler.heard)
        for _ in range(signals):
            activator.process.terminate()
            await until(lambda: not listens(port))
        assert await activator.ended() == 0
        with pytest.raises(aiohttp.ClientError):
            await request


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_an_events_reader_that_goes_away_disturbs_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        activator_app._emitter(writing)({"event": "connected"})
    finally:
        os.close(writing)


@pytest.mark.process
def test_a_port_that_is_taken_ends_it_with_1_and_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        urls = ["--routes", "http://127.0.0.1:1/", "--autoscaler", "ws://127.0.0.1:1"]
        ended = subprocess.run(
            [sys.executable, "-m", "kpa.dataplane.activator", "--port", str(port), *urls],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.stderr


@pytest.mark.process
def test_it_starts_without_the_heavy_libraries():
    heavy = "{'typer', 'numpy', 'pydantic', 'rich'}"
    check = f"import kpa.dataplane.activator.__main__, sys; print(*({heavy} & {{*sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("\n", "")


GOOD = {"--routes": "http://127.0.0.1:1/api/routes", "--autoscaler": "ws://127.0.0.1:2"}
BAD = [
    ({"--routes": "127.0.0.1:1"}, "routes is '127.0.0.1:1': it must be a URL that starts with http://"),
    ({"--autoscaler": "http://a"}, "autoscaler is 'http://a': it must be a URL that starts with ws://"),
    ({"--port": "65536"}, "port is 65536: it must be 0..65535"),
    ({"--grace": "-1"}, "grace is -1.0: it must be at least 0 seconds"),
    ({"--grace": "nan"}, "grace is nan: it must be at least 0 seconds"),
    ({"--log-format": "xml"}, "log format is 'xml': it must be one of text, json"),
]


def command_line(change: dict[str, str]) -> list[str]:
    return [text for pair in {**GOOD, **change}.items() for text in pair]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_options_are_refused_by_name_value_and_rule(change: dict[str, str], message: str, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(command_line(change))
    assert message in capsys.readouterr().err


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(activator_command.command)
    return app


@pytest.mark.parametrize(("change", "message"), BAD)
def test_the_command_refuses_them_as_well(command, change: dict[str, str], message: str):
    result = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(command, command_line(change))
    assert result.exit_code == 2
    assert message in result.output


def test_the_command_runs_it_with_its_options(command, monkeypatch):
    given: list[ActivatorOptions] = []
    monkeypatch.setattr(activator_app, "run", lambda options: given.append(options) or 1)
    line = command_line({"--port": "0", "--pod-name": "activator-3", "--grace": "5", "--log-format": "json"})
    assert CliRunner().invoke(command, line).exit_code == 1
    assert given == [
        ActivatorOptions(
            "127.0.0.1", 0, GOOD["--routes"], GOOD["--autoscaler"], "activator-3", 5.0, None, "json"
        )
    ]
