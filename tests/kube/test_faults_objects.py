"""`kpa serve` and objects that go while it works on them, or that cannot be written."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.kube.api import path
from tests.kube.audit import Requests
from tests.kube.knative_double import Knative
from tests.kube.serving import Autoscaler

pytestmark = pytest.mark.kube

QUICK = {"stable-window": "6s", "scale-down-delay": "0s", "tick-interval": "1s"}
REVISIONS = 12
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDING = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


async def test_podautoscalers_that_go_in_the_middle_of_a_tick_leave_nothing(
    knative: Knative, autoscaler: Autoscaler, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    serving = await autoscaler.start()
    stays = await knative.create("stays-00001", container_concurrency=10)
    stays.load(5.0)
    for number in range(3):
        names = [f"gone-{number}{index:04d}" for index in range(REVISIONS)]
        gone = await asyncio.gather(*(knative.create(name, container_concurrency=10) for name in names))
        for revision in gone:
            revision.load(5.0)
        await knative.until(
            lambda: all(each.condition("Ready") == ("True", "") for each in gone),  # noqa: B023
            "ready",
            60,
        )
        for revision in gone:
            revision.load(34.0)
        await knative.until(lambda: any(each.replicas == 5 for each in gone), "some are scaled")  # noqa: B023
        await asyncio.gather(*(each.delete() for each in gone))
    async with asyncio.timeout(60):
        while any("gone-" in name for name in await serving.telemetry()):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # what was on its way has arrived
    before = len(requests())
    await asyncio.sleep(3.0)
    assert not [each for each in requests()[before:] if each.writes and each.name.startswith("gone-")]
    assert await knative.api.items(path("events", knative.namespace)) == []
    stays.load(34.0)
    await knative.until(lambda: stays.replicas == 5, "the others go on")


@pytest.fixture
async def refused(knative: Knative) -> AsyncIterator[None]:
    """Let the API server refuse all scalings of one Deployment, as an admission webhook does."""
    name = f"no-scaling-{knative.namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{**rule, "resources": ["deployments/scale"]}]},
            "validations": [
                {"expression": "!object.metadata.name.startsWith('sick')", "message": "not with me"}
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    await knative.api.post(WEBHOOK, policy)
    await knative.api.post(BINDING, binding)
    yield
    await knative.api.delete(f"{BINDING}/{name}")
    await knative.api.delete(f"{WEBHOOK}/{name}")


async def test_a_revision_that_cannot_be_scaled_says_so_once_and_counts(
    knative: Knative, autoscaler: Autoscaler, refused: None, requests: Requests
) -> None:
    await knative.configure("config-autoscaler", QUICK)
    autoscaler.may_be_forbidden = True  # what a policy denies is forbidden
    await autoscaler.start()
    sick = await knative.create("sick-00001", container_concurrency=10)
    well = await knative.create("well-00001", container_concurrency=10)
    for revision in (sick, well):
        revision.load(5.0)
    await knative.until(lambda: all(r.condition("Ready") == ("True", "") for r in (sick, well)), "ready")
    await asyncio.sleep(3.0)  # a new policy is not in force at once
    for revision in (sick, well):
        revision.load(34.0)
    await knative.until(lambda: well.replicas == 5, "the other one is scaled")

    async def told() -> list[dict[str, object]]:
        found: list[dict[str, object]] = await knative.api.items(path("events", knative.namespace))
        return found

    async with asyncio.timeout(60):
        while not (events := await told()) or int(str(events[0]["count"])) < 3:
            await asyncio.sleep(0.1)
    [event] = events
    assert (event["type"], event["reason"]) == ("Warning", "InternalError")
    message = str(event["message"])
    assert message.startswith(
        "error scaling target: failed to apply scale 5 to scale target sick-00001-deployment: "
    )
    assert message.endswith("not with me")
    assert sick.replicas == 1
    verbs = [each.verb for each in requests() if each.resource == "events"]
    assert verbs[:2] == ["create", "patch"]
    assert set(verbs[1:]) == {"patch"}
