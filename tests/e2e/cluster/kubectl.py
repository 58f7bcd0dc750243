"""`kubectl` on the cluster that KUBECONFIG names, and waiting for what it shows."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

SYSTEM = "knative-serving"
LOOK_EVERY = 0.5  # seconds


async def kubectl(*arguments: str, stdin: str = "") -> str:
    """Run `kubectl` and return what it prints; what it complains of fails the test."""
    process = await asyncio.create_subprocess_exec(
        "kubectl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(stdin.encode())
    assert process.returncode == 0, f"kubectl {' '.join(arguments)}: {errors.decode()}"
    return output.decode()


async def get(kind: str, name: str, namespace: str = SYSTEM) -> Json:
    """Read one object."""
    found: Json = json.loads(await kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


async def apply(document: Json) -> None:
    """Create or change an object."""
    await kubectl("apply", "-f", "-", stdin=json.dumps(document))


async def rolled_out(deployment: str) -> None:
    """Wait until a Deployment of Knative runs as it should."""
    await kubectl("-n", SYSTEM, "rollout", "status", f"deployment/{deployment}", "--timeout=240s")


async def until(
    what: str, look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], seconds: float = 120.0
) -> float:
    """Look until what is seen is as it should be; returns the seconds that it took."""
    began = time.monotonic()
    while True:
        seen = await look()
        took = time.monotonic() - began
        if holds(seen):
            print(f"{what}: after {took:.1f} s", flush=True)
            return took
        assert took < seconds, f"not in {seconds:g} s: {what}; seen at last: {seen}"
        await asyncio.sleep(LOOK_EVERY)


async def follow(look: Callable[[], Awaitable[T]], seconds: float) -> list[T]:
    """Look for so long, and return all that was seen."""
    ends_at, seen = time.monotonic() + seconds, []
    while time.monotonic() < ends_at:
        seen.append(await look())
        await asyncio.sleep(LOOK_EVERY)
    return seen
