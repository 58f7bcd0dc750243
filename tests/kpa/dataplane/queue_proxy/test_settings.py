"""Settings and probes as they are read from the environment.

Covered: defaults, every variable's range on both sides, all problems at once, the forms of a probe.
"""

import json
from typing import Any

import pytest

from kpa.dataplane.queue_proxy.probe import ProbeError, ReadinessProbe, parse_probe
from kpa.dataplane.queue_proxy.settings import QueueProxySettings, SettingsError, read_settings

DEFAULTS = QueueProxySettings(
    user_port=8080,
    container_concurrency=0,
    host="127.0.0.1",
    serving_port=8012,
    metrics_port=9090,
    admin_port=8022,
    timeout=300.0,
    response_start_timeout=0.0,
    idle_timeout=0.0,
    pod_name="",
    probe=ReadinessProbe("tcpSocket", "127.0.0.1", 8080),
    drain_quiet_seconds=30.0,
    events_fd=None,
)


def test_only_the_port_of_the_replica_is_needed() -> None:
    assert read_settings({"USER_PORT": "8080"}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("CONTAINER_CONCURRENCY", "10", {"container_concurrency": 10}),
        ("QUEUE_HOST", "0.0.0.0", {"host": "0.0.0.0"}),
        ("QUEUE_SERVING_PORT", "0", {"serving_port": 0}),
        ("QUEUE_METRICS_PORT", "65535", {"metrics_port": 65535}),
        ("QUEUE_ADMIN_PORT", "1", {"admin_port": 1}),
        ("REVISION_TIMEOUT_SECONDS", "0", {"timeout": 0.0}),
        ("REVISION_RESPONSE_START_TIMEOUT_SECONDS", "1.5", {"response_start_timeout": 1.5}),
        ("REVISION_IDLE_TIMEOUT_SECONDS", "7", {"idle_timeout": 7.0}),
        ("SERVING_POD", "hello-00001-abc", {"pod_name": "hello-00001-abc"}),
        ("QUEUE_DRAIN_QUIET_SECONDS", "0.5", {"drain_quiet_seconds": 0.5}),
        ("QUEUE_EVENTS_FD", "3", {"events_fd": 3}),
        ("CONTAINER_CONCURRENCY", "", {}),
        ("SERVING_LOGGING_LEVEL", "info", {}),
    ],
)
def test_each_variable_sets_its_value(name: str, text: str, changed: dict[str, Any]) -> None:
    assert read_settings({"USER_PORT": "8080", name: text}) == DEFAULTS._replace(**changed)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("USER_PORT", "0"),
        ("USER_PORT", "65536"),
        ("USER_PORT", "http"),
        ("CONTAINER_CONCURRENCY", "-1"),
        ("CONTAINER_CONCURRENCY", "1.5"),
        ("QUEUE_SERVING_PORT", "65536"),
        ("REVISION_TIMEOUT_SECONDS", "-1"),
        ("REVISION_TIMEOUT_SECONDS", "5m"),
        ("REVISION_TIMEOUT_SECONDS", "nan"),
        ("REVISION_IDLE_TIMEOUT_SECONDS", "inf"),
        ("QUEUE_EVENTS_FD", "x"),
        ("SERVING_READINESS_PROBE", "{"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}='.*': ."):
        read_settings({"USER_PORT": "8080", name: text})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"CONTAINER_CONCURRENCY": "many", "SERVING_READINESS_PROBE": '{"grpc": {"port": 1}}'})
    assert str(caught.value).splitlines() == [
        "USER_PORT is missing: a port from 1 to 65535",
        "CONTAINER_CONCURRENCY='many': must be a whole number from 0",
        'SERVING_READINESS_PROBE=\'{"grpc": {"port": 1}}\': grpc is not supported; '
        "allowed: tcpSocket, httpGet, exec",
    ]


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        ({}, {}),
        ({"tcpSocket": {"port": 9000, "host": "127.0.0.2"}}, {"port": 9000, "host": "127.0.0.2"}),
        ({"tcpSocket": {"port": "9000"}}, {"port": 9000}),
        ({"tcpSocket": {"port": 0}}, {}),
        ({"tcpSocket": None}, {}),
        ({"exec": {"command": ["test", "-f", "x"]}}, {"kind": "exec", "command": ("test", "-f", "x")}),
        ({"periodSeconds": 0, "successThreshold": 0}, {}),
        (
            {
                "initialDelaySeconds": 2,
                "periodSeconds": 3,
                "timeoutSeconds": 4,
                "successThreshold": 5,
                "failureThreshold": 6,
            },
            {
                "initial_delay": 2.0,
                "period": 3.0,
                "timeout": 4.0,
                "success_threshold": 5,
                "failure_threshold": 6,
            },
        ),
    ],
    ids=["empty", "tcp", "port as text", "port unset", "null", "exec", "Knative's zeros", "numbers"],
)
def test_a_probe_is_read_with_the_defaults_of_kubernetes(
    data: dict[str, Any], changed: dict[str, Any]
) -> None:
    base = ReadinessProbe("tcpSocket", "127.0.0.1", 8080)
    assert parse_probe(json.dumps(data), "127.0.0.1", 8080) == base._replace(**changed)


def test_an_http_probe_has_path_port_and_fields() -> None:
    http_get = {
        "path": "ready?x=1",
        "port": 9000,
        "httpHeaders": [{"name": "K-Network-Probe", "value": "queue"}],
    }
    probe = parse_probe(json.dumps({"httpGet": http_get}), "127.0.0.1", 8080)
    assert (probe.kind, probe.path, probe.port) == ("httpGet", "/ready?x=1", 9000)
    assert probe.headers == ((b"User-Agent", b"kube-probe/queue-proxy"), (b"K-Network-Probe", b"queue"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ('{"tcpSocket": {"port": "http"}}', "port 'http' must be a number"),
        ('{"tcpSocket": {"port": 70000}}', "port 70000 must be a number"),
        ('{"httpGet": {"scheme": "HTTPS"}}', "scheme 'HTTPS' is not supported"),
        ('{"httpGet": {"httpHeaders": [{"name": "x"}]}}', "httpHeaders"),
        ('{"httpGet": {"path": "/a b"}}', "path"),
        ('{"exec": {}}', "exec needs a command"),
        ('{"grpc": {"port": 1}}', "grpc is not supported"),
        ('{"periodSeconds": -1}', "periodSeconds -1 must be a number from 0"),
        ('{"timeoutSeconds": "1"}', "timeoutSeconds '1' must be a number from 0"),
        ('{"tcpSocket": 80}', "tcpSocket must be an object"),
    ],
)
def test_a_probe_that_cannot_be_read_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_probe(text, "127.0.0.1", 8080)
    assert reason in str(caught.value)
