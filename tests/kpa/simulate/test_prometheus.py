"""Load from Prometheus: a saved answer, and one that is asked for.

Covered: values to stretches, each refusal, real HTTP with the query it sends, refusals of a server.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kpa.simulate.errors import InputError
from kpa.simulate.phases import Stretch
from kpa.simulate.prometheus import RangeQuery, fetch_range, read_range

QUERY = RangeQuery("sum(rate(requests_total[1m]))", 100.0, 160.0, 30.0)


def answer(*series: list[Any], kind: str = "matrix") -> str:
    result = [{"metric": {}, "values": values} for values in series]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


GOOD = answer([[100, "1.5"], [130, "2"], [160, "0"]])


def test_values_become_straight_lines() -> None:
    assert read_range(GOOD, "x.json") == (Stretch(30, 1.5, 2), Stretch(30, 2, 0))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{", "x.json: not JSON: ", id="not JSON"),
        pytest.param("[]", "x.json: not an answer of /api/v1/query_range", id="not an answer"),
        pytest.param(
            '{"status": "error", "error": "bad query"}', "x.json: Prometheus says: bad query", id="an error"
        ),
        pytest.param(
            answer(kind="vector"), "x.json: resultType is 'vector'; a range query", id="instant query"
        ),
        pytest.param(answer(), "x.json: holds 0 series, must be one; nothing matches", id="no series"),
        pytest.param(answer([], []), "x.json: holds 2 series, must be one; put sum(...)", id="two series"),
        pytest.param(answer([[1, "1"]]), "x.json: holds 1 values; a load needs at least two", id="one value"),
        pytest.param(
            answer([[1, "1"], [1, "2"]]), "x.json: value 2: time 1 must be later than the one", id="unordered"
        ),
        pytest.param(
            answer([[1, "1"], [2, "-1"]]), "x.json: value 2: [2, '-1'] must be a load", id="negative"
        ),
        pytest.param(answer([[1, "1"], [2, "NaN"]]), "x.json: value 2: [2, 'NaN'] must be", id="NaN"),
        pytest.param(answer([[1, "1"], [2]]), "x.json: value 2: [2] must be [unix seconds", id="no pair"),
    ],
)
def test_what_is_no_load_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        read_range(text, "x.json")
    assert str(refused.value).startswith(problem)


@contextmanager
def prometheus(status: int, body: str) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer; yields the URL and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_prometheus_is_asked_for_a_range() -> None:
    with prometheus(200, GOOD) as (url, asked):
        assert fetch_range(url + "/", QUERY) == read_range(GOOD, "")
    (path,) = asked
    assert urlsplit(path).path == "/api/v1/query_range"
    assert parse_qs(urlsplit(path).query) == {
        "query": [QUERY.expression],
        "start": ["100.0"],
        "end": ["160.0"],
        "step": ["30.0"],
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"status": "error", "error": "parse error: unexpected )"}', "parse error: unexpected )"),
        ("?", "Bad"),
    ],
)
def test_a_refused_query_says_why(body: str, reason: str) -> None:
    with prometheus(400, body) as (url, _), pytest.raises(InputError) as refused:
        fetch_range(url, QUERY)
    assert str(refused.value).startswith(f"{url}: Prometheus answers 400: {reason}")


def test_a_prometheus_that_does_not_answer_is_named(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(InputError, match=f"^{url}: no Prometheus answers there within 10 s: .*refused"):
        fetch_range(url, QUERY)


@pytest.mark.parametrize("url", ["http://", "http://a b", "http://[::1", "https://127.0.0.1:x"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InputError, match="no Prometheus answers there") as refused:
        fetch_range(url, QUERY)
    assert str(refused.value).startswith(f"{url}: ")


def test_something_that_speaks_no_http_is_named() -> None:
    def greet(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-x\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=greet, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"^{url}: no Prometheus answers there") as refused:
            fetch_range(url, QUERY)
        thread.join()
    assert "\n" not in str(refused.value)


def test_something_else_than_a_prometheus_is_named() -> None:
    with prometheus(200, "<html>") as (url, _), pytest.raises(InputError, match=f"^{url}: not JSON"):
        fetch_range(url, QUERY)
