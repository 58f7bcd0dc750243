"""`kpa status` against a real server: what it prints, and how it fails."""

import asyncio
import json
import math
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer
from aiohttp import web
from click.testing import Result
from typer.testing import CliRunner

from kpa.commands.status import command, describe
from kpa.controller.status import Comparison, NextEvent, RevisionStatus
from kpa.runtime.heartbeat import Heartbeat
from kpa.telemetry.telemetry import Telemetry
from kpa.web.api.api import fleet_from_json
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from tests.kpa.controller.status_samples import named

ROOT = Path(__file__).parents[3]
RUN = "import typer; from kpa.commands.status import command; typer.run(command)"
pytestmark = pytest.mark.timeout(60)


@dataclass
class Service:
    """A running server, the revisions it tells of, and after how many answers it breaks."""

    statuses: list[RevisionStatus] = field(default_factory=list)
    answers: float = math.inf
    url: str = ""

    def read(self) -> list[RevisionStatus]:
        self.answers -= 1
        if self.answers < 0:
            raise RuntimeError("broken, as the test wants it")
        return self.statuses


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    heartbeat = Heartbeat(asyncio.get_running_loop().time(), 600.0)
    server = Server(
        Telemetry(),
        service.read,
        lambda key: None,
        lambda key: None,
        heartbeat=heartbeat,
        ready=lambda: None,
        profile=lambda: "inference",
        routes=RouteFeed("{}"),
    )
    service.url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    yield service
    await server.close()


async def run(*arguments: str) -> Result:
    application = typer.Typer()
    application.command()(command)
    environment = {"COLUMNS": "200", "http_proxy": "http://127.0.0.1:1"}
    return await asyncio.to_thread(CliRunner().invoke, application, list(arguments), env=environment)


async def start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, *arguments, cwd=ROOT, stdout=pipe, stderr=pipe
    )


async def test_the_table_has_a_line_a_revision_in_order(service: Service) -> None:
    idle = named(
        "b",
        recommended=0,
        requested=1,
        replicas=1,
        ready=1,
        stable=None,
        panic=None,
        mode="no data",
        service="",
    )
    service.statuses = [idle, named("c", metric="rps", next_event=None), named("a", next_event=None)]
    result = await run("--url", service.url)
    assert result.exit_code == 0
    first, second, third = (line for line in result.output.splitlines() if "shop/" in line)
    assert " ".join(first.split()) == "shop/a 4 2/3 12.5 40.25 7 panic -"
    assert " ".join(second.split()) == "shop/b 1 1/1 no data no data 7 no data to zero now"
    assert " ".join(third.split()) == "shop/c 4 2/3 12.5 40.25 7/s panic -"
    assert "profile inference, 3 revisions" in result.output


async def test_a_shadow_shows_where_the_two_differ_most_first(service: Service) -> None:
    now = time.time()
    service.statuses = [
        named("blind", comparison=Comparison(None, 1, our_pods=60.0, their_pods=30.0)),
        named("fewer", comparison=Comparison(2, 4, now - 65, 1000.0, 250.0, 1200.0, 2400.0)),
        named("more", comparison=Comparison(5, 3, now - 5, 1000.0, 500.0, 3000.0, 1800.0)),
        named("same", comparison=Comparison(3, 3, None, 1000.0, 0.0, 1800.0, 1800.0)),
    ]
    result = await run("--url", service.url)
    assert result.exit_code == 0
    rows = [" ".join(line.split()) for line in result.output.splitlines() if "shop/" in line]
    assert rows[2:] == ["shop/blind - 1 - - - 1.0 0.5", "shop/same 3 3 0 - 0.0% 30.0 30.0"]
    assert re.fullmatch(r"shop/more 5 3 \+2 \d+s 50.0% 50.0 30.0", rows[0])
    assert re.fullmatch(r"shop/fewer 2 4 -2 1m\d+s 25.0% 20.0 40.0", rows[1])
    assert "shadow with profile inference, 4 revisions" in result.output


async def test_json_is_the_answer_of_the_server(service: Service) -> None:
    service.statuses = [named("a"), named("b")]
    result = await run("--url", service.url + "/", "--json")
    assert result.exit_code == 0
    assert fleet_from_json(result.output).revisions == (named("a"), named("b"))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (None, "-"),
        (NextEvent("scale to zero", 350.0), "to zero in 4m10s"),
        (NextEvent("panic ends", 101.2), "panic ends in 1s"),
        (NextEvent("scale to zero", 100.3), "to zero now"),
        (NextEvent("scale to zero", 90.0), "to zero now"),
    ],
    ids=["nothing", "minutes", "another", "this second", "past"],
)
def test_the_next_event_is_told_in_words(event: NextEvent | None, words: str) -> None:
    assert describe(event, now=100.0) == words


@pytest.mark.parametrize("form", [(), ("--json",), ("--watch",)], ids=["table", "json", "watch"])
async def test_no_answer_is_one_line_and_exit_code_two(form: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, yet not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = await run("--url", url, *form)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"kpa status: nothing answers at {url} (")
    assert "refused" in line


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9090", "nonsense", "http://"], ids=["no scheme", "word", "no host"]
)
async def test_an_odd_url_is_one_line_and_exit_code_two(url: str) -> None:
    result = await run("--url", url)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("kpa status: ")


@pytest.mark.parametrize(
    ("text", "status"),
    [("<html>", 200), ("{}", 200), ("[]", 200), ("gone", 404), ("", 500)],
    ids=["html", "another object", "a list", "404", "500"],
)
async def test_another_program_on_the_port_is_recognised(text: str, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    result = await run("--url", f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "is not a kpa" in line


@pytest.mark.process
async def test_watching_looks_again_until_interrupted(service: Service) -> None:
    service.statuses = [named("a")]
    process = await start("--url", service.url, "--watch", "--json")
    assert process.stdout
    assert len(json.loads(await process.stdout.readline())["revisions"]) == 1
    service.statuses = [named("a"), named("b")]
    while len(json.loads(await process.stdout.readline())["revisions"]) == 1:
        pass
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.process
async def test_the_watched_table_ends_when_the_server_breaks(service: Service) -> None:
    service.statuses, service.answers = [named("a")], 2
    process = await start("--url", service.url, "--watch")
    output, errors = await process.communicate()
    assert process.returncode == 2
    assert b"is not a kpa: it answers 500" in errors
    assert b"shop/a" in output
    assert service.answers == -1
