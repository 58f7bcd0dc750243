"""Command lines and environment variables of the two processes of a replica."""

import os
import random
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from kpa.local.manifests.spec import EnvVar, Template

HOST = "127.0.0.1"
DRAIN_QUIET_SECONDS = 1
"""How long a draining queue-proxy waits for late requests. Knative's 30 s allow for slow load balancers; our
activator has dropped the replica from its table before the drain begins."""

PORTS = range(20000, 32000)
"""Ports for processes: below those that Linux gives to clients, and to servers that ask for any port (from
32768), so that no other process takes one between the check and the bind."""

QUEUE_PROXY = (sys.executable, "-m", "kpa.dataplane.queue_proxy")


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of one replica, as Knative's labels have them."""

    namespace: str
    service: str
    configuration: str
    revision: str
    pod: str


def free_port(ports: range = PORTS) -> int:
    """Find a free port at random.

    Raises
    ------
    OSError
        None was found in 100 tries.
    """
    for port in random.sample(ports, min(100, len(ports))):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port among {ports.start}-{ports.stop - 1}")


def user_command(template: Template, identity: Identity, port: int) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of the process.

    It inherits our environment (a machine's PATH and HOME in place of an image's); `KPA_PYTHON` names the
    Python that kpa runs with. `$(NAME)` refers, as in Kubernetes, to variables of the container only: those
    that every replica gets, and those declared before.
    """
    given = {
        "PORT": str(port),
        "K_SERVICE": identity.service,
        "K_CONFIGURATION": identity.configuration,
        "K_REVISION": identity.revision,
        "HOSTNAME": identity.pod,
        "KPA_PYTHON": sys.executable,
    }
    for variable in template.env:
        given[variable.name] = _value(variable, identity, given)
    return [expand(part, given) for part in template.argv], {**os.environ, **given}


def proxy_environment(template: Template, identity: Identity, user_port: int, events: int) -> dict[str, str]:
    """Environment of the queue-proxy: the names that Knative gives its own, and ours for one without a pod.

    Source: `knative/serving pkg/reconciler/revision/resources/queue.go`.
    """
    return {
        **os.environ,
        "CONTAINER_CONCURRENCY": str(template.container_concurrency),
        "USER_PORT": str(user_port),
        "REVISION_TIMEOUT_SECONDS": f"{template.timeout:g}",
        "REVISION_RESPONSE_START_TIMEOUT_SECONDS": f"{template.response_start_timeout:g}",
        "REVISION_IDLE_TIMEOUT_SECONDS": f"{template.idle_timeout:g}",
        "SERVING_NAMESPACE": identity.namespace,
        "SERVING_SERVICE": identity.service,
        "SERVING_CONFIGURATION": identity.configuration,
        "SERVING_REVISION": identity.revision,
        "SERVING_POD": identity.pod,
        "SERVING_POD_IP": HOST,
        "SERVING_READINESS_PROBE": template.probe.for_queue_proxy(user_port),
        "QUEUE_HOST": HOST,
        "QUEUE_SERVING_PORT": "0",
        "QUEUE_METRICS_PORT": "0",
        "QUEUE_ADMIN_PORT": "0",
        "QUEUE_DRAIN_QUIET_SECONDS": str(DRAIN_QUIET_SECONDS),
        "QUEUE_EVENTS_FD": str(events),
    }


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; unknown names stay, `$$` is a plain dollar.

    Parameters
    ----------
    text : str
        What the manifest says.
    values : Mapping[str, str]
        Variables by name.

    Example
    -------
    >>> expand("--port=$(PORT) $(NONE) $$(PORT)", {"PORT": "80"})
    '--port=80 $(NONE) $(PORT)'

    Notes
    -----
    Source: `kubernetes/kubernetes third_party/forked/golang/expansion/expand.go`.
    """
    done = ""
    while True:
        before, dollar, rest = text.partition("$")
        done += before
        if not dollar:
            return done
        name, closed, after = rest[1:].partition(")")
        if rest.startswith("(") and closed:
            done += values.get(name, f"$({name})")
            text = after
        else:
            done += "$" if rest.startswith("$") else "$" + rest[:1]
            text = rest[1:]


def _value(variable: EnvVar, identity: Identity, given: Mapping[str, str]) -> str:
    fields = {
        "metadata.name": identity.pod,
        "metadata.namespace": identity.namespace,
        "status.podIP": HOST,
        "status.hostIP": HOST,
    }
    return fields[variable.field_path] if variable.field_path else expand(variable.value, given)
