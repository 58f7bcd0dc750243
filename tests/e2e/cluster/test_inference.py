"""An InferenceService of KServe, as the operator's guide has it, on real pods."""

import asyncio
import time

import pytest

from tests.e2e.cluster.kubectl import follow, get
from tests.e2e.cluster.revisions import app_image, infer

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

RETENTION = 20.0
SMALL = {"cpu": "10m", "memory": "16Mi"}
"""Less than what KServe asks for unless told, so that four fit on a small node."""


async def test_an_inference_service_from_zero_to_many_to_zero(namespace: str, kserve: None) -> None:
    container = {
        "name": "kserve-container",
        "image": app_image(),
        "resources": {"requests": SMALL, "limits": {"cpu": "1", "memory": "256Mi"}},
    }
    predictor = {"minReplicas": 0, "maxReplicas": 4, "containerConcurrency": 4, "containers": [container]}
    revision = await infer(
        namespace,
        "model",
        predictor,
        {
            "serving.kserve.io/deploymentMode": "Knative",
            "autoscaling.knative.dev/window": "10s",
            "autoscaling.knative.dev/scale-to-zero-pod-retention-period": f"{RETENTION:g}s",
        },
    )
    annotations = (await get("kpa", revision.name, namespace))["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "0"
    assert annotations["autoscaling.knative.dev/max-scale"] == "4"
    await revision.at_zero()

    began = time.monotonic()
    assert await revision.ask() == 200
    print(f"from zero: {time.monotonic() - began:.2f} s", flush=True)
    async with revision.load(24) as statuses:
        await revision.reaches(4)
        seen = await follow(revision.replicas, 6)
    ended = time.monotonic()
    assert set(statuses) == {200}
    assert max(replicas.requested for replicas in seen) == 4, "maxReplicas"
    await asyncio.sleep(10)
    assert (await revision.replicas()).requested >= 1
    await revision.at_zero()
    took = time.monotonic() - ended
    print(f"to zero: {took:.1f} s after the last request", flush=True)
    assert took > RETENTION
