"""A fake API server and a client of it, for the length of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kubernetes.client import Configuration

from kpa.kube.api.client import KubeClient, Resource
from kpa.kube.api.credentials import Credentials
from tests.kpa.kube.fake_api import FakeApi


def configuration(address: str, token: str = "") -> Configuration:
    made = Configuration(host=address)
    made.proxy = None
    if token:
        made.api_key["BearerToken"] = f"Bearer {token}"
    return made


async def list_objects(
    client: KubeClient, resource: Resource, namespace: str | None = None
) -> tuple[list[dict[str, Any]], str]:
    """Return all objects of a kind, and the resource version of the list."""
    pages = [page async for page in client.pages(resource, namespace, "", 500)]
    return [item for items, _ in pages for item in items], pages[-1][1]


async def delete_object(client: KubeClient, resource: Resource, namespace: str, name: str) -> None:
    """Delete an object, as somebody else does: kpa deletes none."""
    await client._request("delete", "DELETE", resource, namespace, name)


@asynccontextmanager
async def api_and_client(**options: Any) -> AsyncIterator[tuple[FakeApi, KubeClient]]:
    api = FakeApi()
    address = await api.start()
    client = KubeClient(Credentials(lambda: configuration(address)), **options)
    try:
        yield api, client
    finally:
        await client.close()
        await api.stop()
