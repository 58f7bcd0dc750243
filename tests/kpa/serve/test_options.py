"""What `kpa serve` reads from its environment, and what it says of what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from config.readers import Names
from kpa.serve.options import ServeError, ServeOptions, cluster_domain

POD = {"POD_NAME": "autoscaler-1", "POD_IP": "10.0.0.7", "SYSTEM_NAMESPACE": "knative-serving"}


def test_identity_and_names_are_the_pods() -> None:
    found = ServeOptions.from_environment({**POD, "CLUSTER_DOMAIN": "example.org"})
    assert (found.pod_name, found.pod_ip, found.namespace) == tuple(POD.values())
    assert (found.domain, found.config_maps) == ("example.org", Names())


@pytest.mark.parametrize(
    ("variable", "usual", "field"),
    [
        ("CONFIG_AUTOSCALER_NAME", "config-autoscaler", "autoscaler"),
        ("CONFIG_LEADERELECTION_NAME", "config-leader-election", "leader_election"),
        ("CONFIG_LOGGING_NAME", "config-logging", "logging"),
        ("CONFIG_OBSERVABILITY_NAME", "config-observability", "observability"),
    ],
)
def test_config_maps_may_have_other_names(variable: str, usual: str, field: str) -> None:
    assert getattr(ServeOptions.from_environment(POD).config_maps, field) == usual
    assert ServeOptions.from_environment({**POD, variable: ""}).config_maps == Names()
    found = ServeOptions.from_environment({**POD, variable: "config-of-ours"}).config_maps
    assert found == replace(Names(), **{field: "config-of-ours"})


def test_ports_are_those_of_knatives_pod_unless_its_variables_say_otherwise() -> None:
    found = ServeOptions.from_environment(POD)
    assert (found.stat_port, found.telemetry_port, found.profiling_port) == (8080, 9090, 8008)
    assert found.host is None, "all addresses: a pod may have IPv6 alone"
    named = {**POD, "METRICS_PROMETHEUS_PORT": "9191", "PROFILING_PORT": "80"}
    found = ServeOptions.from_environment(named)
    assert (found.stat_port, found.telemetry_port, found.profiling_port) == (8080, 9191, 80)


@pytest.mark.parametrize(
    ("variable", "lowest", "text"),
    [
        ("METRICS_PROMETHEUS_PORT", 1024, "1023"),
        ("METRICS_PROMETHEUS_PORT", 1024, "metrics"),
        ("PROFILING_PORT", 1, "0"),
        ("PROFILING_PORT", 1, "65536"),
        ("PROFILING_PORT", 1, "9" * 5000),
    ],
)
def test_what_is_no_port_is_refused(variable: str, lowest: int, text: str) -> None:
    with pytest.raises(ServeError, match=f"^{variable} must be a port from {lowest} to 65535, not '{text}'$"):
        ServeOptions.from_environment({**POD, variable: text})


@pytest.mark.parametrize("name", POD)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ServeError, match=rf"^{name} must be set in the environment$"):
        ServeOptions.from_environment({**POD, name: ""})


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("search knative-serving.svc.k8s.test svc.k8s.test k8s.test\n", "k8s.test"),
        ("nameserver 10.0.0.1\nsearch svc.k8s.test.\n", "k8s.test"),
        ("search example.org\n", "cluster.local"),
        (None, "cluster.local"),
    ],
    ids=["among others", "with a dot", "no cluster", "no file"],
)
def test_the_domain_is_that_of_the_pods_resolver(tmp_path: Path, text: str | None, domain: str) -> None:
    file = tmp_path / "resolv.conf"
    if text is not None:
        file.write_text(text)
    assert cluster_domain(file) == domain
