"""What `kpa serve` reads from its environment, and what it says of what is missing."""

from pathlib import Path

import pytest

from kpa.serve_options import Options, ServeError, cluster_domain

POD = {"POD_NAME": "autoscaler-1", "POD_IP": "10.0.0.7", "SYSTEM_NAMESPACE": "knative-serving"}


def test_identity_and_names_are_the_pods() -> None:
    found = Options.from_environment({**POD, "CLUSTER_DOMAIN": "example.org"})
    assert (found.pod_name, found.pod_ip, found.namespace) == tuple(POD.values())
    assert (found.domain, found.config_name) == ("example.org", "config-autoscaler")


def test_the_settings_may_be_in_another_config_map() -> None:
    found = Options.from_environment({**POD, "CONFIG_AUTOSCALER_NAME": "config-autoscaler-shadow"})
    assert found.config_name == "config-autoscaler-shadow"


def test_the_buckets_may_be_in_another_config_map() -> None:
    """Knative's other programs read `config-leader-election` too, and refuse more than 10."""
    named = {**POD, "CONFIG_LEADERELECTION_NAME": "config-leader-election-kpa"}
    assert Options.from_environment(named).election_name == "config-leader-election-kpa"
    assert Options.from_environment(POD).election_name == "config-leader-election"


@pytest.mark.parametrize("name", POD)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ServeError, match=rf"^{name} must be set in the environment$"):
        Options.from_environment({**POD, name: ""})


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
