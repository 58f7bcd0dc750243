"""`kpa serve` behind a mesh: pods answer 503 themselves, and only their private service leads to them.

And a pod with an IPv6 address, which Knative does not reach at all.

All names of services lead to the activator's address (tests.kube.serving_process); the services of this test
listen there at the port of metrics.
"""

import asyncio

import pytest

from tests.kube.knative_double import Knative
from tests.kube.revision_double import RevisionDouble
from tests.kube.serving import Autoscaler
from tests.kube.stub_service import StubServices, stub_services

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s"}


async def hidden(knative: Knative, services: StubServices) -> RevisionDouble:
    """Create a revision whose pods a mesh hides."""
    revision = await knative.create(
        "hello-00001",
        container_concurrency=10,
        replicas=0,
        annotations={"min-scale": "1", "target-burst-capacity": "0"},
    )
    revision.pod_mode = "unavailable"
    services.lead_to(revision)
    return revision


def collects(revision: RevisionDouble) -> tuple[str, str]:
    """Return status and reason of `Ready` of the revision's Metric."""
    return revision.condition("Ready", of="metrics")


async def test_pods_that_a_mesh_hides_are_scaled_by_what_their_service_says(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    async with stub_services(autoscaler.activator.address) as services:
        revision = await hidden(knative, services)
        await knative.until(lambda: len(revision.ready) == 1, "the first pod")
        revision.load(25.0)
        await knative.until(lambda: len(revision.ready) == 4, "four ready pods")
        await serving.logs("hello-00001: pods are behind a mesh; scraping service hello-00001-private")
        await knative.until(lambda: collects(revision) == ("True", ""), "the Metric is ready")
        assert set(services.hosts) == {f"hello-00001-private.{knative.namespace}:9090"}
        asked = sum(pod.stub.scrapes for pod in revision.pods.values())
        await asyncio.sleep(2.0)
        assert sum(pod.stub.scrapes for pod in revision.pods.values()) == asked, "pods are left alone"
        revision.load(0.0)
        await knative.until(lambda: revision.replicas == 1, "one replica")
        assert (await serving.telemetry())["kpa_config_valid"] == 1.0


async def test_network_settings_are_in_force_without_a_restart(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await knative.configure("config-network", {"mesh-compatibility-mode": "disabled"})
    serving = await autoscaler.start()
    async with stub_services(autoscaler.activator.address) as services:
        revision = await hidden(knative, services)
        await knative.until(
            lambda: collects(revision) == ("False", "CollectionFailed"), "nothing is collected"
        )
        (condition,) = (revision.metric or {})["status"]["conditions"]
        expected = "Failed to reconcile metric collection: all pod scrapes returned 503 error"
        assert condition["message"] == expected
        written = revision.changes["metrics"]
        await asyncio.sleep(2.0)
        assert revision.changes["metrics"] == written, "what is said already is not said again"
        assert not services.hosts

        await knative.configure("config-network", {"mesh-compatibility-mode": "sometimes"})
        await serving.logs(
            "config-network: mesh-compatibility-mode = 'sometimes': must be auto, enabled or disabled"
        )
        assert not services.hosts

        await knative.configure("config-network", {"mesh-compatibility-mode": "enabled"})
        await knative.until(lambda: collects(revision) == ("True", ""), "all is collected")
        revision.load(25.0)
        await knative.until(lambda: revision.replicas == 4, "four replicas")

        for pod in revision.pods.values():
            pod.stub.mode, pod.stub.scrapes = "ok", 0
        await knative.configure("config-network", {"mesh-compatibility-mode": "disabled"})
        await knative.until(lambda: all(pod.stub.scrapes for pod in revision.ready), "pods are asked")
        asked = len(services.hosts)
        await asyncio.sleep(2.0)
        assert len(services.hosts) == asked


async def test_a_pod_with_an_ipv6_address_is_scaled_by_what_it_says(
    knative: Knative, autoscaler: Autoscaler
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    await autoscaler.start()
    annotations = {"min-scale": "1", "target-burst-capacity": "0"}
    revision = await knative.create(
        "hello-00001", container_concurrency=10, replicas=0, annotations=annotations
    )
    revision.ips.append("::1")
    await knative.until(lambda: len(revision.ready) == 1, "the first pod")
    (first,) = revision.ready
    assert first.stub.ip == "::1"
    revision.load(25.0)
    await knative.until(lambda: revision.replicas == 4, "four replicas")
    assert first.stub.scrapes
    assert collects(revision) == ("True", "")
