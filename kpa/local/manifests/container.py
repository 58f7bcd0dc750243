"""The container of a manifest, read as a process."""

from typing import Any

from kpa.local.manifests.fields import Fields
from kpa.local.manifests.spec import DEFAULT_GRACE, DEFAULT_TIMEOUT, EnvVar, Probe, Template

FIELD_PATHS = ("metadata.name", "metadata.namespace", "status.podIP", "status.hostIP")
"""Pod fields that a variable may refer to here."""

RESERVED = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
"""Variables that Knative reserves (`knative/serving pkg/apis/serving/k8s_validation.go`)."""

NEEDS_COMMAND = "a process needs `command`: kpa local runs commands of this machine, it does not pull images"


def read_template(pod: Fields, container: Fields, timeout_key: str) -> Template:
    """Read what makes a revision from a pod spec (or KServe component) and its container.

    Parameters
    ----------
    pod : Fields
        Where `containerConcurrency`, timeouts and `terminationGracePeriodSeconds` stand.
    timeout_key : str
        `timeoutSeconds` in Knative, `timeout` in KServe.
    """
    container.skip("name")
    grace = pod.whole("terminationGracePeriodSeconds")
    template = Template(
        argv=_argv(container),
        env=tuple(_env_var(item) for item in container.sections("env")),
        working_dir=container.text("workingDir"),
        probe=_probe(container.section("readinessProbe")),
        container_concurrency=pod.whole("containerConcurrency") or 0,
        timeout=float(pod.whole(timeout_key) or DEFAULT_TIMEOUT),
        response_start_timeout=float(pod.whole("responseStartTimeoutSeconds") or 0),
        idle_timeout=float(pod.whole("idleTimeoutSeconds") or 0),
        grace=DEFAULT_GRACE if grace is None else float(grace),
    )
    container.skip("ports")  # the process reads its port from PORT
    container.ignore_unread()
    return template


def choose_container(pod: Fields) -> Fields | None:
    """Find the container that takes requests: the one with ports, else the first.

    The others are named as ignored. Source: `knative/serving pkg/apis/serving/k8s_validation.go`.
    """
    containers = pod.sections("containers")
    serving = [container for container in containers if "ports" in container] or containers
    if not serving:
        if not isinstance(pod.raw("containers"), list):
            return None
        pod.refuse("containers", "a list with one container")
        return None
    pod.report.ignored += [container.path for container in containers if container is not serving[0]]
    return serving[0]


def _argv(container: Fields) -> tuple[str, ...]:
    command, args = container.texts("command"), container.texts("args")
    if not container.raw("command"):
        container.report.say(container.at("command"), NEEDS_COMMAND)
    return command + args


def _env_var(item: Fields) -> EnvVar:
    name = item.text("name")
    if not name or "=" in name:
        item.refuse("name", "the name of a variable")
    if name in RESERVED:
        item.refuse("name", f"any name but {', '.join(RESERVED)}, which are set for each replica")
    source = item.section("valueFrom")
    path = ""
    if source is not None:
        field = source.section("fieldRef")
        path = field.text("fieldPath") if field else ""
        if path not in FIELD_PATHS:
            item.refuse(
                "valueFrom", "fieldRef with fieldPath " + ", ".join(FIELD_PATHS) + "; else give a value"
            )
    return EnvVar(name, item.text("value"), path)


def _probe(probe: Fields | None) -> Probe:
    if probe is None:
        return Probe()
    command: tuple[str, ...] = ()
    handler: dict[str, Any] = {"tcpSocket": {}}
    if exec_action := probe.section("exec"):
        command = exec_action.texts("command")
        if not command:
            exec_action.refuse("command", "a list with at least one text")
    elif http := probe.section("httpGet"):
        handler = {"httpGet": _http_get(http)}
    else:
        probe.skip("tcpSocket")
    period = probe.whole("periodSeconds") or 0
    read = Probe(
        handler=handler,
        command=command,
        period=period,
        timeout=probe.whole("timeoutSeconds", 1) or (1 if period else 0),
        success_threshold=probe.whole("successThreshold", 1) or 1,
        failure_threshold=probe.whole("failureThreshold", 1) or (3 if period else 0),
        initial_delay=probe.whole("initialDelaySeconds") or 0,
    )
    probe.ignore_unread()  # grpc, for one: a TCP connection is tried in its place
    return read


def _http_get(action: Fields) -> dict[str, Any]:
    headers = [
        {"name": item.text("name"), "value": item.text("value")} for item in action.sections("httpHeaders")
    ]
    if action.text("scheme", "HTTP").upper() != "HTTP":
        action.refuse("scheme", "HTTP")
    action.skip("port", "host")  # a replica's own
    read: dict[str, Any] = {"path": action.text("path", "/")}
    return read | ({"httpHeaders": headers} if headers else {})
