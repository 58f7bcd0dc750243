"""How a replica is asked whether it is ready: Kubernetes' probe, read from JSON and carried out.

Source: `knative/serving pkg/queue/readiness/probe.go`, `pkg/queue/health/probe.go`; Kubernetes `core/v1
Probe`. A command is run here as well, which Knative's queue-proxy, in a container of its own, cannot do.
"""

import asyncio
import json
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from kpa.dataplane.http.upstream import Upstream, UpstreamFailed, UpstreamUnreachable, fetch


class ReadinessProbe(NamedTuple):
    """One way to ask, with Kubernetes' defaults.

    Attributes
    ----------
    kind : str
        `tcpSocket`, `httpGet` or `exec`.
    host, port, path, headers
        Where a connection or request goes, and its fields.
    command : tuple of str
        What `exec` runs; exit code 0 is success.
    initial_delay, period, timeout : float
        Seconds before the first probe, between those of a ready replica, and for an answer.
    success_threshold, failure_threshold : int
        Answers in a row that make a replica ready, and failures in a row that make it unready.
    """

    kind: str
    host: str
    port: int
    path: str = "/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


class ProbeError(ValueError):
    """A probe that cannot be read, or that has no known way to ask."""


def parse_probe(text: str, host: str, port: int) -> ReadinessProbe:
    """Read a probe from JSON; without any, the replica is ready when its port takes connections.

    Parameters
    ----------
    text : str
        A `core/v1 Probe` as JSON, or nothing.
    host, port
        Of the replica, where the probe names none.

    Raises
    ------
    ProbeError
        Not JSON, not an object, a number out of range, or a way to ask other than `tcpSocket`, `httpGet`,
        `exec`.
    """
    if not text:
        return ReadinessProbe("tcpSocket", host, port)
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ProbeError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ProbeError("must be an object")
    common = ReadinessProbe(
        "tcpSocket",
        host,
        port,
        initial_delay=_number(data, "initialDelaySeconds", 0, 0),
        period=_number(data, "periodSeconds", 10, 0) or 10.0,  # 0 is Knative's "as often as needed"
        timeout=_number(data, "timeoutSeconds", 1, 0) or 1.0,
        success_threshold=int(_number(data, "successThreshold", 1, 0)) or 1,
        failure_threshold=int(_number(data, "failureThreshold", 3, 0)) or 3,
    )
    if "tcpSocket" in data:
        return _with_address(common, _object(data, "tcpSocket"))
    if "httpGet" in data:
        return _with_request(_with_address(common, _object(data, "httpGet")), _object(data, "httpGet"))
    if "exec" in data:
        return _with_command(common, _object(data, "exec"))
    if "grpc" in data:
        raise ProbeError("grpc is not supported; allowed: tcpSocket, httpGet, exec")
    return common


async def ask(probe: ReadinessProbe) -> str:
    """Carry a probe out once; empty when it succeeds, else the reason."""
    try:
        async with asyncio.timeout(probe.timeout):
            if probe.kind == "httpGet":
                return await _ask_http(probe)
            if probe.kind == "exec":
                return await _ask_command(probe)
            connection = await Upstream(probe.host, probe.port).acquire()
            connection.transport.abort()
            return ""
    except TimeoutError:
        return f"no answer within {probe.timeout:g} seconds"
    except (UpstreamUnreachable, UpstreamFailed, OSError) as error:
        return str(error)


async def _ask_http(probe: ReadinessProbe) -> str:
    status, _, _ = await fetch(probe.host, probe.port, probe.path, probe.headers, seconds=probe.timeout)
    return "" if 200 <= status < 400 else f"GET {probe.path} was answered with {status}"


async def _ask_command(probe: ReadinessProbe) -> str:
    program, *words = probe.command
    try:
        process = await asyncio.create_subprocess_exec(
            program, *words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
    except OSError as error:
        return f"{program} cannot be run: {error.strerror}"
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return "" if status == 0 else f"{program} ended with {status}"


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data[key] or {}
    if not isinstance(value, dict):
        raise ProbeError(f"{key} must be an object")
    return value


def _with_address(probe: ReadinessProbe, data: Mapping[str, Any]) -> ReadinessProbe:
    port = data.get("port") or probe.port
    if isinstance(port, str) and port.isdecimal():
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise ProbeError(f"port {port!r} must be a number from 1 to 65535")
    return probe._replace(host=str(data.get("host") or probe.host), port=port)


def _with_request(probe: ReadinessProbe, data: Mapping[str, Any]) -> ReadinessProbe:
    if str(data.get("scheme") or "HTTP").upper() != "HTTP":
        raise ProbeError(f"scheme {data['scheme']!r} is not supported; allowed: HTTP")
    path = "/" + str(data.get("path") or "").removeprefix("/")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ProbeError(f"path {path!r} must be written in printable ASCII without spaces")
    headers = [(b"User-Agent", b"kube-probe/queue-proxy")]
    try:
        for field in data.get("httpHeaders") or ():
            headers.append((field["name"].encode("ascii"), field["value"].encode("latin-1")))
    except (AttributeError, KeyError, TypeError, UnicodeError) as error:
        raise ProbeError("httpHeaders must be objects with the texts name and value") from error
    return probe._replace(kind="httpGet", path=path, headers=tuple(headers))


def _with_command(probe: ReadinessProbe, data: Mapping[str, Any]) -> ReadinessProbe:
    command = data.get("command")
    if not isinstance(command, list) or not command:
        raise ProbeError("exec needs a command, a list of words")
    return probe._replace(kind="exec", command=tuple(map(str, command)))


def _number(data: Mapping[str, Any], key: str, default: float, least: float) -> float:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise ProbeError(f"{key} {value!r} must be a number from {least:g}")
    return float(value)
