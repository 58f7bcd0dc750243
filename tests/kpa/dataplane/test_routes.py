"""Routing tables: both directions of their JSON, what a bad one is refused for, which route is found.

Left out: how a table reaches an activator and replaces the last one (test_activator_source).
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.dataplane.routes import Backend, Route, RoutesError, RoutingTable, host_name
from metrics.key import Key

HELLO = Route(
    "default",
    "hello-00001",
    hosts=("hello.localhost", "hello.default.localhost"),
    container_concurrency=10,
    timeout_seconds=300.0,
    backends=(Backend("hello-00001-abc", "127.0.0.1:31001"),),
)
OTHER = Route("team", "other-00002", hosts=("Other.Localhost",))
TABLE = RoutingTable((HELLO, OTHER))

DOCUMENT = {
    "routes": [
        {
            "namespace": "default",
            "name": "hello-00001",
            "hosts": ["hello.localhost", "hello.default.localhost"],
            "containerConcurrency": 10,
            "timeoutSeconds": 300.0,
            "backends": [{"name": "hello-00001-abc", "address": "127.0.0.1:31001"}],
        }
    ]
}


def test_a_table_is_written_as_the_agreed_document():
    assert json.loads(RoutingTable((HELLO,)).to_json()) == DOCUMENT


def test_a_table_is_one_line():
    assert "\n" not in TABLE.to_json()


def test_the_agreed_document_is_read():
    assert RoutingTable.from_json(json.dumps(DOCUMENT)) == RoutingTable((HELLO,))


def test_unknown_fields_are_ignored():
    extended = {**DOCUMENT, "generation": 7}
    assert RoutingTable.from_json(json.dumps(extended)).routes == (HELLO,)


names = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=8)
backends = st.builds(
    Backend,
    names,
    st.builds("{}:{}".format, st.sampled_from(["10.0.0.1", "[::1]", "pod"]), st.integers(1, 65535)),
)
routes = st.builds(
    Route,
    names,
    names,
    st.just(()),
    st.integers(0, 1000),
    st.floats(1e-3, 1e6),
    st.lists(backends, max_size=3).map(tuple),
)


@given(st.lists(routes, max_size=5, unique_by=lambda route: route.key))
def test_what_is_written_is_read_back(some_routes: list[Route]):
    table = RoutingTable(tuple(some_routes))
    assert RoutingTable.from_json(table.to_json()) == table
    assert RoutingTable.from_json(table.to_json().encode()) == table


def changed(**changes: Any) -> str:
    return json.dumps({"routes": [{**DOCUMENT["routes"][0], **changes}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the routing table is not JSON"),
        (b"\xff\xfe", "the routing table is not JSON"),
        ("[]", r"the routing table is \[\]: it must be an object"),
        ("{}", "routes is missing"),
        ('{"routes": {}}', r"routes is \{\}: it must be a list"),
        ('{"routes": [5]}', r"routes\[0\] is 5: it must be an object"),
        (changed(name=""), r"routes\[0\].name is '': it must be a text that is not empty"),
        (changed(namespace=None), r"routes\[0\].namespace is None: it must be a text"),
        (changed(hosts="hello"), r"routes\[0\].hosts is 'hello': it must be a list"),
        (changed(hosts=["a", 1]), r"routes\[0\].hosts\[1\] is 1: it must be a text"),
        (changed(containerConcurrency=-1), r"is -1: it must be a whole number of at least 0"),
        (changed(containerConcurrency=True), r"containerConcurrency is True: it must be a whole number"),
        (changed(containerConcurrency=1.5), r"containerConcurrency is 1.5: it must be a whole number"),
        (changed(timeoutSeconds=0), r"timeoutSeconds is 0: it must be a number above 0"),
        (changed(timeoutSeconds=float("nan")), r"timeoutSeconds is nan: it must be a number above 0"),
        (changed(timeoutSeconds=float("inf")), r"timeoutSeconds is inf: it must be a number above 0"),
        (changed(backends=[{"name": "a"}]), r"routes\[0\].backends\[0\].address is missing"),
        (changed(backends=[{"name": "a", "address": "host"}]), "address is 'host': it must be host:port"),
        (changed(backends=[{"name": "a", "address": "host:0"}]), "address is 'host:0': it must be host:port"),
        (changed(backends=[{"name": "a", "address": "h:65536"}]), "'h:65536': it must be host:port"),
        (changed(backends=[{"name": "a", "address": "h:\u0661"}]), "it must be host:port"),
        (json.dumps({"routes": DOCUMENT["routes"] * 2}), "two routes are of revision default/hello-00001"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_by_field_value_and_rule(text: str | bytes, message: str):
    with pytest.raises(RoutesError, match=message):
        RoutingTable.from_json(text)


def test_one_host_cannot_lead_to_two_revisions():
    rival = Route("default", "rival-00001", hosts=("HELLO.localhost",))
    with pytest.raises(RoutesError, match="leads to default/hello-00001 and default/rival-00001"):
        RoutingTable((HELLO, rival))


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("hello.localhost", HELLO),
        ("hello.localhost:8080", HELLO),
        ("HELLO.Localhost:8080", HELLO),
        ("hello.default.localhost", HELLO),
        ("other.localhost", OTHER),
        ("hello-00001.default.svc.cluster.local", HELLO),
        ("Other-00002.team.svc.example.org:80", OTHER),
        ("hello-00001.team.svc.cluster.local", None),
        ("hello-00001.default.svc", None),
        ("hello-00001.default.pod.cluster.local", None),
        ("unknown.localhost", None),
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("", None),
    ],
)
def test_a_host_finds_its_route(host: str, found: Route | None):
    assert TABLE.find(host) is found


@pytest.mark.parametrize(
    ("revision", "namespace", "found"),
    [
        ("other-00002", "team", OTHER),
        ("other-00002", "default", None),
        ("other-00002", "", HELLO),
        ("", "team", HELLO),
    ],
    ids=[
        "both decide against the host",
        "both decide although nothing is there",
        "one alone",
        "the other alone",
    ],
)
def test_the_two_headers_decide_together(revision: str, namespace: str, found: Route | None):
    assert TABLE.find("hello.localhost", revision, namespace) is found


@pytest.mark.parametrize(
    ("header", "name"),
    [("A.b:1", "a.b"), ("a.b", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", ""), (":80", "")],
)
def test_a_host_header_is_stripped_of_port_and_case(header: str, name: str):
    assert host_name(header) == name


def test_a_route_knows_its_revision():
    assert TABLE.by_key[Key("default", "hello-00001")].key == ("default", "hello-00001")
