"""Settings of a queue-proxy, read from the environment under Knative's names.

Source: `knative/serving pkg/queue/sharedmain/main.go` (config). Knative's variables about TLS, tracing and
logging are accepted and not used; QUEUE_SERVING_PORT is Knative's, the others that begin with QUEUE_ are
ours.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from kpa.dataplane.queue_proxy.probe import ProbeError, ReadinessProbe, parse_probe

USER_HOST = "127.0.0.1"
"""Where the replica listens: a queue-proxy and its replica share a network namespace."""

T = TypeVar("T")


class SettingsError(ValueError):
    """Variables that cannot be used, all of them, a line each."""


class QueueProxySettings(NamedTuple):
    """What one queue-proxy works with.

    Attributes
    ----------
    user_port : int
        USER_PORT: where the replica listens.
    container_concurrency : int
        CONTAINER_CONCURRENCY: requests that the replica gets at once; 0 is unlimited.
    host : str
        QUEUE_HOST: address to listen on.
    serving_port, metrics_port, admin_port : int
        QUEUE_SERVING_PORT, QUEUE_METRICS_PORT, QUEUE_ADMIN_PORT; 0 is any free one.
    timeout : float
        REVISION_TIMEOUT_SECONDS: a request may take so long in all; 0 is unlimited.
    response_start_timeout : float
        REVISION_RESPONSE_START_TIMEOUT_SECONDS: and so long until its response begins; 0 is unlimited.
    idle_timeout : float
        REVISION_IDLE_TIMEOUT_SECONDS: and so long without anything of its response; 0 is unlimited.
    pod_name : str
        SERVING_POD: the name in reports.
    probe : ReadinessProbe
        SERVING_READINESS_PROBE.
    drain_quiet_seconds : float
        QUEUE_DRAIN_QUIET_SECONDS: time without a request after which a draining queue-proxy ends.
    events_fd : int or None
        QUEUE_EVENTS_FD: a file descriptor that events are written to, a JSON object a line.
    """

    user_port: int
    container_concurrency: int
    host: str
    serving_port: int
    metrics_port: int
    admin_port: int
    timeout: float
    response_start_timeout: float
    idle_timeout: float
    pod_name: str
    probe: ReadinessProbe
    drain_quiet_seconds: float
    events_fd: int | None


def read_settings(environment: Mapping[str, str]) -> QueueProxySettings:
    """Read the settings.

    Raises
    ------
    SettingsError
        Naming every variable that is missing or out of range, its value, and what is allowed.
    """
    problems: list[str] = []

    def read(name: str, parse: Callable[[str], T], allowed: str, default: T | None, fallback: T) -> T:
        text = environment.get(name, "")
        if not text and default is not None:
            return default
        try:
            return parse(text)
        except ProbeError as error:
            problems.append(f"{name}={text!r}: {error}")
        except ValueError:
            problems.append(
                f"{name}={text!r}: must be {allowed}" if text else f"{name} is missing: {allowed}"
            )
        return fallback

    def port(name: str, default: int | None, least: int = 0) -> int:
        return read(name, _whole(least, 65535), f"a port from {least} to 65535", default, 0)

    def seconds(name: str, default: float) -> float:
        return read(name, _seconds, "seconds from 0", default, 0.0)

    user_port = port("USER_PORT", None, least=1)
    settings = QueueProxySettings(
        user_port=user_port,
        container_concurrency=read("CONTAINER_CONCURRENCY", _whole(0), "a whole number from 0", 0, 0),
        host=environment.get("QUEUE_HOST") or "127.0.0.1",
        serving_port=port("QUEUE_SERVING_PORT", 8012),
        metrics_port=port("QUEUE_METRICS_PORT", 9090),
        admin_port=port("QUEUE_ADMIN_PORT", 8022),
        timeout=seconds("REVISION_TIMEOUT_SECONDS", 300.0),
        response_start_timeout=seconds("REVISION_RESPONSE_START_TIMEOUT_SECONDS", 0.0),
        idle_timeout=seconds("REVISION_IDLE_TIMEOUT_SECONDS", 0.0),
        pod_name=environment.get("SERVING_POD", ""),
        probe=read(
            "SERVING_READINESS_PROBE",
            lambda text: parse_probe(text, USER_HOST, user_port or 1),
            "a probe",
            parse_probe("", USER_HOST, user_port),
            parse_probe("", USER_HOST, user_port),
        ),
        drain_quiet_seconds=seconds("QUEUE_DRAIN_QUIET_SECONDS", 30.0),
        events_fd=read("QUEUE_EVENTS_FD", _whole(0), "a file descriptor", None, None)
        if environment.get("QUEUE_EVENTS_FD")
        else None,
    )
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal():
            raise ValueError(text)
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError(text)
        return number

    return parse


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number
