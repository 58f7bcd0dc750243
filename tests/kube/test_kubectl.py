"""What the documentation has an operator do with `kubectl`, done to a real API server: there and back.

Left out: what waits for a Deployment to roll out, since there are no nodes, and the component for the
Prometheus operator, whose kinds are not there.
"""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.go_programs import ROOT
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import MANIFESTS, SYSTEM, reset_system
from tests.kube.programs import knative, program

pytestmark = pytest.mark.kube

PAGE = ROOT / "docs" / "replace-knative.md"
KNATIVES = ("config/core/deployments/autoscaler.yaml", "config/core/configmaps/autoscaler.yaml")


class Operator:
    """Somebody at a shell in a folder of his own, with the admin's rights."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self._folder = folder
        path = f"{program('kubectl').parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}

    def does(self, command: str, code: int = 0) -> str:
        """Run a command, as the documentation has it, and return what it prints."""
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def sees(self, what: str) -> Any:
        """Read an object of the system namespace."""
        return yaml.safe_load(self.does(f"kubectl -n {SYSTEM} get {what} -o yaml"))


@pytest.fixture
async def operator(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Operator]:
    """An operator of a cluster with Knative; what he leaves is what the other tests begin with."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "manifests").symlink_to(MANIFESTS)
    operator = Operator(tmp_path, control_plane.kubeconfig(tmp_path / "kubeconfig"))
    for file in KNATIVES:
        operator.does(f"kubectl apply -f {knative('serving') / file}")
    yield operator
    operator.does(f"kubectl -n {SYSTEM} delete deployment/autoscaler pdb/autoscaler-pdb --ignore-not-found")
    operator.does(f"kubectl apply -f {MANIFESTS / 'rbac.yaml'}")
    async with control_plane.api() as api:
        await reset_system(api)


def block(beginning: str) -> str:
    """Return the commands of the page that begin so, up to the next empty line."""
    text = PAGE.read_text()
    start = text.index(f"\n    {beginning}")
    return text[start : text.index("\n\n", start)]


def without_waiting(commands: str) -> str:
    """Leave out what waits for pods."""
    return "\n".join(line for line in commands.splitlines() if "rollout status" not in line)


async def test_what_the_page_says_puts_it_in_knatives_place_and_back(operator: Operator) -> None:
    kept = ("deployment/autoscaler", "configmap/config-autoscaler")
    before = [operator.sees(what) for what in kept]
    operator.does(block("for each in deployment/autoscaler"))

    difference = operator.does("kubectl diff -k config/manifests", code=1)
    assert "+        image: kpa:latest\n" in difference
    assert "+  defaults: inference\n" in difference
    told = operator.does("kubectl apply -k config/manifests --dry-run=server")
    assert told.count("(server dry run)") == len(told.splitlines()) == 7
    assert [operator.sees(what) for what in kept] == before

    operator.does("kubectl apply -k config/manifests")
    deployment = operator.sees("deployment/autoscaler")["spec"]
    [container] = deployment["template"]["spec"]["containers"]
    assert (container["image"], container["args"], deployment["replicas"]) == ("kpa:latest", ["serve"], 2)
    assert operator.sees("configmap/config-autoscaler")["data"]["defaults"] == "inference"
    assert operator.does("kubectl diff -k config/manifests") == "", "all of it is applied"

    operator.does(without_waiting(block("kubectl replace -f knative-autoscaler.yaml")))
    after = [operator.sees(what) for what in kept]
    assert [each.get("spec") for each in after] == [each.get("spec") for each in before]
    assert [each.get("data") for each in after] == [each.get("data") for each in before]
    gone = "role/knative-serving-kpa clusterrole/knative-serving-kpa pdb/autoscaler-pdb"
    assert operator.does(f"kubectl -n {SYSTEM} get {gone} --ignore-not-found") == ""


async def test_a_shadow_can_be_applied(operator: Operator) -> None:
    told = operator.does("kubectl apply -k config/manifests/shadow --dry-run=server")
    assert told.count("(server dry run)") == len(told.splitlines())
    assert "deployment.apps/kpa-shadow created" in told
