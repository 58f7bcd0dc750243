"""`kpa explain` against a running server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import Result
from typer.testing import CliRunner

from kpa.commands.explain import command
from kpa.runtime.heartbeat import Heartbeat
from kpa.telemetry.telemetry import Telemetry
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from metrics.key import Key
from tests.kpa.controller.status_samples import SAMPLE, explained

pytestmark = pytest.mark.timeout(60)

KEYS = (
    Key("default", "hello-00001"),
    Key("default", "hello-00002"),
    Key("team", "hello-00001"),
    Key("team", "b"),
)
STATUSES = [replace(SAMPLE, key=key, service="hello" if key.name != "b" else "") for key in KEYS]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    by_key = {status.key: explained(status) for status in STATUSES}
    server = Server(
        Telemetry(),
        lambda: STATUSES,
        by_key.get,
        lambda key: None,
        heartbeat=Heartbeat(asyncio.get_running_loop().time(), 600.0),
        ready=lambda: None,
        profile=lambda: "inference",
        routes=RouteFeed("{}"),
    )
    yield f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    await server.close()


async def run(*arguments: str) -> Result:
    application = typer.Typer()
    application.command()(command)
    environment = {"COLUMNS": "120", "http_proxy": "http://127.0.0.1:1"}
    return await asyncio.to_thread(CliRunner().invoke, application, list(arguments), env=environment)


async def test_summary_steps_next_and_last_changes_are_shown(url: str) -> None:
    result = await run("default/hello-00001", "--url", url)
    assert result.exit_code == 0
    assert "default/hello-00001: 2 pods, 1 ready: said of default/hello-00001" in result.output
    assert "8 [requests] in flight" in result.output
    assert "-> 2" in result.output
    assert "next: nothing until the load changes" in result.output
    assert "1m  " in result.output
    assert "no data" in result.output
    assert "annotation" not in result.output


async def test_settings_are_shown_when_asked_for(url: str) -> None:
    result = await run("b", "--url", url, "--settings")
    assert "annotation autoscaling.knative.dev/min-scale" in result.output


async def test_json_is_the_answer_itself(url: str) -> None:
    document = json.loads((await run("b", "--url", url, "--json")).output)
    assert (document["name"], document["explanation"]["steps"][1]["pods"]) == ("b", 2)


async def test_a_service_stands_for_its_last_revision(url: str) -> None:
    result = await run("default/hello", "--url", url)
    assert "said of default/hello-00002" in result.output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hello-00001", "hello-00001 is in default, team: say NAMESPACE/hello-00001"),
        ("other", "there is no revision or service other at"),
        ("team/hello-00002", "there is no revision or service team/hello-00002"),
    ],
)
async def test_a_name_that_is_not_one_revision_is_an_error(url: str, name: str, message: str) -> None:
    result = await run(name, "--url", url)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


async def test_one_request_asks_for_one_revision() -> None:
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.query["name"]))
        return web.json_response({"error": "there is no revision or service a/b c"}, status=404)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        result = await run("a/b c", "--url", str(server.make_url("")))
    assert asked == [("/api/explain", "a/b c")]
    assert "there is no revision or service a/b c at http" in result.output


@pytest.mark.parametrize("body", [b"", b"[]", b"no JSON", b"{}"])
async def test_a_404_of_another_server_is_not_taken_for_an_answer(body: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404, body=body)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        result = await run("b", "--url", str(server.make_url("")))
    assert result.exit_code == 2
    assert "is not a kpa: it answers 404" in result.output


async def test_nothing_that_answers_is_an_error() -> None:
    result = await run("hello", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "nothing answers at http://127.0.0.1:1" in result.output
