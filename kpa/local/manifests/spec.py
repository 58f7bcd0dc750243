"""What a manifest asks of this machine, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_TIMEOUT = 300.0
"""Seconds a request may take (`revision-timeout-seconds` of Knative's config-defaults)."""

DEFAULT_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL (Kubernetes' `terminationGracePeriodSeconds`)."""


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One variable of a container: a text with `$(NAME)` references, or a field of the pod."""

    name: str
    value: str = ""
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A readiness probe in Kubernetes' terms; times in seconds.

    Attributes
    ----------
    handler : Mapping[str, Any]
        `{"httpGet": {...}}` or `{"tcpSocket": {...}}`, asked by the queue-proxy.
    command : tuple of str
        An exec probe, run by us; the queue-proxy then asks for a TCP connection, as in Knative.
    period : float
        0 asks as fast as the queue-proxy can until the first success (Knative's default).
    """

    handler: Mapping[str, Any] = field(default_factory=lambda: {"tcpSocket": {}})
    command: tuple[str, ...] = ()
    period: int = 0
    timeout: int = 0
    success_threshold: int = 1
    failure_threshold: int = 0
    initial_delay: int = 0

    def for_queue_proxy(self, port: int) -> str:
        """Write the JSON of `SERVING_READINESS_PROBE`, aimed at the process's port.

        Source: `knative/serving pkg/reconciler/revision/resources/queue.go` (applyReadinessProbeDefaults).
        """
        handler = {
            kind: {"host": "127.0.0.1", "port": port}
            | {k: v for k, v in action.items() if k not in ("host", "port")}
            for kind, action in self.handler.items()
        }
        numbers = {
            "periodSeconds": self.period,
            "timeoutSeconds": self.timeout,
            "successThreshold": self.success_threshold,
            "failureThreshold": self.failure_threshold,
            "initialDelaySeconds": self.initial_delay,
        }
        return json.dumps(handler | {name: number for name, number in numbers.items() if number})


@dataclass(frozen=True, slots=True)
class Template:
    """What makes a revision: another template is another revision.

    Attributes
    ----------
    argv : tuple of str
        Command and arguments, `$(NAME)` not yet expanded.
    working_dir : str
        Empty: where kpa was started.
    container_concurrency : int
        Requests in flight per replica; 0 is unlimited.
    timeout, response_start_timeout, idle_timeout : float
        Seconds for a whole request, for its first byte, between bytes; 0 of the latter two is off.
    grace : float
        Seconds between SIGTERM and SIGKILL, after the drain.
    """

    argv: tuple[str, ...]
    env: tuple[EnvVar, ...] = ()
    working_dir: str = ""
    probe: Probe = field(default_factory=Probe)
    container_concurrency: int = 0
    timeout: float = DEFAULT_TIMEOUT
    response_start_timeout: float = 0.0
    idle_timeout: float = 0.0
    grace: float = DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service of a manifest.

    Attributes
    ----------
    name : str
        As in the manifest: requests come to `NAME.localhost`.
    configuration : str
        Name of the Knative Service, prefix of its revisions: NAME, or NAME-predictor for an InferenceService.
    annotations : Mapping[str, str]
        Of the revision template; a change of these alone is applied to the live revision.
    source : str
        File it comes from, for messages.
    """

    namespace: str
    name: str
    configuration: str
    annotations: Mapping[str, str]
    template: Template
    source: str = field(default="", compare=False)

    @property
    def host_names(self) -> tuple[str, ...]:
        """First parts of the hosts: the name, and for an InferenceService also that of its predictor."""
        return tuple(dict.fromkeys((self.name, self.configuration)))
