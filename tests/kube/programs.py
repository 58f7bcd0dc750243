"""A real etcd, kube-apiserver and kubectl, and the manifests of the real Knative.

The programs are built once from their Go modules into `.cache/kube` or ``$KPA_KUBE_CACHE``; where
``$KUBEBUILDER_ASSETS`` names a folder (the one that `setup-envtest` downloads), they are taken from there.
The manifests lie in the Go modules that tests/peer requires, so that both speak of the same Knative.
"""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.go_programs import BuildError, GoModule
from tests.peer.programs import PEER

VERSION = "v1.34.2"  # of Kubernetes; Knative's autoscaler asks for 1.34 or newer
KUBE = GoModule(
    folder=Path(__file__).parent,
    name="kube",
    cache_variable="KPA_KUBE_CACHE",
    packages={"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"},
    purpose="the tests marked 'kube' build etcd, kube-apiserver and kubectl (or find $KUBEBUILDER_ASSETS)",
    options=("-trimpath", f"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion={VERSION}"),
)
KUBECTL = replace(KUBE, folder=KUBE.folder / "kubectl", packages={"kubectl": "k8s.io/kubernetes/cmd/kubectl"})
KNATIVE = replace(PEER, name="kube", purpose="the tests marked 'kube' take manifests from Knative's modules")


def assets() -> Path | None:
    """Return the folder of programs that somebody else provides, if there is one."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(folder).absolute() if folder else None


def missing() -> list[str]:
    """Return the names of the programs that must be built first."""
    modules = () if assets() else (KUBE, KUBECTL)
    return [name for module in modules for name in module.packages if not module.is_built(name)]


def program(name: str) -> Path:
    """Return the path of `etcd`, `kube-apiserver` or `kubectl`.

    Raises
    ------
    BuildError
        It cannot be built, or the folder of provided programs lacks it.
    """
    folder = assets()
    if folder is None:
        return (KUBECTL if name in KUBECTL.packages else KUBE).program(name)
    if not (folder / name).is_file():
        raise BuildError(f"KUBEBUILDER_ASSETS={folder} has no {name}; unset it to have it built here")
    return folder / name


@cache
def knative(module: str) -> Path:
    """Return the folder of the module ``knative.dev/MODULE`` that tests/peer requires."""
    found: dict[str, str] = json.loads(KNATIVE.go("mod", "download", "-json", f"knative.dev/{module}"))
    return Path(found["Dir"])


def documents(file: Path) -> list[dict[str, Any]]:
    """Read the objects of a manifest."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]
