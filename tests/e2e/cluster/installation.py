"""Our manifests in a cluster with Knative Serving, and the way back, as docs/replace-knative.md has them."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e.cluster.kubectl import SYSTEM, get, kubectl, rolled_out
from tests.go_programs import ROOT

MANIFESTS = ROOT / "config" / "manifests"
KEPT = ("deployment/autoscaler", "configmap/config-autoscaler")
SETTINGS = {"defaults": "knative", "scale-to-zero-grace-period": "6s"}
"""Knative's numbers; the shortest grace period, so that going to zero takes seconds."""


def image() -> str:
    """Return the image of the autoscaler that the cluster has, or can pull."""
    return os.environ.get("KPA_IMAGE", "dev.local/kpa:v1")


@dataclass
class Installation:
    """What takes the place of what.

    Attributes
    ----------
    folder : Path
        For copies of manifests.
    replaced : bool
        The cluster had an autoscaler: there is a way back to it.
    """

    folder: Path
    replaced: bool

    @property
    def _kept(self) -> Path:
        return self.folder / "knative-autoscaler.yaml"

    async def keep(self) -> None:
        """Write down what there is."""
        with self._kept.open("w") as file:
            for each in KEPT if self.replaced else KEPT[1:]:
                document = await kubectl("-n", SYSTEM, "get", each, "-o", "yaml")
                lines = document.splitlines(keepends=True)
                file.writelines(line for line in lines if not line.startswith("  resourceVersion:"))
                file.write("---\n")

    async def replace(self) -> None:
        """Put our autoscaler in the place of Knative's."""
        manifests = self.folder / "manifests"
        shutil.copytree(MANIFESTS, manifests, dirs_exist_ok=True)
        _edit(manifests)
        await kubectl("apply", "-k", str(manifests))
        await self._all_run()

    async def go_back(self) -> None:
        """Put Knative's autoscaler back."""
        await kubectl("replace", "-f", str(self._kept))
        if not self.replaced:
            await kubectl("-n", SYSTEM, "delete", "deployment/autoscaler")
        files = (MANIFESTS / "rbac.yaml", MANIFESTS / "poddisruptionbudget.yaml")
        await kubectl("delete", "--ignore-not-found", *(f"--filename={file}" for file in files))
        if self.replaced:
            await self._all_run()

    async def _all_run(self) -> None:
        for deployment in ("autoscaler", "activator", "controller", "webhook"):
            await rolled_out(deployment)


def _edit(manifests: Path) -> None:
    """Name the image and the settings in a copy of the manifests."""
    file = manifests / "kustomization.yaml"
    kustomization = yaml.safe_load(file.read_text())
    name, _, tag = image().rpartition(":")
    kustomization["images"] = [{"name": "kpa", "newName": name, "newTag": tag}]
    file.write_text(yaml.safe_dump(kustomization))
    file = manifests / "config-autoscaler.yaml"
    config_map = yaml.safe_load(file.read_text())
    config_map["data"] = {"_example": config_map["data"]["_example"], **SETTINGS}
    file.write_text(yaml.safe_dump(config_map))


async def leader() -> str:
    """Return the name of the pod that holds the first lease."""
    names = (await kubectl("-n", SYSTEM, "get", "leases", "-o", "name")).split()
    [first, *_] = sorted(name for name in names if "/autoscaler-bucket-" in name)
    lease = await get("lease", first.partition("/")[2])
    return str((lease["spec"].get("holderIdentity") or "").partition("_")[0])


async def autoscaler_pods() -> list[str]:
    """Return the names of the pods of the autoscaler that are not on their way out."""
    found = json.loads(await kubectl("-n", SYSTEM, "get", "pods", "-l", "app=autoscaler", "-o", "json"))
    pods = [each["metadata"] for each in found["items"] if "deletionTimestamp" not in each["metadata"]]
    return [each["name"] for each in pods]
