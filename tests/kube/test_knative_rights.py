"""`kpa serve` with the rights of Knative's own roles and no others: its Deployment, our image.

Before 1.22 it may change Deployments but not their scale subresource, and Endpoints but no EndpointSlices.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kube.api import Api, ApiError, path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM, controller_token, create
from tests.kube.knative_double import Knative
from tests.kube.programs import documents, knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

ACCOUNT = "knatives-own"
BUCKET = "autoscaler-bucket-00-of-01"
SECONDS = 60.0


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    async with control_plane.api() as api:
        roles = documents(knative("serving") / "config/core/200-roles/clusterrole.yaml")
        [role] = [each for each in roles if each["kind"] == "ClusterRole" and each.get("rules")]
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}
        reference = {"kind": "ClusterRole", "name": role["metadata"]["name"]}
        binding = {"kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT}, "subjects": [subject]}
        account = {"kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": SYSTEM}}
        for document in (role, account, binding | {"roleRef": reference}):
            await create(api, document)
        yield api
        await api.delete(path("clusterrolebindings", None, ACCOUNT))
        await api.delete(path("clusterroles", None, role["metadata"]["name"]))
        await api.delete(path("serviceaccounts", SYSTEM, ACCOUNT))
        await api.delete(path("endpoints", SYSTEM, BUCKET))


@pytest.fixture
async def kubeconfig(api: Api, control_plane: ControlPlane, tmp_path: Path) -> Path:
    """Takes the place of the one with the rights of our manifests."""
    token = await controller_token(api, account=ACCOUNT)
    return control_plane.kubeconfig(tmp_path / "kubeconfig", token)


async def addresses(api: Api) -> list[str]:
    """Return where the Service of the bucket leads."""
    try:
        found = await api.get(path("endpoints", SYSTEM, BUCKET))
    except ApiError as error:
        if error.status != 404:
            raise
        return []
    return [each["ip"] for subset in found["subsets"] for each in subset["addresses"]]


async def test_it_scales_and_its_bucket_leads_to_it(
    knative: Knative, autoscaler: Autoscaler, api: Api
) -> None:
    await knative.configure("config-autoscaler", {"stable-window": "6s"})
    first = await autoscaler.start()
    revision = await knative.create("hello-00001", container_concurrency=10)
    revision.load(21.0)
    await knative.until(lambda: revision.replicas == 3, "scaled")
    assert not [line for line in first.log.read_text().splitlines() if "WARNING" in line]

    async with asyncio.timeout(SECONDS):
        while not await addresses(api):
            await asyncio.sleep(0.05)
    assert await addresses(api) == ["192.0.2.1"]
    await first.stop()
    await autoscaler.start()
    async with asyncio.timeout(SECONDS):
        while await addresses(api) != ["192.0.2.2"]:
            await asyncio.sleep(0.05)
