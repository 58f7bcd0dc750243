"""The stand-in for the rest of the cluster does what tests of the autoscaler rely on.

Covered: pods follow the Deployment's scale, late and draining ones too; ServerlessServices get their
controller's status; load is spread over ready pods; the control plane survives its restart. Left out: what
Knative's controllers do for themselves (routes, endpoints, webhooks).
"""

import asyncio
from typing import Any

import aiohttp
import pytest

from metrics.stat import Stat
from tests.kube.api import ApiError, path
from tests.kube.audit import Request, Requests
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM
from tests.kube.knative_double import Knative
from tests.kube.objects import KPA_CLASS
from tests.kube.revision_double import PodDouble, RevisionDouble
from tests.kube.stub_pods import METRICS_PORT

pytestmark = pytest.mark.kube


async def scale(revision: RevisionDouble, replicas: int) -> None:
    target = path("deployments", revision.namespace, f"{revision.name}-deployment", "scale")
    await revision.api.patch(target, [{"op": "add", "path": "/spec/replicas", "value": replicas}])


async def make_sks(revision: RevisionDouble, mode: str) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{revision.name}-deployment"}
    spec = {"mode": mode, "objectRef": target, "protocolType": "http1", "numActivators": 2}
    kind = {"apiVersion": "networking.internal.knative.dev/v1alpha1", "kind": "ServerlessService"}
    await revision.api.post(
        path("serverlessservices", revision.namespace),
        {**kind, "metadata": {"name": revision.name}, "spec": spec},
    )


async def scrape(pod: PodDouble, seconds: float = 5.0) -> bytes:
    timeout = aiohttp.ClientTimeout(total=seconds)
    address = f"http://{pod.stub.ip}:{METRICS_PORT}/metrics"
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as response:
        assert response.content_type == "application/protobuf"
        response.raise_for_status()
        return await response.read()


async def pods(revision: RevisionDouble) -> list[dict[str, Any]]:
    return await revision.api.items(path("pods", revision.namespace))


async def test_pods_follow_the_scale_of_the_deployment(knative: Knative) -> None:
    revision = await knative.create("hello-00001", replicas=1)
    await knative.until(lambda: len(revision.ready) == 1)

    await scale(revision, 3)
    await knative.until(lambda: len(revision.ready) == 3)
    statuses = [pod["status"] for pod in await pods(revision)]
    assert [status["podIP"] for status in statuses] == [pod.stub.ip for pod in revision.ready]
    assert all(status["conditions"][0]["status"] == "True" for status in statuses)

    await scale(revision, 0)
    await knative.until(lambda: not revision.pods)
    assert await pods(revision) == []
    assert [replicas for _, replicas in revision.replicas_seen] == [1, 3, 0]


async def test_pods_that_start_slowly_and_drain_are_seen_doing_so(knative: Knative) -> None:
    revision = await knative.create("hello-00001", start_seconds=0.5, drain_seconds=0.5)
    await knative.until(lambda: len(revision.pods) == 1)
    [pod] = await pods(revision)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["conditions"][0]["status"] == "False"
    await knative.until(lambda: len(revision.ready) == 1)

    await scale(revision, 0)
    await knative.until(lambda: not revision.staying)
    [pod] = await pods(revision)
    assert "deletionTimestamp" in pod["metadata"]
    await knative.until(lambda: not revision.pods)
    assert await pods(revision) == []


async def test_a_serverless_service_gets_the_status_of_its_controller(knative: Knative) -> None:
    revision = await knative.create("hello-00001", replicas=0)
    await make_sks(revision, "Proxy")
    await knative.until(lambda: "status" in (revision.sks or {}))
    assert revision.sks is not None
    assert revision.sks["status"]["privateServiceName"] == "hello-00001-private"
    assert revision.condition("Ready", "serverlessservices") == ("Unknown", "NoHealthyBackends")
    activator = ("True", "ActivatorEndpointsPopulated")
    assert revision.condition("ActivatorEndpointsPopulated", "serverlessservices") == activator

    await scale(revision, 1)
    await knative.until(lambda: revision.condition("Ready", "serverlessservices") == ("True", ""))
    assert revision.condition("ActivatorEndpointsPopulated", "serverlessservices") == activator

    target = path("serverlessservices", revision.namespace, revision.name)
    await revision.api.patch(target, {"spec": {"mode": "Serve"}})
    populated = "ActivatorEndpointsPopulated"
    await knative.until(lambda: revision.condition(populated, "serverlessservices")[0] == "False")
    assert [mode for _, mode in revision.modes_seen] == ["Proxy", "Serve"]


async def test_load_is_spread_over_the_ready_pods(knative: Knative) -> None:
    revision = await knative.create("hello-00001", replicas=2)
    await knative.until(lambda: len(revision.ready) == 2)

    revision.load(5.0, requests_per_second=8.0)

    stats = [Stat.decode(await scrape(pod)) for pod in revision.ready]
    assert [stat.average_concurrent_requests for stat in stats] == [2.5, 2.5]
    assert [stat.request_count for stat in stats] == [4.0, 4.0]
    assert [stat.pod_name for stat in stats] == list(revision.pods)


async def test_a_pod_can_misbehave(knative: Knative) -> None:
    revision = await knative.create("hello-00001")
    await knative.until(lambda: len(revision.ready) == 1)
    [pod] = revision.ready

    pod.stub.mode = "garbage"
    with pytest.raises(ValueError, match="Stat"):
        Stat.decode(await scrape(pod))
    pod.stub.mode = "unavailable"
    with pytest.raises(aiohttp.ClientResponseError, match="503"):
        await scrape(pod)
    pod.stub.mode = "hang"
    with pytest.raises(TimeoutError):
        await scrape(pod, 0.2)
    pod.stub.mode = "huge"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{pod.stub.ip}:{METRICS_PORT}/metrics") as response,
    ):
        assert response.content_length == 1 << 30
        assert len(await response.content.readexactly(10_000_000)) == 10_000_000
    assert pod.stub.scrapes == 4

    knative.stubs.remove(pod.stub)
    with pytest.raises(aiohttp.ClientConnectorError):
        await scrape(pod)


async def test_a_deleted_revision_leaves_nothing(knative: Knative) -> None:
    revision = await knative.create("hello-00001", replicas=2, annotations={"min-scale": "2"})
    await make_sks(revision, "Serve")
    await knative.until(lambda: len(revision.ready) == 2 and revision.sks is not None)
    assert revision.pa is not None
    annotations = {"autoscaling.knative.dev/class": KPA_CLASS, "autoscaling.knative.dev/min-scale": "2"}
    assert revision.pa["metadata"]["annotations"] == annotations

    await revision.delete()

    for kind in ("podautoscalers", "serverlessservices", "deployments", "pods"):
        assert await knative.api.items(path(kind, knative.namespace)) == []


async def test_config_maps_are_those_of_knative_until_a_test_sets_them(knative: Knative) -> None:
    await knative.configure("config-autoscaler", {"stable-window": "6s"})
    await knative.unconfigure("config-logging")

    items = await knative.api.items(path("configmaps", SYSTEM))
    found = {each["metadata"]["name"]: each.get("data", {}) for each in items}

    assert found["config-autoscaler"] == {"defaults": "knative", "stable-window": "6s"}
    assert "queue-sidecar-image" in found["config-deployment"]
    assert "config-logging" not in found


async def test_all_goes_on_after_the_api_server_was_away(
    knative: Knative, control_plane: ControlPlane
) -> None:
    revision = await knative.create("hello-00001")
    await knative.until(lambda: len(revision.ready) == 1)

    with control_plane.api_server_down():
        await asyncio.sleep(0.2)

    await scale(revision, 2)
    await knative.until(lambda: len(revision.ready) == 2)


async def test_the_controller_has_only_the_rights_of_our_manifests(
    knative: Knative, control_plane: ControlPlane, token: str, requests: Requests
) -> None:
    revision = await knative.create("hello-00001")
    async with control_plane.api(token) as api:
        assert len(await api.items(path("podautoscalers"))) == 1
        with pytest.raises(ApiError, match="403"):
            await api.get(path("namespaces"))
        async for change, document in api.watch(path("podautoscalers")):
            assert (change, document["metadata"]["name"]) == ("ADDED", revision.name)
            break
        revision.api, admin = api, revision.api
        await scale(revision, 2)
        revision.api = admin

    await knative.until(lambda: len(requests()) == 4, "four requests in the audit log")
    group, name = "autoscaling.internal.knative.dev", "hello-00001-deployment"
    assert list(requests()) == [
        Request("list", group, "podautoscalers", "", "", 200),
        Request("list", "", "namespaces", "", "", 403),
        Request("list", group, "podautoscalers", "", "", 200),
        Request("patch", "apps", "deployments/scale", knative.namespace, name, 200),
    ]
    assert [request.writes for request in requests()] == [False, False, False, True]
