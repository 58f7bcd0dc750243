"""A fake API server and a client of it, for the length of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kubernetes.client import Configuration

from kpa.kube.api.client import KubeClient
from kpa.kube.api.credentials import Credentials
from tests.kpa.kube.fake_api import FakeApi


def configuration(address: str, token: str = "") -> Configuration:
    made = Configuration(host=address)
    made.proxy = None
    if token:
        made.api_key["BearerToken"] = f"Bearer {token}"
    return made


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
