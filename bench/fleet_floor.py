"""What the API server alone needs for a take-up: the least writes there are, by a client that only writes.

A revision's PodAutoscaler and the two statuses of its ServerlessService are others' writes; the other five
are an autoscaler's. No autoscaler runs meanwhile, nobody watches, nothing is logged or decided: no autoscaler
that writes as much can take less time on this machine.
"""

import asyncio
import time

from fleet_cluster import CONTAINER_CONCURRENCY, uid

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.kube.objects import Metric, PodAutoscaler, ServerlessService
from kpa.kube.objects.metric_status import metric_status_body
from kpa.kube.objects.owned_resources import metric_body, metric_spec, sks_body, sks_spec
from kpa.kube.objects.pa_status import PassOutcome, pa_status, status_body
from scaler.rules.scale_to_zero import Activity
from tests.kube import objects
from tests.kube.api import Api, Json, path
from tests.kube.control_plane import ControlPlane

NAMESPACE = "floor"
AT_A_TIME = 16
PODS = 3
ACTIVATORS = 3


class _Writer:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._settings = resolve(AutoscalerConfig.from_config_map({}), {}, CONTAINER_CONCURRENCY)

    async def take_up(self, name: str) -> None:
        """Write all that is written for a revision, in the order in which it must be."""
        made = objects.pod_autoscaler(name, uid(name), CONTAINER_CONCURRENCY, {}, "Reachable")
        pa = PodAutoscaler.from_json(await self._api.post(path("podautoscalers", NAMESPACE), made))
        sks = await self._put("serverlessservices", sks_body(pa, None, sks_spec(pa, proxied=True)))
        sks = await self._serve(sks)
        metric = metric_body(pa, None, metric_spec(self._settings, f"{name}-private"))
        known = Metric.from_json(await self._put("metrics", metric))
        wanted = sks_spec(pa, proxied=True, activators=ACTIVATORS)
        sks = await self._put("serverlessservices", sks_body(pa, ServerlessService.from_json(sks), wanted))
        sks = await self._serve(sks)
        outcome = PassOutcome(PODS, PODS, 1, Activity.ACTIVE, initialized=True)
        status = pa_status(pa, outcome, ServerlessService.from_json(sks), time.time())
        await self._put("podautoscalers", status_body(pa, status), "status")
        await self._put("metrics", metric_status_body(known, None, time.time()), "status")

    async def _serve(self, sks: Json) -> Json:
        return await self._put(
            "serverlessservices", {**sks, "status": objects.sks_status(sks, PODS)}, "status"
        )

    async def _put(self, kind: str, body: Json | None, *parts: str) -> Json:
        """Replace an object, or a part of it; create one that has no version yet."""
        assert body is not None
        metadata = body["metadata"]
        if "resourceVersion" not in metadata:
            return await self._api.post(path(kind, NAMESPACE), body)
        return await self._api.put(path(kind, NAMESPACE, metadata["name"], *parts), body)

    async def clear(self) -> None:
        """Delete all of it."""
        for kind in ("podautoscalers", "metrics", "serverlessservices"):
            await self._api.delete(path(kind, NAMESPACE))


async def floor(control_plane: ControlPlane, names: list[str]) -> float:
    """Return the seconds that the writes of a take-up of so many revisions take."""
    async with control_plane.api() as api:
        writer, rest = _Writer(api), iter(names)
        await api.post(path("namespaces"), {"metadata": {"name": NAMESPACE}})

        async def work() -> None:
            for name in rest:
                await writer.take_up(name)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(work())
        seconds = time.monotonic() - began
        await writer.clear()
    return seconds
