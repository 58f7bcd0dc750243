"""The dashboard's files, read once and served with their type, a tag, and a policy that allows no others."""

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""Not by the machine's own table: browsers run no script of another type."""


class _Page(NamedTuple):
    body: bytes
    content_type: str
    tag: str


def add_pages(application: web.Application) -> None:
    """Serve `/` and all files of the dashboard below `/dashboard/`."""
    static = files("kpa.web.dashboard") / "static"
    for name, file in _walk(static):
        page = _read(file)
        path = "/" if name == "index.html" else f"/dashboard/{name}"
        application.router.add_get(path, _handler(page))


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry))
    return found


def _read(file: Traversable) -> _Page:
    body = file.read_bytes()
    content_type = _TYPES.get(PurePath(file.name).suffix, "text/plain")
    return _Page(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def _handler(page: _Page) -> Handler:
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "ETag": page.tag,
    }

    async def serve(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == page.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=page.body, content_type=page.content_type, charset="utf-8", headers=headers)

    return serve
