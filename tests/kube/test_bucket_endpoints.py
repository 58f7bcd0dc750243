"""The Services of our buckets on a real API server, with our rights.

Covered: what is created, taken over and left alone, other replicas that write late, an API server that is
away, what is refused. Left out: the traffic (tests/kpa/kube/test_forwarder.py).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kpa.kube.api.client import KubeClient
from kpa.kube.election.bucket_endpoints import BucketEndpoints
from tests.kube.api import Api, ApiError, path
from tests.kube.audit import Requests
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM

pytestmark = pytest.mark.kube

BUCKET, OTHER = "autoscaler-bucket-00-of-02", "autoscaler-bucket-01-of-02"
DEADLINE = 60.0
Json = dict[str, Any]
Make = Callable[..., BucketEndpoints]


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    async with control_plane.api() as api:
        yield api
        for bucket in (BUCKET, OTHER):
            await api.delete(path("services", SYSTEM, bucket))
            await api.delete(path("endpointslices", SYSTEM, bucket))


@pytest.fixture
async def make(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    client = KubeClient.from_environment()
    made: list[BucketEndpoints] = []

    def make(ip: str, **options: Any) -> BucketEndpoints:
        made.append(BucketEndpoints(client, SYSTEM, ip, **options))
        return made[-1]

    yield make
    for endpoints in made:
        await endpoints.close()
    await client.close()


async def read(api: Api, kind: str, bucket: str = BUCKET) -> Json | None:
    try:
        return await api.get(path(kind, SYSTEM, bucket))
    except ApiError as error:
        if error.status != 404:
            raise
        return None


async def slice_at(api: Api, ip: str, bucket: str = BUCKET) -> Json:
    """Wait until the EndpointSlice of a bucket names an address."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = await read(api, "endpointslices", bucket)
            if found and found["endpoints"] and found["endpoints"][0]["addresses"] == [ip]:
                return found
            await asyncio.sleep(0.05)


def version(found: Json) -> str:
    return str(found["metadata"]["resourceVersion"])


def writes(requests: Requests) -> list[tuple[str, str, str, int]]:
    return [
        (request.verb, request.resource, request.name, request.status)
        for request in requests()
        if request.writes
    ]


@pytest.mark.parametrize(("ip", "family"), [("10.1.2.3", "IPv4"), ("fd00::17", "IPv6")])
async def test_a_bucket_that_we_hold_leads_to_us(api: Api, make: Make, ip: str, family: str) -> None:
    make(ip).hold(BUCKET)
    found = await slice_at(api, ip)
    assert found["addressType"] == family
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["metadata"]["labels"] == {"kubernetes.io/service-name": BUCKET}

    service = await read(api, "services")
    assert service is not None
    assert "selector" not in service["spec"]
    [port] = service["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"], port["protocol"]) == ("http", 8080, 8080, "TCP")
    assert await read(api, "services", OTHER) is None


async def test_the_next_holder_takes_it_over_and_keeps_what_others_added(
    api: Api, make: Make, requests: Requests
) -> None:
    first, second = make("10.1.2.3"), make("10.1.2.4")
    first.hold(BUCKET)
    await slice_at(api, "10.1.2.3")
    labelled = {"metadata": {"labels": {"team": "serving"}}}
    await api.patch(path("endpointslices", SYSTEM, BUCKET), labelled)

    first.release(BUCKET)
    second.hold(BUCKET)

    found = await slice_at(api, "10.1.2.4")
    assert found["metadata"]["labels"] == {"kubernetes.io/service-name": BUCKET, "team": "serving"}
    assert writes(requests) == [
        ("create", "services", BUCKET, 201),
        ("create", "endpointslices", BUCKET, 201),
        ("create", "services", BUCKET, 409),
        ("update", "endpointslices", BUCKET, 200),
    ]


async def test_nothing_is_written_where_all_is_as_it_should_be(
    api: Api, make: Make, requests: Requests
) -> None:
    make("10.1.2.3").hold(BUCKET)
    before = await slice_at(api, "10.1.2.3")
    ready = [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    before = await api.patch(path("endpointslices", SYSTEM, BUCKET), {"endpoints": ready})
    written = len(writes(requests))

    again = make("10.1.2.3", check_every=0.1)
    again.hold(BUCKET)
    again.hold(BUCKET)
    async with asyncio.timeout(DEADLINE):
        while sum(request.verb == "get" for request in requests()) < 6:
            await asyncio.sleep(0.05)

    assert await read(api, "endpointslices") == before
    assert writes(requests)[written:] == [("create", "services", BUCKET, 409)]


async def test_what_a_former_holder_wrote_late_is_put_right(api: Api, make: Make) -> None:
    make("10.1.2.3", check_every=0.2).hold(BUCKET)
    await slice_at(api, "10.1.2.3")
    changes: list[Json] = [
        {"endpoints": [{"addresses": ["10.9.9.9"]}]},
        {"endpoints": [{"addresses": ["10.1.2.3"]}, {"addresses": ["10.9.9.9"]}]},
        {"endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": False}}]},
        {"endpoints": []},
        {"ports": [{"name": "http", "port": 8081, "protocol": "TCP"}]},
        {"metadata": {"labels": {"kubernetes.io/service-name": "another"}}},
    ]
    for change in changes:
        changed = await api.patch(path("endpointslices", SYSTEM, BUCKET), change)
        async with asyncio.timeout(DEADLINE):
            while version(found := await slice_at(api, "10.1.2.3")) == version(changed):
                await asyncio.sleep(0.05)
        assert found["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {}}]
        assert found["ports"][0]["port"] == 8080
        assert found["metadata"]["labels"] == {"kubernetes.io/service-name": BUCKET}


async def test_an_api_server_that_is_away_is_waited_for(
    api: Api, make: Make, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    endpoints = make("10.1.2.3")
    caplog.set_level(logging.WARNING, "kpa.kube.election.bucket_endpoints")
    with control_plane.api_server_down():
        endpoints.hold(BUCKET)
        await asyncio.sleep(1)
    await slice_at(api, "10.1.2.3")
    assert len(caplog.records) <= 1


async def test_what_is_refused_is_told_once_and_the_other_bucket_goes_on(
    api: Api, make: Make, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    make("fd00::17").hold(BUCKET)
    await slice_at(api, "fd00::17")
    endpoints = make("10.1.2.3")

    endpoints.hold(BUCKET)  # the family of an EndpointSlice cannot be changed
    endpoints.hold(OTHER)

    await slice_at(api, "10.1.2.3", OTHER)
    async with asyncio.timeout(DEADLINE):
        while [written[-1] for written in writes(requests)].count(422) < 3:
            await asyncio.sleep(0.05)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert BUCKET in told[0]
    endpoints.release(BUCKET)


async def test_after_the_end_nothing_is_written(api: Api, make: Make, requests: Requests) -> None:
    endpoints = make("10.1.2.3", check_every=0.05)
    endpoints.hold(BUCKET)
    await slice_at(api, "10.1.2.3")
    await endpoints.close()
    await api.patch(path("endpointslices", SYSTEM, BUCKET), {"endpoints": []})
    count = len(requests())
    await asyncio.sleep(0.3)
    assert len(requests()) == count
    endpoints.release(BUCKET)
