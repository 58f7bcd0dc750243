"""An API server of one kind of objects: lists in pages, watches, writes, and faults on demand."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from kpa.kube.api.resource import Resource
from metrics.key import Key
from tests.kpa.kube.fake_store import FakeStore

THINGS = Resource("test.dev", "v1", "things")
Json = dict[str, Any]


def refusal(code: int, reason: str, headers: dict[str, str] | None = None, **details: Any) -> web.Response:
    status = {
        "kind": "Status",
        "code": code,
        "reason": reason,
        "message": f"that is {reason}",
        "details": details,
    }
    return web.json_response(status, status=code, headers=headers)


class FakeApi(FakeStore):
    """A store behind HTTP; `faults` are the answers to the next requests that it `picks`."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[web.Response] = []
        self.picks: Callable[[web.Request], bool] = lambda request: True
        self.requests: list[web.Request] = []
        self.delay, self.token, self.in_flight, self.most_in_flight = 0.0, "", 0, 0
        self._port = 0

    async def start(self) -> str:
        app = web.Application()
        for path in ("/things", "/namespaces/{space}/things"):
            for rest in ("", "/{name}", "/{name}/{part}"):
                app.router.add_route("*", f"/apis/test.dev/v1{path}{rest}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        self.cut()
        await self._runner.cleanup()

    def cut(self) -> None:
        """Break all connections off."""
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, "Unauthorized")
        if self.faults and self.picks(request):
            return self.faults.pop(0)
        if "watch" in request.query:
            return await self._watch(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            text = await request.text()
            await asyncio.sleep(self.delay)
        finally:
            self.in_flight -= 1
        if request.method in ("PUT", "POST", "PATCH", "DELETE"):
            return self._write(request, json.loads(text or "null"))
        return self._read(request)

    def _read(self, request: web.Request) -> web.Response:
        if "name" in request.match_info:
            found = self.objects.get(Key(request.match_info["space"], request.match_info["name"]))
            return web.json_response(found) if found else refusal(404, "NotFound")
        limit = int(request.query.get("limit", "100000"))
        page = self.page(request.match_info.get("space"), request.query.get("continue", ""), limit)
        return web.json_response({"items": page[0], "metadata": page[1]}) if page else refusal(410, "Expired")

    def _write(self, request: web.Request, body: Any) -> web.Response:
        space, part = request.match_info["space"], request.match_info.get("part")
        name = request.match_info.get("name") or body["metadata"]["name"]
        old = self.objects.get(Key(space, name))
        if (old is None) != (request.method == "POST"):
            return refusal(404, "NotFound") if old is None else refusal(409, "AlreadyExists")
        if old is None:
            return web.json_response(self.put(name, body["spec"], space), status=201)
        if request.method == "DELETE":
            return web.json_response(self.remove(name, space))
        if request.method == "PATCH":
            return web.json_response(self.put(name, {**old["spec"], "replicas": body[0]["value"]}, space))
        if body["metadata"].get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            return refusal(409, "Conflict")
        changed = {"status": body["status"]} if part == "status" else {"spec": body["spec"]}
        return web.json_response(self.put(name, **({"spec": old["spec"], "space": space} | changed)))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        at, space = int(request.query["resourceVersion"]), request.match_info.get("space")
        if at < self.compacted and at % 2:  # both ways that API servers have
            return refusal(410, "Expired")
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            if at < self.compacted:
                status = {"kind": "Status", "code": 410, "reason": "Expired"}
                await stream.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
                return stream
            news = self.news
            for version, kind, body in [change for change in self.changes if change[0] > at]:
                if space in (None, body["metadata"]["namespace"]):
                    await stream.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
                at = version
            mark = {"metadata": {"resourceVersion": str(at)}}
            await stream.write(json.dumps({"type": "BOOKMARK", "object": mark}).encode() + b"\n")
            await news.wait()
