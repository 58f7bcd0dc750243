"""The dashboard's files over real connections: types, tags, the policy, and that a wheel has them all."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import aiohttp
import pytest

import kpa.web.dashboard

STATIC = Path(kpa.web.dashboard.__file__).parent / "static"
FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def path_of(name: str) -> str:
    return "/" if name == "index.html" else f"/dashboard/{name}"


@pytest.mark.parametrize("name", FILES)
async def test_each_file_is_served_with_its_type(client: aiohttp.ClientSession, name: str) -> None:
    async with client.get(path_of(name)) as answer:
        assert answer.status == 200
        assert answer.content_type == TYPES.get(name.rpartition(".")[2], "text/plain")
        assert answer.charset == "utf-8"
        assert await answer.read() == (STATIC / name).read_bytes()


async def test_browsers_may_load_nothing_from_elsewhere(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
        assert {policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("LICENSE")])
def test_no_file_names_another_host(name: str) -> None:
    text = (STATIC / name).read_text()
    allowed = {"https://github.com/leeoniya/uPlot", "http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[\w./-]+", text)) <= allowed


async def test_what_a_browser_has_already_is_not_sent_again(client: aiohttp.ClientSession) -> None:
    async with client.get("/dashboard/app.js") as answer:
        tag = answer.headers["ETag"]
        assert answer.headers["Cache-Control"] == "no-cache"
    async with client.get("/dashboard/app.js", headers={"If-None-Match": tag}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
    async with client.get("/dashboard/app.js", headers={"If-None-Match": '"another"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/none.js", "/dashboard/../live.py"])
async def test_there_are_no_other_files(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


def test_all_that_pages_name_is_there() -> None:
    names = re.findall(r'(?:href|src)="/dashboard/([^"]+)"', (STATIC / "index.html").read_text())
    for script in STATIC.glob("*.js"):
        names += re.findall(r'from "\./([^"]+)"', script.read_text())
    assert len(names) > 8
    assert set(names) <= set(FILES)


@pytest.mark.process
def test_a_wheel_has_all_files(tmp_path: Path) -> None:
    root = Path(kpa.web.dashboard.__file__).parents[3]
    build = f"import sys, hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=root, check=True, timeout=100, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert {f"kpa/web/dashboard/static/{name}" for name in FILES} <= names
