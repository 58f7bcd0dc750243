"""One pass over a PodAutoscaler: what is written, in which order, and what happens when a step fails."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from config.autoscaler import AutoscalerConfig
from config.resolve import RevisionSettings, resolve
from kpa.controller.cluster import Outcome
from kpa.kube.api.errors import AlreadyExists, Conflict, Forbidden, KubeError, NotFound, Unreachable
from kpa.kube.api.resource import Resource
from kpa.kube.objects import Metric, PodAutoscaler, ScaleTarget, ServerlessService
from kpa.kube.revisions.priority_limiter import Permit, PriorityLimiter, Superseded
from kpa.kube.revisions.reconcile import RevisionReconciler
from metrics.key import Key
from metrics.sampling.failures import ScrapeProblem
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.kpa.kube import kube_samples as samples
from tests.kpa.local.helpers import until

KEY = Key("shop", "cart-00002")
ACTIVE = LifecycleState(Activity.ACTIVE, samples.T0, initialized=True)


class Client:
    """Stores nothing: notes each request, answers with what was sent, or fails as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.fails: dict[tuple[str, str], list[KubeError]] = {}
        self.stored: dict[str, dict[str, Any]] = {}

    async def _take(self, verb: str, what: str, body: Any) -> dict[str, Any]:
        self.requests.append((verb, what))
        self.bodies.append(body)
        if self.fails.get((verb, what)):
            raise self.fails[verb, what].pop(0)
        return body if isinstance(body, dict) else {}

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        return await self._take("get", resource.plural, self.stored[resource.plural])

    async def create(self, resource: Resource, namespace: str, body: Any) -> dict[str, Any]:
        return await self._take("create", resource.plural, body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Any) -> dict[str, Any]:
        return await self._take("replace", resource.plural, body)

    async def replace_status(
        self, resource: Resource, namespace: str, name: str, body: Any
    ) -> dict[str, Any]:
        return await self._take("replace", f"{resource.plural}/status", body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        answer = {"metadata": {"namespace": namespace, "name": name}, **body}
        await self._take("patch", resource.plural, answer)
        return answer

    async def patch_replicas(
        self, resource: Resource, namespace: str, name: str, replicas: int
    ) -> dict[str, Any]:
        return await self._take("patch", f"{resource.plural}/scale={replicas}", None)


class World:
    """Caches, a client, and passes over them."""

    def __init__(self, replicas: int = 2, ready: int = 2) -> None:
        self.client = Client()
        self.podautoscalers = {KEY: PodAutoscaler.from_json(samples.POD_AUTOSCALER)}
        self.serverlessservices = {KEY: ServerlessService.from_json(samples.SERVERLESS_SERVICE)}
        self.metrics: dict[Key, Metric] = {}
        self.metric_body: dict[str, Any] = {}
        self.target: ScaleTarget | None = ScaleTarget(Key("shop", "cart-00002-deployment"), replicas)
        self.ready = ready
        self.learned: list[str] = []
        self.reconciler = RevisionReconciler(self.client, self, "autoscaler-1", lambda: samples.T0)  # type: ignore[arg-type]

    def scale_target(self, pa: PodAutoscaler) -> ScaleTarget | None:
        return self.target

    def ready_pods(self, pa: PodAutoscaler) -> int:
        return self.ready

    def learn(self, resource: Resource, written: dict[str, Any]) -> None:
        self.learned.append(resource.plural)

    async def reconcile(self, job: Any) -> None:
        await self.reconciler.reconcile(KEY, job, Permit(PriorityLimiter(), 0))

    @property
    def pa(self) -> PodAutoscaler:
        return self.podautoscalers[KEY]

    def settle(self) -> None:
        """Let the caches have what was written."""
        for (_, what), body in zip(self.client.requests, self.client.bodies, strict=True):
            match what:
                case "metrics":
                    self.metric_body = body
                    self.metrics[KEY] = Metric.from_json(_numbered(body))
                case "metrics/status":
                    stored = {**_numbered(self.metric_body), "status": body["status"]}
                    self.metrics[KEY] = Metric.from_json(stored)
                case "serverlessservices":
                    stored = {**_numbered(body), "status": samples.SERVERLESS_SERVICE["status"]}
                    self.serverlessservices[KEY] = ServerlessService.from_json(stored)
                case "podautoscalers/status":
                    stored = {**samples.POD_AUTOSCALER, "status": body["status"]}
                    self.podautoscalers[KEY] = PodAutoscaler.from_json(stored)
        self.client.requests.clear()
        self.client.bodies.clear()


def _numbered(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "generation": 3}}


def settings() -> RevisionSettings:
    return resolve(AutoscalerConfig.from_config_map({}), {}, 10)


def outcome(replicas: int | None = 2, proxied: bool = True) -> Outcome:
    """Return an outcome that asks for so many replicas."""
    plan = Plan(replicas if replicas is not None else -1, replicas, None, proxied, ACTIVE)
    return Outcome(plan, SimpleNamespace(), settings())  # type: ignore[arg-type]


async def settled(world: World, job: Any) -> None:
    """Carry a job out until nothing is left to write."""
    for _ in range(4):
        if not world.reconciler.needed(KEY, job):
            return
        await world.reconcile(job)
        world.settle()
    raise AssertionError(f"something is always left to write: {world.client.requests}")


async def test_a_first_pass_writes_scale_metric_services_and_status_in_this_order() -> None:
    world = World(replicas=1)
    await world.reconcile(outcome(replicas=3, proxied=False))
    assert [what for _, what in world.client.requests] == [
        "deployments/scale=3",
        "metrics",
        "serverlessservices",
        "podautoscalers/status",
    ]


async def test_the_metric_says_once_that_its_load_cannot_be_collected_and_once_that_it_can() -> None:
    world, job = World(), outcome()
    await settled(world, job)
    failing = replace(job, problem=ScrapeProblem("CollectionFailed", "pods exhausted: connect"))
    for current, status, reason in [(failing, "False", "CollectionFailed"), (job, "True", "")]:
        assert world.reconciler.needed(KEY, current)
        await world.reconcile(current)
        assert [what for _, what in world.client.requests] == ["metrics/status"]
        world.settle()
        (condition,) = world.metrics[KEY].conditions
        assert (condition.status, condition.reason) == (status, reason)
        assert not world.reconciler.needed(KEY, current)


async def test_what_is_as_it_should_be_stays_untouched() -> None:
    world, job = World(), outcome()
    await settled(world, job)
    assert not world.reconciler.needed(KEY, job)
    await world.reconcile(job)
    assert world.client.requests == []


@pytest.mark.parametrize("replicas", [None, 2], ids=["not known", "as they are"])
async def test_no_scale_is_asked_for_that_is_there_or_not_known(replicas: int | None) -> None:
    world = World(replicas=2)
    await world.reconcile(outcome(replicas))
    assert not [what for _, what in world.client.requests if "/scale" in what]


async def test_a_revision_without_services_gets_them_and_nothing_else() -> None:
    world = World()
    world.serverlessservices.clear()
    await world.reconcile(settings())
    assert world.client.requests == [("create", "serverlessservices"), ("replace", "podautoscalers/status")]
    assert world.client.bodies[0]["spec"]["mode"] == "Proxy"
    assert world.client.bodies[1]["status"]["desiredScale"] == -1


async def test_an_outcome_for_a_revision_that_lost_its_services_waits_for_new_ones() -> None:
    world, job = World(), outcome(replicas=5, proxied=False)
    world.serverlessservices.clear()
    await world.reconcile(job)
    assert [what for _, what in world.client.requests] == ["serverlessservices", "podautoscalers/status"]
    assert world.client.bodies[0]["spec"]["mode"] == "Proxy"
    conditions = {each["type"]: each for each in world.client.bodies[1]["status"]["conditions"]}
    assert conditions["SKSReady"]["reason"] == "NotReady"


async def test_services_that_the_cache_does_not_know_yet_are_read() -> None:
    world = World()
    world.serverlessservices.clear()
    world.client.stored["serverlessservices"] = samples.SERVERLESS_SERVICE
    world.client.fails["create", "serverlessservices"] = [AlreadyExists("there is one")]
    await world.reconcile(settings())
    assert world.client.requests[:2] == [("create", "serverlessservices"), ("get", "serverlessservices")]


async def test_a_failing_step_ends_the_pass_with_a_status_and_an_event() -> None:
    world = World(replicas=1)
    world.client.fails["patch", "deployments/scale=3"] = [Forbidden("patch is forbidden", 403)]
    with pytest.raises(Forbidden):
        await world.reconcile(outcome(replicas=3, proxied=False))
    assert [what for _, what in world.client.requests] == [
        "deployments/scale=3",
        "podautoscalers/status",
        "events",
    ]
    assert world.client.bodies[-1]["reason"] == "InternalError"
    assert world.client.bodies[-1]["message"] == (
        "error scaling target: failed to apply scale 3 to scale target cart-00002-deployment: "
        "patch is forbidden"
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("metrics", "error reconciling Metric: error creating metric: no"),
        ("serverlessservices", "error reconciling SKS: error updating SKS cart-00002: no"),
        ("podautoscalers/status", 'Failed to update status for "cart-00002": no'),
    ],
)
async def test_an_event_names_the_step_in_the_words_of_the_peer(what: str, said: str) -> None:
    world = World()
    verb = "create" if what == "metrics" else "replace"
    world.client.fails[verb, what] = [Forbidden(f"{verb} {what} x: no (403)", 403, said="no")]
    with pytest.raises(Forbidden):
        await world.reconcile(outcome(proxied=False))
    assert world.client.requests[-1] == ("create", "events")
    assert world.client.bodies[-1]["message"] == said
    assert world.client.bodies[-1]["source"] == {"component": "podautoscaler-controller"}


async def test_a_metric_whose_status_cannot_be_written_hinders_nothing() -> None:
    world, job = World(), outcome()
    await world.reconcile(job)
    world.settle()
    world.client.fails["replace", "metrics/status"] = [Forbidden("no", 403)]
    with pytest.raises(Forbidden):
        await world.reconcile(outcome(replicas=7, proxied=False))
    assert [what for _, what in world.client.requests] == [
        "deployments/scale=7",
        "serverlessservices",
        "podautoscalers/status",
        "metrics/status",
        "events",
    ]
    event = world.client.bodies[-1]
    assert (event["reason"], event["involvedObject"]["kind"]) == ("UpdateFailed", "Metric")
    assert event["source"] == {"component": "metric-controller"}
    assert event["message"] == 'Failed to update status for "cart-00002": no'


async def test_a_revision_that_fails_again_and_again_has_one_event_that_counts() -> None:
    world = World(replicas=1)
    world.client.fails["patch", "deployments/scale=3"] = [Forbidden("no", 403) for _ in range(3)]
    for _ in range(3):
        with pytest.raises(Forbidden):
            await world.reconcile(outcome(replicas=3))
    told = [request for request in world.client.requests if request[1] == "events"]
    assert told == [("create", "events"), ("patch", "events"), ("patch", "events")]
    assert world.client.bodies[-1]["count"] == 3


async def test_one_that_goes_in_the_middle_of_a_pass_is_complained_about_to_nobody() -> None:
    world = World(replicas=1)
    world.client.fails["replace", "podautoscalers/status"] = [NotFound("not found", 404)]
    await world.reconcile(outcome(replicas=3))
    assert world.client.requests[-1] == ("replace", "podautoscalers/status")

    async def go(*_: Any) -> dict[str, Any]:
        world.podautoscalers.clear()
        raise NotFound("not found", 404)

    world.client.patch_replicas = go  # type: ignore[assignment, method-assign]
    world.client.requests.clear()
    with pytest.raises(NotFound):
        await world.reconcile(outcome(replicas=4))
    assert not [what for _, what in world.client.requests if what != "metrics"]


async def test_what_failed_is_raised_even_if_it_cannot_be_said() -> None:
    world = World(replicas=1)
    world.client.fails["patch", "deployments/scale=3"] = [Forbidden("patch is forbidden", 403)]
    world.client.fails["replace", "podautoscalers/status"] = [Forbidden("neither is this", 403)]
    with pytest.raises(Forbidden, match="patch is forbidden"):
        await world.reconcile(outcome(replicas=3))


@pytest.mark.parametrize(
    "error", [Conflict("it changed"), Unreachable("no answer")], ids=["conflict", "away"]
)
async def test_a_conflict_and_an_absent_server_are_told_to_nobody(error: KubeError) -> None:
    world = World(replicas=1)
    world.client.fails["patch", "deployments/scale=3"] = [error]
    with pytest.raises(type(error)):
        await world.reconcile(outcome(replicas=3))
    assert [what for _, what in world.client.requests] == ["deployments/scale=3"]


async def test_a_child_of_another_owner_is_left_alone() -> None:
    world = World()
    foreign = {**samples.SERVERLESS_SERVICE, "metadata": {"namespace": "shop", "name": "cart-00002"}}
    world.serverlessservices[KEY] = ServerlessService.from_json(foreign)
    assert world.reconciler.needed(KEY, outcome())
    with pytest.raises(Exception, match="does not own SKS"):
        await world.reconcile(outcome())
    assert [what for _, what in world.client.requests] == ["podautoscalers/status", "events"]
    conditions = {each["type"]: each for each in world.client.bodies[0]["status"]["conditions"]}
    assert (conditions["Active"]["status"], conditions["Active"]["reason"]) == ("False", "NotOwned")


async def test_a_metric_of_another_owner_is_left_alone_also_while_services_are_missing() -> None:
    world = World()
    foreign = {**samples.METRIC, "metadata": {"namespace": "shop", "name": "cart-00002"}}
    world.metrics[KEY] = Metric.from_json(foreign)
    with pytest.raises(Exception, match="does not own Metric"):
        await world.reconcile(outcome())
    assert [what for _, what in world.client.requests] == ["podautoscalers/status", "events"]
    world.serverlessservices.clear()
    world.client.requests.clear()
    await world.reconcile(settings())
    assert "metrics/status" not in [what for _, what in world.client.requests]


async def test_a_status_is_written_on_what_somebody_else_stored_meanwhile() -> None:
    world = World()
    newer = {
        **samples.POD_AUTOSCALER,
        "metadata": {**samples.POD_AUTOSCALER["metadata"], "resourceVersion": "99"},
    }
    world.client.stored["podautoscalers"] = newer
    world.client.fails["replace", "podautoscalers/status"] = [Conflict("it changed")] * 2
    await world.reconcile(settings())
    statuses = [
        body
        for (_, what), body in zip(world.client.requests, world.client.bodies, strict=True)
        if what == "podautoscalers/status"
    ]
    assert [body["metadata"]["resourceVersion"] for body in statuses] == ["41", "99", "99"]


async def test_a_status_is_given_up_after_five_conflicts() -> None:
    world = World()
    world.client.stored["podautoscalers"] = samples.POD_AUTOSCALER
    world.client.fails["replace", "podautoscalers/status"] = [Conflict("it changed")] * 5
    with pytest.raises(Conflict):
        await world.reconcile(settings())
    assert world.client.requests.count(("replace", "podautoscalers/status")) == 5


@pytest.mark.parametrize("gone", ["missing", "deleted"])
async def test_nothing_is_done_about_one_that_goes(gone: str) -> None:
    world = World()
    if gone == "missing":
        world.podautoscalers.clear()
    else:
        metadata = {**samples.POD_AUTOSCALER["metadata"], "deletionTimestamp": "2023-11-14T22:13:20Z"}
        leaving = {**samples.POD_AUTOSCALER, "metadata": metadata}
        world.podautoscalers[KEY] = PodAutoscaler.from_json(leaving)
    assert not world.reconciler.needed(KEY, outcome(replicas=9))
    await world.reconcile(outcome(replicas=9))
    assert world.client.requests == []


def conditions_written(world: World) -> dict[str, str]:
    """Return the statuses of the conditions that were written last."""
    return {each["type"]: each["status"] for each in world.client.bodies[-1]["status"]["conditions"]}


async def test_an_initial_scale_that_was_reached_counts_even_if_pods_went_before_that_was_written() -> None:
    world = World(ready=0)
    await world.reconcile(outcome(replicas=1))  # three were ready when this was decided
    assert conditions_written(world)["ScaleTargetInitialized"] == "True"


@pytest.mark.parametrize(
    ("decided", "ready", "written"),
    [(Activity.ACTIVATING, 1, "True"), (Activity.ACTIVE, 1, "True"), (Activity.ACTIVE, 0, "Unknown")],
    ids=["became ready", "is ready", "became unready"],
)
async def test_a_status_fits_the_pods_that_it_counts(decided: Activity, ready: int, written: str) -> None:
    world = World(ready=ready)
    job = outcome()
    plan = replace(job.plan, lifecycle=replace(ACTIVE, activity=decided))
    await world.reconcile(replace(job, plan=plan))
    assert world.client.bodies[-1]["status"]["actualScale"] == ready
    assert conditions_written(world)["Active"] == written


async def test_what_each_write_was_answered_with_is_learned() -> None:
    world = World(replicas=1)
    await world.reconcile(outcome(replicas=3, proxied=False))
    world.settle()
    world.target = ScaleTarget(Key("shop", "cart-00002-deployment"), 3)
    await world.reconcile(outcome(replicas=3, proxied=False))
    assert world.learned == ["deployments", "metrics", "serverlessservices", "podautoscalers", "metrics"]


@pytest.mark.parametrize(
    ("limits", "before", "written"),
    [
        ((1, 1, 0, 0), "podautoscalers/status", ["deployments/scale=3", "serverlessservices"]),
        (
            (1, 1, 1, 0),
            "metrics/status",
            ["deployments/scale=3", "serverlessservices", "podautoscalers/status"],
        ),
    ],
    ids=["all statuses", "that of the Metric"],
)
async def test_statuses_come_after_what_others_need_and_fall_to_a_newer_job(
    limits: tuple[int, ...], before: str, written: list[str]
) -> None:
    world, limiter = World(replicas=3), PriorityLimiter(limits)
    await settled(world, outcome(replicas=3))
    world.target, world.ready = ScaleTarget(Key("shop", "cart-00002-deployment"), 1), 1
    failing = replace(outcome(replicas=3, proxied=False), problem=ScrapeProblem("CollectionFailed", "no pod"))
    permit = Permit(limiter, limiter.number())
    working = asyncio.create_task(world.reconciler.reconcile(KEY, failing, permit))
    await until(lambda: len(world.client.requests) == len(written), f"all but {before}")
    permit.supersede()
    with pytest.raises(Superseded):
        await working
    assert [what for _, what in world.client.requests] == written
