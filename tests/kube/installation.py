"""Knative Serving's objects on a control plane, and our rights on them."""

from pathlib import Path

from tests.go_programs import ROOT
from tests.kube.api import Api, ApiError, Json, path
from tests.kube.programs import documents, knative

SYSTEM = "knative-serving"
MANIFESTS = ROOT / "config" / "manifests"
KINDS = ("podautoscalers", "metrics", "serverlessservices")
PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Deployment": "deployments",
    "Service": "services",
    "PodDisruptionBudget": "poddisruptionbudgets",
}


async def install(api: Api) -> None:
    """Make what the autoscaler finds in a cluster with Knative, with the rights of our manifests only."""
    await create(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    account = {"name": "controller", "namespace": SYSTEM}
    await create(api, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    definitions = [
        knative("serving") / "config/core/300-resources/podautoscaler.yaml",
        knative("serving") / "config/core/300-resources/metric.yaml",
        knative("networking") / "config/serverlessservice.yaml",
    ]
    for file in [*definitions, MANIFESTS / "rbac.yaml", MANIFESTS / "shadow" / "rbac.yaml"]:
        for document in documents(file):
            await create(api, document)
    for kind in KINDS:
        await until_served(api, kind)


async def create(api: Api, document: Json, query: str = "") -> Json:
    """Create an object of a manifest."""
    namespace = document["metadata"].get("namespace")
    return await api.post(path(PLURALS[document["kind"]], namespace) + query, document)


async def until_served(api: Api, kind: str) -> None:
    """Wait until a new kind can be listed: at first it is not found, then "storage is (re)initializing"."""
    while True:
        try:
            await api.get(path(kind))
            return
        except ApiError as error:
            if error.status != 404:
                raise


async def controller_token(
    api: Api, seconds: int = 3600, account: str = "controller", bound_to: Json | None = None
) -> str:
    """Ask for a token of the ServiceAccount that the autoscaler runs as, or of another one.

    One that is bound to a Secret is good for nothing once that is deleted.
    """
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    spec: Json = {"expirationSeconds": seconds}
    if bound_to is not None:
        metadata = bound_to["metadata"]
        reference = {"apiVersion": "v1", "kind": "Secret", "name": metadata["name"], "uid": metadata["uid"]}
        spec["boundObjectRef"] = reference
    answer = await api.post(path("serviceaccounts", SYSTEM, account, "token"), {**asked, "spec": spec})
    token: str = answer["status"]["token"]
    return token


def config_maps() -> dict[str, dict[str, str]]:
    """Return the data of Knative's own ConfigMaps; `config-autoscaler` asks for Knative's defaults.

    The examples in them are left out, and with them their checksums.
    """
    files = [
        *sorted((knative("serving") / "config/core/configmaps").glob("*.yaml")),
        knative("networking") / "config/config-network.yaml",
    ]
    found = {
        document["metadata"]["name"]: document.get("data") or {} for f in files for document in documents(f)
    }
    found = {name: {k: v for k, v in data.items() if k != "_example"} for name, data in found.items()}
    return {**found, "config-autoscaler": {"defaults": "knative"}}


async def reset_system(api: Api) -> None:
    """Bring the system namespace back to what a fresh installation has."""
    for kind in ("leases", "endpointslices", "configmaps", "events"):
        await api.delete(path(kind, SYSTEM))
    for service in await api.items(path("services", SYSTEM)):
        await api.delete(path("services", SYSTEM, service["metadata"]["name"]))
    for name, data in config_maps().items():
        metadata = {"name": name, "namespace": SYSTEM}
        await create(api, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def service_account_folder(folder: Path, token: str, ca_file: Path) -> Path:
    """Write what a pod finds in /var/run/secrets/kubernetes.io/serviceaccount."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(ca_file.read_bytes())
    (folder / "namespace").write_text(SYSTEM)
    return folder
