"""`kpa serve` as a process, on a real API server with the rest of the cluster played."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kube.knative_double import Knative

pytestmark = pytest.mark.kube


@contextlib.asynccontextmanager
async def serving(kubeconfig: Path, folder: Path, host: str = "127.0.0.250") -> AsyncIterator[Path]:
    """Run `kpa serve`; gives its log."""
    log = folder / "serve.log"
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAME": "autoscaler-5d4f-abcde",
        "POD_IP": "192.0.2.1",
        "SYSTEM_NAMESPACE": "knative-serving",
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kpa", "serve", "--host", host, "--log-format", "text"),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            raise
        print(log.read_text()[-6000:])
    assert code == 0


async def test_a_revision_follows_its_load(knative: Knative, kubeconfig: Path, tmp_path: Path) -> None:
    await knative.configure("config-autoscaler", {"stable-window": "6s", "scale-down-delay": "0s"})
    async with serving(kubeconfig, tmp_path):
        revision = await knative.create("hello-00001", container_concurrency=10, start_seconds=0.5)
        await knative.until(lambda: revision.condition("Active") == ("True", ""), "active", seconds=30)
        revision.load(25.0)
        await knative.until(lambda: revision.replicas == 4, "four pods", seconds=30)
