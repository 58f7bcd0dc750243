"""KUBECONFIG files: clusters, users and contexts by name, and plugins that give credentials.

Of several files the first that has a name says what it means, and the last that has one names the context
that counts. Paths in a file begin at its folder.

Source: k8s.io/client-go tools/clientcmd, plugin/pkg/client/auth/exec. An `auth-provider`, which kubectl took
up to 1.25, is an error.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kpa.kube.configuration import Configuration, CredentialsError, bearer, proxy_from_environment
from kpa.kube.meta import from_time

DEFAULT = "~/.kube/config"

_EARLY = 300.0
"""Seconds before its end in which what a plugin gave is asked for anew."""

Section = Mapping[str, Any]


class _Found(NamedTuple):
    """A cluster, user or context, and the folder that its paths begin at."""

    body: Section
    folder: Path


class Kubeconfig:
    """The files that KUBECONFIG names, or `~/.kube/config`."""

    def __init__(self) -> None:
        self._path = os.environ.get("KUBECONFIG") or DEFAULT
        self._given: Section = {}  # by a plugin

    def load(self) -> Configuration:
        """Read the files; a plugin is asked.

        Raises
        ------
        CredentialsError
            They cannot be used.
        """
        self._given = {}
        return self.renew()

    def renew(self) -> Configuration:
        """Read the files; a plugin is asked only if what it gave is about to end.

        Raises
        ------
        CredentialsError
            They cannot be used.
        """
        try:
            return self._read()
        except (CredentialsError, OSError) as error:
            raise CredentialsError(f"{self._path}: {error}") from error
        except KeyError as missing:
            raise CredentialsError(f"{self._path}: no {missing}") from missing
        except Exception as error:  # malformed files raise all sorts
            raise CredentialsError(f"{self._path}: {error!r}") from error

    def _read(self) -> Configuration:
        named, current = _merged(self._path)
        context = _pick(named, "contexts", current).body
        cluster = _pick(named, "clusters", context["cluster"])
        user = _Found({}, cluster.folder)
        if context.get("user") and context["user"] in named["users"]:
            user = _pick(named, "users", context["user"])
        server = str(cluster.body["server"]).rstrip("/")
        authorization, given = self._identity(user, cluster)
        certificate = _pem(given, "clientCertificateData") or _material(user, "client-certificate")
        return Configuration(
            server,
            authorization,
            _material(cluster, "certificate-authority"),
            certificate,
            _pem(given, "clientKeyData") or _material(user, "client-key"),
            verify=not cluster.body.get("insecure-skip-tls-verify"),
            server_name=cluster.body.get("tls-server-name"),
            proxy=cluster.body.get("proxy-url") or proxy_from_environment(server),
        )

    def _identity(self, user: _Found, cluster: _Found) -> tuple[str | None, Section]:
        """Return the header's value, and what a plugin gave: one of the first that the user has."""
        body = user.body
        if "token" in body:
            return bearer(body["token"]), {}
        if "tokenFile" in body:
            return bearer((user.folder / body["tokenFile"]).read_text()), {}
        if "exec" in body:
            if not self._given or _ends(self._given):
                self._given = _ask(body["exec"], user.folder, cluster.body)
            token = self._given.get("token")
            return bearer(token) if token else None, self._given
        if "username" in body and "password" in body:
            both = f"{body['username']}:{body['password']}".encode()
            return f"Basic {base64.b64encode(both).decode()}", {}
        if "auth-provider" in body:
            raise CredentialsError(
                "auth-provider is no longer known: use exec, as kubectl wants it since 1.26"
            )
        return None, {}


def _merged(paths: str) -> tuple[dict[str, dict[str, _Found]], str]:
    """Return what the files say by kind and name, and the name of the current context."""
    named: dict[str, dict[str, _Found]] = {"clusters": {}, "users": {}, "contexts": {}}
    current = ""
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    for file in (file for file in files if file.exists()):
        document = yaml.safe_load(file.read_text())
        if not isinstance(document, Mapping):
            raise CredentialsError(f"{file} is no mapping")
        current = document.get("current-context") or current
        for kind, found in named.items():
            for each in document.get(kind) or ():
                body = each.get(kind.removesuffix("s")) or {}
                found.setdefault(each["name"], _Found(body, file.absolute().parent))
    if not any(named.values()):
        raise CredentialsError("there is no such file, or it says nothing")
    return named, current


def _pick(named: Mapping[str, Mapping[str, _Found]], kind: str, name: str) -> _Found:
    if name not in named[kind]:
        raise CredentialsError(f"{kind} has no {name!r}, only {', '.join(named[kind]) or 'none at all'}")
    return named[kind][name]


def _material(found: _Found, key: str) -> bytes | None:
    """Return what is written into the file, or lies beside it."""
    if found.body.get(f"{key}-data"):
        return base64.b64decode(found.body[f"{key}-data"])
    return (found.folder / found.body[key]).read_bytes() if found.body.get(key) else None


def _pem(given: Section, key: str) -> bytes | None:
    return given[key].encode() if given.get(key) else None


def _ends(given: Section) -> bool:
    ends_at = from_time(given.get("expirationTimestamp"))
    return ends_at is not None and time.time() > ends_at - _EARLY


def _ask(plugin: Section, folder: Path, cluster: Section) -> Section:
    """Run a plugin and return the status that it gives."""
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = cluster
    request = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": spec}
    environment = {each["name"]: each["value"] for each in plugin.get("env") or ()}
    command = plugin["command"]
    ran = subprocess.run(
        [command, *(plugin.get("args") or ())],
        cwd=folder,
        env=os.environ | environment | {"KUBERNETES_EXEC_INFO": json.dumps(request)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CredentialsError(f"{command} ended with {ran.returncode}: {ran.stderr.strip()}")
    answer = json.loads(ran.stdout)
    if answer.get("apiVersion") != plugin["apiVersion"]:
        raise CredentialsError(
            f"{command} answers with {answer.get('apiVersion')}, not {plugin['apiVersion']}"
        )
    status: Section = answer.get("status") or {}
    if not status.get("token") and not status.get("clientCertificateData"):
        raise CredentialsError(f"{command} gives neither token nor clientCertificateData")
    return status
