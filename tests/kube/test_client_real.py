"""The client and its caches against a real kube-apiserver: verbs, rights, restarts, forgotten versions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpa.kube.api.client import KubeClient, Resource
from kpa.kube.api.credentials import Credentials
from kpa.kube.api.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from kpa.kube.api.informer import Informer
from metrics.key import Key
from tests.kpa.kube.api_client import delete_object, list_objects
from tests.kube.api import path
from tests.kube.control_plane import ControlPlane
from tests.kube.installation import SYSTEM, controller_token

pytestmark = pytest.mark.kube

DEADLINE = 60.0  # seconds; generous, as it ends a wait that has failed
CONFIG_MAPS = Resource("", "v1", "configmaps")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
SECRETS = Resource("", "v1", "secrets")
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
SPACE = "client-test"


@asynccontextmanager
async def client_of(file: Path) -> AsyncIterator[KubeClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        client = KubeClient.from_environment()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def admin(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client with all rights, in a namespace of its own, emptied afterwards."""
    async with client_of(control_plane.kubeconfig(tmp_path / "admin")) as client:
        with suppress(AlreadyExists):
            await client.create(NAMESPACES, None, {"metadata": {"name": SPACE}})
        yield client
        for resource in (CONFIG_MAPS, DEPLOYMENTS):
            for item in (await list_objects(client, resource, SPACE))[0]:
                await delete_object(client, resource, SPACE, item["metadata"]["name"])


@asynccontextmanager
async def following(client: KubeClient, told: list[tuple[str, Any]]) -> AsyncIterator[Informer[str]]:
    def hear(key: Key, value: str | None) -> None:
        told.append((key.name, value))

    informer = Informer(client, CONFIG_MAPS, _size, namespace=SPACE, on_change=hear)
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), DEADLINE)
        yield informer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _size(raw: dict[str, Any]) -> str:
    return str(raw["data"]["size"])


def _config_map(name: str, size: object) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"size": str(size)}}


def _deployment(name: str) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "image"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.005)


async def test_objects_are_created_read_replaced_and_deleted(admin: KubeClient) -> None:
    made = await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    with pytest.raises(AlreadyExists):
        await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    replaced = await admin.replace(CONFIG_MAPS, SPACE, "a", {**made, "data": {"size": "2"}})
    assert await admin.get(CONFIG_MAPS, SPACE, "a") == replaced
    with pytest.raises(Conflict):
        await admin.replace(CONFIG_MAPS, SPACE, "a", {**made, "data": {"size": "3"}})
    await delete_object(admin, CONFIG_MAPS, SPACE, "a")
    with pytest.raises(NotFound, match=r"get configmaps client-test/a: .*not found"):
        await admin.get(CONFIG_MAPS, SPACE, "a")


async def test_replicas_and_status_have_their_own_ways(admin: KubeClient) -> None:
    await admin.create(DEPLOYMENTS, SPACE, _deployment("web"))
    scale = await admin.patch_replicas(DEPLOYMENTS, SPACE, "web", 3)
    assert scale["spec"] == {"replicas": 3}
    deployment = await admin.get(DEPLOYMENTS, SPACE, "web")
    assert deployment["spec"]["replicas"] == 3
    changed = {**deployment, "status": {"replicas": 2}, "spec": {**deployment["spec"], "replicas": 9}}
    answer = await admin.replace_status(DEPLOYMENTS, SPACE, "web", changed)
    assert (answer["status"]["replicas"], answer["spec"]["replicas"]) == (2, 3)
    with pytest.raises(Conflict):
        await admin.replace_status(DEPLOYMENTS, SPACE, "web", changed)
    with pytest.raises(Invalid):
        await admin.patch_replicas(DEPLOYMENTS, SPACE, "web", -1)


async def test_what_a_list_or_a_watch_gave_can_be_written_back(admin: KubeClient) -> None:
    await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    items, version = await list_objects(admin, CONFIG_MAPS, SPACE)
    (listed,) = items
    assert "managedFields" in (await admin.get(CONFIG_MAPS, SPACE, "a"))["metadata"]
    await admin.replace(CONFIG_MAPS, SPACE, "a", {**listed, "data": {"size": "2"}})
    events = admin.watch(CONFIG_MAPS, SPACE, version)
    kind, watched = await anext(events)
    await events.aclose()
    assert (kind, watched["data"]) == ("MODIFIED", {"size": "2"})


async def test_a_list_in_pages_is_that_of_one_moment(admin: KubeClient) -> None:
    for number in range(7):
        await admin.create(CONFIG_MAPS, SPACE, _config_map(f"a{number}", number))
    pages = admin.pages(CONFIG_MAPS, SPACE, "", 3)
    first, version = await anext(pages)
    await delete_object(admin, CONFIG_MAPS, SPACE, "a6")
    rest = [item for page, at in [page async for page in pages] for item in page if at == version]
    assert [item["metadata"]["name"] for item in first + rest] == [f"a{number}" for number in range(7)]


async def test_a_cache_follows_what_happens(admin: KubeClient) -> None:
    await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    told: list[tuple[str, Any]] = []
    async with following(admin, told) as informer:
        await admin.create(CONFIG_MAPS, SPACE, _config_map("b", 2))
        await admin.replace(CONFIG_MAPS, SPACE, "a", _config_map("a", 3))
        await admin.replace(CONFIG_MAPS, SPACE, "a", _config_map("a", 3) | {"immutable": False})
        await delete_object(admin, CONFIG_MAPS, SPACE, "b")
        await _until(lambda: len(told) >= 4)
        assert told == [("a", "1"), ("b", "2"), ("a", "3"), ("b", None)]
        assert dict(informer.cache) == {Key(SPACE, "a"): "3"}


async def test_a_large_object_is_followed(admin: KubeClient) -> None:
    told: list[tuple[str, Any]] = []
    async with following(admin, told):
        await admin.create(CONFIG_MAPS, SPACE, _config_map("large", "x" * 1_000_000))
        await _until(lambda: told)
        assert [(name, len(value)) for name, value in told] == [("large", 1_000_000)]


async def test_a_cache_survives_an_api_server_that_is_killed(
    admin: KubeClient, control_plane: ControlPlane
) -> None:
    await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    told: list[tuple[str, Any]] = []
    async with following(admin, told) as informer:
        with control_plane.api_server_down():
            await asyncio.sleep(1.0)
            write = asyncio.create_task(admin.create(CONFIG_MAPS, SPACE, _config_map("b", 2)))
            await asyncio.sleep(0.5)
        await write
        await _until(lambda: len(informer.cache) == 2)
        assert told == [("a", "1"), ("b", "2")]


async def test_a_version_that_the_server_forgot_leads_to_a_list(
    admin: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await admin.create(CONFIG_MAPS, SPACE, _config_map("a", 1))
    told: list[tuple[str, Any]] = []
    async with following(admin, told) as informer:
        informer._version = "1"  # as after a compaction while we were cut off
    task = asyncio.create_task(informer.run())
    await admin.create(CONFIG_MAPS, SPACE, _config_map("b", 2))
    await _until(lambda: len(told) == 2)
    task.cancel()
    assert "too old resource version" in caplog.text
    assert told == [("a", "1"), ("b", "2")]


async def test_a_frozen_store_delays_writes_and_loses_none(
    admin: KubeClient, control_plane: ControlPlane
) -> None:
    told: list[tuple[str, Any]] = []
    async with following(admin, told) as informer:
        with control_plane.etcd_frozen():
            writes = [
                asyncio.create_task(admin.create(CONFIG_MAPS, SPACE, _config_map(f"a{number}", number)))
                for number in range(5)
            ]
            await asyncio.sleep(3.0)
        await asyncio.gather(*writes)
        await _until(lambda: len(informer.cache) == 5)
        assert sorted(told) == [(f"a{number}", str(number)) for number in range(5)]


async def test_a_token_that_is_revoked_gives_way_to_the_one_on_disk(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the kubelet has rotated the token of a pod: nothing fails meanwhile."""
    kubeconfig, token = control_plane.kubeconfig(tmp_path / "kubeconfig"), tmp_path / "token"
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = {"tokenFile": str(token)}
    kubeconfig.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr("kpa.kube.api.credentials._RELOAD_PAUSE", 0.0)
    async with control_plane.api() as api:
        secret = await api.post(path("secrets", SYSTEM), {"metadata": {"name": "rotated"}})
        token.write_text(await controller_token(api, bound_to=secret))
        credentials = Credentials.from_environment()
        client = KubeClient(credentials)
        try:
            await api.delete(path("secrets", SYSTEM, "rotated"))
            token.write_text(new := await controller_token(api))
            async with asyncio.timeout(
                DEADLINE
            ):  # an API server may not know yet, and remembers that for 10 s
                while not (credentials.access.authorization or "").endswith(new):
                    await list_objects(client, CONFIG_MAPS, SYSTEM)
                    await asyncio.sleep(0.2)
        finally:
            await client.close()


async def test_a_right_that_is_lacking_is_named(kubeconfig: Path) -> None:
    async with client_of(kubeconfig) as client:
        with pytest.raises(Forbidden, match=r"list secrets: .*cannot list resource \"secrets\""):
            await list_objects(client, SECRETS)
        with pytest.raises(Forbidden, match=r"watch secrets: "):
            await anext(client.watch(SECRETS, None, "0"))
        with pytest.raises(Forbidden, match=r"delete deployments\.apps default/web: "):
            await delete_object(client, DEPLOYMENTS, "default", "web")
