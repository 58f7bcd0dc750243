"""A stand-in for `kpa local` as the demonstration uses it: options, ready file, API, requests.

The first argument says how it behaves: `well` (a replica is there half a second after the first request and
gone two seconds after the last one), `full` (the same, but answers 503), `stuck` (the replica stays), `slow`
(makes a file `ending` when it shall end, and ends once there is a file `end`), `dies` (after a second),
`deaf` (never listens), `refuses` (ends at once).
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from kpa.demo.model_server import LOADED_AT
from kpa.web.api.api import fleet_to_json
from metrics.key import Key
from tests.kpa.controller.status_samples import sample

_, BEHAVIOUR, *_given = sys.argv if __name__ == "__main__" else ["", ""]
OPTIONS = dict(zip(_given[::2], _given[1::2], strict=True))


class Service:
    def __init__(self) -> None:
        self.changed_at = time.time()
        self.in_flight = 0
        self.ready = 0

    async def request(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        if not self.ready:
            await asyncio.sleep(0.5)
            self.ready, self.changed_at = 1, time.time()
        self.in_flight -= 1
        self.changed_at = max(self.changed_at, time.time())
        status = 503 if BEHAVIOUR == "full" else 200
        return web.Response(status=status, text="full", headers={LOADED_AT: f"{self.changed_at:.3f}"})

    async def revisions(self, request: web.Request) -> web.Response:
        if BEHAVIOUR != "stuck" and not self.in_flight and time.time() > self.changed_at + 2.0:
            self.ready = 0
        requested = self.ready or (1 if self.in_flight else 0)
        counts = {
            "recommended": requested,
            "requested": requested,
            "ready": self.ready,
            "not_ready": requested - self.ready,
        }
        status = sample(key=Key("default", "model-00001"), service="model", mode="stable", **counts)
        return web.Response(text=fleet_to_json(time.time(), "inference", [status]))


async def listen(path: str, handler: Handler) -> int:
    app = web.Application()
    app.router.add_get(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(OPTIONS["--port"])).start()
    return int(runner.addresses[0][1])


async def end_when_told() -> None:
    folder = Path(OPTIONS["--ready-file"]).parent
    (folder / "ending").touch()
    while not (folder / "end").exists():
        await asyncio.sleep(0.01)
    sys.exit()


async def main() -> None:
    service = Service()
    if BEHAVIOUR == "slow":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(end_when_told()))
    if BEHAVIOUR == "refuses":
        sys.exit("model.yaml: nothing to run")
    if BEHAVIOUR != "deaf":
        ports = {"port": await listen("/", service.request)}
        ports["telemetry_port"] = await listen("/api/revisions", service.revisions)
        Path(OPTIONS["--ready-file"]).write_text(json.dumps(ports), encoding="utf-8")  # noqa: ASYNC240
    print("fake local: listening", flush=True)
    await asyncio.sleep(1 if BEHAVIOUR == "dies" else 3600)
    print("fake local: out of luck", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
