"""CPU time per pod event and memory per pod: our cache beside the models of the package `kubernetes`.

Unit of work: one change of a Knative pod (14 kB of JSON) out of a watch, everything included: socket, HTTP,
line, JSON, trimming, comparing, telling the listener. The stream comes from a child process whose CPU is not
counted, as fast as we take it, or with a pause after each event. The package's models are made from the same
JSON in memory: HTTP and its watch would come on top. Budget: 50 microseconds.

    python bench/bench_watch.py --pods 3000 --events 30000
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection as Pipe
from typing import Any

from aiohttp import web
from knative_pod import knative_pod
from kubernetes.client import ApiClient, Configuration

from kpa.kube.api.client import KubeClient
from kpa.kube.api.credentials import Credentials
from kpa.kube.api.informer import Informer
from kpa.kube.objects.kinds import PODS
from kpa.kube.objects.pods import PodInfo
from metrics.key import Key

try:
    import uvloop
except ImportError:
    uvloop = None

_FIRST_VERSION = 1000


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _serve(pipe: Pipe, pods: int, events: int, pause: float) -> None:
    """List pods page by page, then change one after another: each becomes unready, then ready, and so on."""
    changes = [_change(ready) for ready in (False, True)]

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return _page(request, pods)
        stream = web.StreamResponse()
        await stream.prepare(request)
        for number in range(events):
            change = changes[number // pods % 2]
            await stream.write(change.replace(b"99999", b"%05d" % (number % pods)))
            if pause:
                await asyncio.sleep(pause)
        await asyncio.sleep(3600)
        return stream

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/api/v1/pods", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.poll, None)

    asyncio.run(serve())


def _change(ready: bool) -> bytes:
    """A line of the stream; 99999 stands for the number of the pod."""
    pod = knative_pod(99999, _FIRST_VERSION, ready=ready)
    return _text({"type": "MODIFIED", "object": pod}) + b"\n"


def _page(request: web.Request, pods: int) -> web.Response:
    first = int(request.query.get("continue", "0"))
    end = min(first + int(request.query["limit"]), pods)
    metadata = {"resourceVersion": str(_FIRST_VERSION), "continue": str(end) if end < pods else ""}
    item = _text(knative_pod(99999, _FIRST_VERSION))
    items = b",".join(item.replace(b"99999", b"%05d" % number) for number in range(first, end))
    return web.Response(body=b'{"items":[%b],"metadata":%b}' % (items, _text(metadata)))


async def _measure_ours(port: int, pods: int, events: int) -> tuple[float, float]:
    """Return CPU microseconds a listed pod and an event."""
    client = KubeClient(Credentials(lambda: Configuration(host=f"http://127.0.0.1:{port}")))
    done, heard = asyncio.Event(), 0

    def hear(key: Key, value: PodInfo | None) -> None:
        nonlocal heard
        heard += 1
        if heard == pods + events:
            done.set()

    informer = Informer(client, PODS, PodInfo.from_json, on_change=hear)
    began = time.process_time()
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    listed = time.process_time()
    await done.wait()
    ended = time.process_time()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()
    return (listed - began) / pods * 1e6, (ended - listed) / events * 1e6


def _bytes_each(make: Callable[[], Any], count: int = 200) -> float:
    """Bytes that stay of a thing that is made of JSON."""
    make()
    gc.collect()
    tracemalloc.start()
    kept = [make() for _ in range(count)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(kept)


def _measure_models(count: int = 300) -> tuple[float, float]:
    """Return CPU microseconds an event and bytes a pod of the package's models."""
    text, api = _text(knative_pod(7, 1)).decode(), ApiClient(Configuration(host="http://localhost"))
    make = lambda: api.deserialize(text, "V1Pod", "application/json")  # noqa: E731
    make()
    began = time.process_time()
    for _ in range(count):
        make()
    return (time.process_time() - began) / count * 1e6, _bytes_each(make)


def _run(loop: str, main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        return runner.run(main)


def _bench(loop: str, pods: int, events: int, pause: float) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(theirs, pods, events, pause), daemon=True)
    child.start()
    theirs.close()
    try:
        listed, event = _run(loop, _measure_ours(ours.recv(), pods, events))
    finally:
        child.kill()
        child.join()
    name = f"ours, {loop}{', one by one' if pause else ''}"
    print(f"{name:26} {event:12.1f} {listed:16.1f} {_bytes_each(_one_pod()):14.0f}")


def _one_pod() -> Callable[[], PodInfo]:
    text = _text(knative_pod(7, 1))
    return lambda: PodInfo.from_json(json.loads(text))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=3000)
    parser.add_argument("--events", type=int, default=30000)
    options = parser.parse_args()
    print(f"{'':26} {'us an event':>12} {'us a listed pod':>16} {'bytes a pod':>14}")
    for loop in ["asyncio"] + (["uvloop"] if uvloop else []):
        _bench(loop, options.pods, options.events, 0.0)
        _bench(loop, options.pods, options.events // 10, 0.001)
    event, size = _measure_models()
    print(f"{'models of kubernetes':26} {event:12.1f} {event:16.1f} {size:14.0f}")


if __name__ == "__main__":
    main()
