"""Asking activators whether they answer for a revision: a real one, and ones that misbehave."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kpa.kube.objects import PodAutoscaler
from kpa.kube.revisions import activator_probes
from kpa.kube.revisions.activator_probes import ActivatorProbes
from metrics.key import Key
from tests.kpa.kube import kube_samples as samples
from tests.kube.stub_activator import Mode, StubActivator, activator
from tests.waiting import until

KEY = Key("shop", "cart-00002")
_getaddrinfo = socket.getaddrinfo


class Asked:
    """Probes of one revision at an activator of the test."""

    def __init__(self, stub: StubActivator) -> None:
        self.stub = stub
        self.now = 1000.0
        self.answered: list[Key] = []
        self.podautoscalers = {KEY: podautoscaler()}
        self.probes = ActivatorProbes(
            self.podautoscalers, "cluster.test", self.answered.append, lambda: self.now
        )

    async def question(self) -> bool:
        """Ask, wait until the question is settled, and return what is said then."""
        assert not self.probes.answer(KEY)
        await until(lambda: not self.probes._probing, "the question is settled")
        return self.probes.answer(KEY)


def podautoscaler(
    active: str = "False", service: str = "cart-00002", protocol: str = "http1"
) -> PodAutoscaler:
    """Return a PodAutoscaler whose condition `Active` is so."""
    conditions = [{"type": "Active", "status": active, "reason": "NoTraffic"}]
    status = {"serviceName": service, "metricsServiceName": "", "conditions": conditions}
    return samples.pod_autoscaler(spec={"protocolType": protocol}, status=status)


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """Names of the cluster lead to the activator."""
    async with activator() as stub:

        def getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
            if str(host) == "cart-00002.shop.svc.cluster.test":
                return _getaddrinfo(stub.address, stub.port, type=socket.SOCK_STREAM)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(activator_probes, "_DEADLINE", 600.0)
        asked = Asked(stub)
        yield asked
        await asked.probes.close()


@pytest.mark.parametrize(("protocol", "port"), [("http1", ""), ("h2c", ":81")])
async def test_an_activator_is_asked_as_knative_asks(asked: Asked, protocol: str, port: str) -> None:
    asked.podautoscalers[KEY] = podautoscaler(protocol=protocol)
    assert await asked.question()
    assert asked.stub.probes == [(f"cart-00002.shop.svc.cluster.test{port}", "//healthz")]
    assert asked.stub.headers["User-Agent"] == "Knative-Autoscaling-Probe"
    assert asked.stub.headers["K-Network-Probe"] == "activator"
    assert asked.answered == [KEY]


async def test_an_answer_counts_once(asked: Asked) -> None:
    assert await asked.question()
    assert not asked.probes.answer(KEY)


async def test_an_old_answer_does_not_count(asked: Asked) -> None:
    assert not asked.probes.answer(KEY)
    await until(lambda: asked.answered, "an answer")
    asked.now += 5.1
    assert not asked.probes.answer(KEY)


@pytest.mark.parametrize("mode", ["unavailable", "pod", "longer", "hang"])
async def test_who_does_not_answer_as_an_activator_is_none(
    asked: Asked, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activator_probes, "_DEADLINE", 0.3)
    asked.stub.mode = mode
    assert not await asked.question()
    assert asked.answered == []


async def test_an_answer_in_pieces_is_one(asked: Asked) -> None:
    asked.stub.mode = "pieces"
    assert await asked.question()


async def test_a_name_that_leads_nowhere_is_no_activator(asked: Asked) -> None:
    asked.podautoscalers[KEY] = podautoscaler(service="somewhere-else")
    assert not await asked.question()


@pytest.mark.parametrize(
    "pa",
    [podautoscaler(active="True"), podautoscaler(active="Unknown"), samples.pod_autoscaler()],
    ids=["active", "activating", "new"],
)
async def test_nobody_is_asked_about_a_revision_that_is_not_inactive(asked: Asked, pa: PodAutoscaler) -> None:
    asked.podautoscalers[KEY] = pa
    assert not await asked.question()
    assert asked.stub.probes == []


async def test_nobody_is_asked_without_a_service(asked: Asked) -> None:
    asked.podautoscalers[KEY] = podautoscaler(service="")
    assert not await asked.question()
    assert asked.stub.probes == []


async def test_one_question_at_a_time(asked: Asked) -> None:
    asked.stub.mode = "hang"
    assert not asked.probes.answer(KEY)
    await until(lambda: asked.stub.probes, "a probe")
    for _ in range(5):
        assert not asked.probes.answer(KEY)
        await asyncio.sleep(0.02)
    assert len(asked.stub.probes) == 1


async def test_an_answer_for_a_revision_that_is_gone_is_not_kept(asked: Asked) -> None:
    assert not asked.probes.answer(KEY)
    del asked.podautoscalers[KEY]
    await until(lambda: not asked.probes._probing, "the question is settled")
    assert asked.answered == []
    assert not asked.probes.answer(KEY)


async def test_the_end_waits_for_nobody(asked: Asked) -> None:
    asked.stub.mode = "hang"
    asked.probes.answer(KEY)
    await until(lambda: asked.stub.probes, "a probe")
    async with asyncio.timeout(30):
        await asked.probes.close()
    assert not asked.probes._probing
