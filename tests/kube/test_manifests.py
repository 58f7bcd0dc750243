"""The manifests fit a real API server and Knative's own objects, and give exactly the rights that are needed.

Left out: kustomize's own work (test_kubectl); the ServiceMonitor's fields, which need the Prometheus
operator's kinds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kube.api import Api, Json, path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import MANIFESTS, PLURALS, SYSTEM, controller_token
from tests.kube.programs import documents, knative

pytestmark = pytest.mark.kube

SHADOW = MANIFESTS / "shadow"

AUTOSCALING, NETWORKING = "autoscaling.internal.knative.dev", "networking.internal.knative.dev"
READ, WRITE = {"get", "list", "watch"}, {"create", "update"}
# What the autoscaler asks of the API server. An entry that nobody asks for is a right too many.
EVERYWHERE = {
    (AUTOSCALING, "podautoscalers"): READ,
    (AUTOSCALING, "podautoscalers/status"): {"update"},
    (AUTOSCALING, "podautoscalers/finalizers"): {"update"},
    (AUTOSCALING, "metrics"): READ | WRITE,
    (AUTOSCALING, "metrics/status"): {"update"},
    (NETWORKING, "serverlessservices"): READ | WRITE,
    ("", "pods"): {"list", "watch"},
    ("", "events"): {"create", "patch"},
    ("apps", "deployments"): {"list", "watch"},
    ("*", "*/scale"): {"patch"},
}
IN_SYSTEM_NAMESPACE = {
    ("", "configmaps"): READ,
    ("", "services"): {"create"},
    ("coordination.k8s.io", "leases"): READ | WRITE,
    ("discovery.k8s.io", "endpointslices"): READ | WRITE,
    ("discovery.k8s.io", "endpointslices/restricted"): {"create"},
}
LOOK = {"list", "watch"}
SHADOW_EVERYWHERE = {
    (AUTOSCALING, "podautoscalers"): LOOK,
    (AUTOSCALING, "metrics"): LOOK,
    (NETWORKING, "serverlessservices"): LOOK,
    ("", "pods"): LOOK,
    ("apps", "deployments"): LOOK,
}
OF_EVERYBODY = {
    "authentication.k8s.io",
    "authorization.k8s.io",
}  # whoever has a token may ask what it is good for


def kustomization(folder: Path = MANIFESTS) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return document


def manifests(folder: Path = MANIFESTS) -> Iterator[Json]:
    for name in kustomization(folder)["resources"]:
        yield from documents(folder / name)


def only(kind: str, found: Iterator[Json] | list[Json]) -> Json:
    [document] = [each for each in found if each["kind"] == kind]
    return document


def knatives(kind: str) -> Json:
    return only(kind, documents(knative("serving") / "config/core/deployments/autoscaler.yaml"))


def container(deployment: Json) -> Json:
    [found] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


async def apply(api: Api, document: Json, dry_run: bool) -> Json:
    """Do what `kubectl apply --server-side` does."""
    metadata = document["metadata"]
    target = path(PLURALS[document["kind"]], metadata.get("namespace"), metadata["name"])
    query = "?fieldManager=test&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    return await api.call("PATCH", target + query, document, "application/apply-patch+yaml")


def test_every_file_is_part_of_the_base_or_of_a_component() -> None:
    folders = {file.parent for file in MANIFESTS.rglob("kustomization.yaml")}
    listed = {folder / name for folder in folders for name in kustomization(folder)["resources"]}

    assert folders == {MANIFESTS, MANIFESTS / "monitoring", SHADOW, SHADOW / "monitoring"}
    assert {file for file in MANIFESTS.rglob("*.yaml") if file.name != "kustomization.yaml"} == listed


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(d, id=f"{folder.name} {d['kind']}")
        for folder in (MANIFESTS, SHADOW)
        for d in manifests(folder)
    ],
)
async def test_the_api_server_accepts_it_to_the_last_field(
    control_plane: ControlPlane, document: Json
) -> None:
    async with control_plane.api() as api:
        applied = await apply(api, document, dry_run=True)

    assert applied["metadata"]["name"] == document["metadata"]["name"]
    if document["kind"].startswith("Cluster"):
        assert "namespace" not in applied["metadata"]
    else:
        assert applied["metadata"]["namespace"] == SYSTEM


async def test_applied_over_knatives_deployment_nothing_of_it_is_left_double(
    control_plane: ControlPlane,
) -> None:
    async with control_plane.api() as api:
        await apply(api, knatives("Deployment"), dry_run=False)
        try:
            applied = container(await apply(api, only("Deployment", manifests()), dry_run=True))
        finally:
            await api.delete(path("deployments", SYSTEM, "autoscaler"))

    assert applied["image"] == "kpa"
    assert applied["args"] == ["serve"]
    assert [port["containerPort"] for port in applied["ports"]] == [9090, 8008, 8080]
    assert len({each["name"] for each in applied["env"]}) == len(applied["env"]) == 6


def test_the_deployment_is_knatives_but_for_its_program() -> None:
    ours, theirs = only("Deployment", manifests()), knatives("Deployment")
    assert ours["metadata"]["name"] == theirs["metadata"]["name"]
    assert ours["spec"]["selector"] == theirs["spec"]["selector"]
    assert ours["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0

    same_of_pod = ("serviceAccountName", "affinity")
    pods = [each["spec"]["template"]["spec"] for each in (ours, theirs)]
    assert [pods[0][key] for key in same_of_pod] == [pods[1][key] for key in same_of_pod]
    same = ("name", "ports", "securityContext", "readinessProbe", "livenessProbe")
    assert [container(ours)[key] for key in same] == [container(theirs)[key] for key in same]
    (mount,), (volume,) = container(ours)["volumeMounts"], pods[0]["volumes"]
    state = {"name": "KPA_STATE_DIR", "value": mount["mountPath"]}
    assert container(ours)["env"] == [*container(theirs)["env"], state]
    assert volume == {"name": mount["name"], "emptyDir": {}}
    assert container(ours)["resources"]["limits"] == container(theirs)["resources"]["limits"]


def test_services_budgets_and_monitors_find_the_pods() -> None:
    labels = only("Deployment", manifests())["spec"]["template"]["metadata"]["labels"]
    service = knatives("Service")
    monitor = only("ServiceMonitor", documents(MANIFESTS / "monitoring" / "servicemonitor.yaml"))

    for selector in (
        service["spec"]["selector"],
        only("PodDisruptionBudget", manifests())["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_nothing_is_defined_that_others_need_after_us() -> None:
    """`kubectl delete -k` must not take the namespace, the controller's ServiceAccount or a Service along."""
    kinds = {document["kind"] for document in manifests()}
    roles = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    assert kinds == {"ConfigMap", "Deployment", "PodDisruptionBudget", *roles}


async def rights(api: Api, namespace: str) -> dict[tuple[str, str], set[str]]:
    """What the API server says that the user of a session may do in a namespace."""
    review = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1"}
    answer = await api.post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {**review, "spec": {"namespace": namespace}}
    )
    found: dict[tuple[str, str], set[str]] = {}
    for rule in answer["status"]["resourceRules"]:
        for group in set(rule["apiGroups"]) - OF_EVERYBODY:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


async def test_rights_are_exactly_those_of_the_table(control_plane: ControlPlane, token: str) -> None:
    async with control_plane.api(token) as api:
        assert await rights(api, "default") == EVERYWHERE
        assert await rights(api, SYSTEM) == {**EVERYWHERE, **IN_SYSTEM_NAMESPACE}


async def test_a_shadow_may_look_and_nothing_else(control_plane: ControlPlane) -> None:
    async with control_plane.api() as admin:
        token = await controller_token(admin, account="kpa-shadow")
    async with control_plane.api(token) as api:
        assert await rights(api, "default") == SHADOW_EVERYWHERE
        assert await rights(api, SYSTEM) == {**SHADOW_EVERYWHERE, ("", "configmaps"): LOOK}


def test_nothing_of_a_shadow_is_anybody_elses() -> None:
    """Applied and deleted beside Knative, it touches neither objects nor selectors of others."""
    names = {(document["kind"], document["metadata"]["name"]) for document in manifests(SHADOW)}
    assert not names & {(document["kind"], document["metadata"]["name"]) for document in manifests()}

    pod = only("Deployment", manifests(SHADOW))["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert not knatives("Service")["spec"]["selector"].items() <= labels.items()
    assert pod["spec"]["serviceAccountName"] == "kpa-shadow"


def test_a_shadow_is_found_and_reads_its_own_settings() -> None:
    deployment, service = only("Deployment", manifests(SHADOW)), only("Service", manifests(SHADOW))
    monitor = only("ServiceMonitor", manifests(SHADOW / "monitoring"))
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]

    environment = {each["name"]: each.get("value") for each in container(deployment)["env"]}
    settings = only("ConfigMap", manifests(SHADOW))["metadata"]["name"]
    assert environment["CONFIG_AUTOSCALER_NAME"] == settings
    assert container(deployment)["args"] == ["serve", "--dry-run"]
