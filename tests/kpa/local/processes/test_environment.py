"""Variables, expansion and ports of a replica's processes. Left out: what the processes do with them."""

import json
import socket
import sys

import pytest

from kpa.local.manifests.spec import EnvVar, Probe, Template
from kpa.local.processes.environment import Identity, expand, free_port, proxy_environment, user_command

IDENTITY = Identity("shop", "cart", "cart", "cart-00002", "cart-00002-abcde")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("$(A)$(A)", "11"),
        ("$()", "$()"),
        ("", ""),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_process_is_told_its_port_and_names_and_inherits_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "yes")
    argv, environment = user_command(Template(("serve", "--port=$(PORT)", "$(FROM_OUTSIDE)")), IDENTITY, 1234)
    assert argv == ["serve", "--port=1234", "$(FROM_OUTSIDE)"]
    expected = {
        "PORT": "1234",
        "K_SERVICE": "cart",
        "K_CONFIGURATION": "cart",
        "K_REVISION": "cart-00002",
        "HOSTNAME": "cart-00002-abcde",
        "KPA_PYTHON": sys.executable,
        "FROM_OUTSIDE": "yes",
    }
    assert {name: environment[name] for name in expected} == expected


def test_variables_see_those_declared_before_them_and_fields_of_the_pod() -> None:
    variables = (
        EnvVar("URL", "http://$(IP):$(PORT)"),
        EnvVar("IP", field_path="status.podIP"),
        EnvVar("LATER", "http://$(IP):$(PORT)"),
        EnvVar("ME", field_path="metadata.name"),
        EnvVar("SPACE", field_path="metadata.namespace"),
    )
    _, environment = user_command(Template(("x",), env=variables), IDENTITY, 80)
    assert environment["URL"] == "http://$(IP):80"
    assert environment["LATER"] == "http://127.0.0.1:80"
    assert (environment["ME"], environment["SPACE"]) == ("cart-00002-abcde", "shop")


def test_the_queue_proxy_gets_the_names_that_knative_gives_its_own() -> None:
    template = Template(("x",), container_concurrency=10, timeout=60.0, response_start_timeout=2.5)
    environment = proxy_environment(template, IDENTITY, 1234, 7)
    expected = {
        "CONTAINER_CONCURRENCY": "10",
        "USER_PORT": "1234",
        "REVISION_TIMEOUT_SECONDS": "60",
        "REVISION_RESPONSE_START_TIMEOUT_SECONDS": "2.5",
        "REVISION_IDLE_TIMEOUT_SECONDS": "0",
        "SERVING_NAMESPACE": "shop",
        "SERVING_REVISION": "cart-00002",
        "SERVING_POD": "cart-00002-abcde",
        "QUEUE_SERVING_PORT": "0",
        "QUEUE_EVENTS_FD": "7",
    }
    assert {name: environment[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("probe", "sent"),
    [
        (Probe(), {"tcpSocket": {"host": "127.0.0.1", "port": 99}, "successThreshold": 1}),
        (
            Probe(handler={"httpGet": {"path": "/up", "scheme": "HTTP", "port": 8080}}, period=2, timeout=1),
            {
                "httpGet": {"host": "127.0.0.1", "port": 99, "path": "/up", "scheme": "HTTP"},
                "periodSeconds": 2,
                "timeoutSeconds": 1,
                "successThreshold": 1,
            },
        ),
        (
            Probe(command=("test", "-f", "/x")),
            {"tcpSocket": {"host": "127.0.0.1", "port": 99}, "successThreshold": 1},
        ),
    ],
    ids=["tcp by default", "http at the process's port", "exec is ours, tcp the queue-proxy's"],
)
def test_a_probe_is_aimed_at_the_process(probe: Probe, sent: dict[str, object]) -> None:
    assert json.loads(probe.for_queue_proxy(99)) == sent


def test_a_free_port_is_one_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(OSError, match="no free port"):
            free_port(range(taken, taken + 1))
    assert free_port(range(20000, 32000)) in range(20000, 32000)
