"""KUBECONFIG files and proxies: what they say is what the package `kubernetes` reads in them.

Left out: TLS contexts and renewal, which are of `test_client_credentials`.
"""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import Configuration as Theirs
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config import load_kube_config

from kpa.kube.configuration import CredentialsError, in_cluster, proxy_from_environment
from kpa.kube.kubeconfig import Kubeconfig

VERSION = "client.authentication.k8s.io/v1"
PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
DATA = base64.b64encode(PEM).decode()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    for name in ("ca.crt", "me.crt", "me.key"):
        (tmp_path / name).write_bytes(PEM + name.encode())
    (tmp_path / "token").write_text("of-a-file")
    return tmp_path


def write(path: Path, cluster: dict[str, Any], user: dict[str, Any], **more: Any) -> None:
    document = {
        "clusters": [{"name": "here", "cluster": {"server": "https://api:6443/"} | cluster}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "mine", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "mine",
    }
    path.write_text(json.dumps(document | more))


def plugin(folder: Path, status: dict[str, Any]) -> dict[str, Any]:
    """Make a plugin that notes what it was asked, once for each time."""
    answer = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})
    program = folder / "plugin"
    program.write_text('#!/bin/sh\necho "$KUBERNETES_EXEC_INFO $1 $A" >> asked\ncat answer\n')
    (folder / "answer").write_text(answer)
    program.chmod(0o755)
    return {
        "command": "./plugin",
        "args": ["one"],
        "env": [{"name": "A", "value": "b"}],
        "apiVersion": VERSION,
    }


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        pytest.param({}, {}, id="nobody"),
        pytest.param({}, {"token": "secret", "tokenFile": "token"}, id="token"),
        pytest.param({}, {"tokenFile": "token", "username": "u", "password": "p"}, id="token-file"),
        pytest.param({}, {"username": "u", "password": "p"}, id="password"),
        pytest.param({"server": "http://api/prefix/"}, {"token": "t"}, id="no-tls"),
        pytest.param({"certificate-authority": "ca.crt"}, {"token": "t"}, id="authority"),
        pytest.param({"certificate-authority-data": DATA, "certificate-authority": "ca.crt"}, {}, id="data"),
        pytest.param({}, {"client-certificate": "me.crt", "client-key": "me.key"}, id="certificate"),
        pytest.param({}, {"client-certificate-data": DATA, "client-key-data": DATA}, id="certificate-data"),
        pytest.param({"insecure-skip-tls-verify": True}, {}, id="careless"),
        pytest.param({"tls-server-name": "kube", "proxy-url": "http://p:1"}, {}, id="names"),
    ],
)
def test_a_file_means_what_the_package_kubernetes_reads_in_it(
    cluster: dict[str, Any], user: dict[str, Any], folder: Path
) -> None:
    write(folder / "config", cluster, user)
    theirs, ours = Theirs(), Kubeconfig().load()
    load_kube_config(str(folder / "config"), client_configuration=theirs)  # type: ignore[no-untyped-call]
    assert ours.authorization == theirs.api_key.get("BearerToken")
    assert (ours.server, ours.server_name, ours.proxy) == (theirs.host, theirs.tls_server_name, theirs.proxy)
    assert ours.verify == theirs.verify_ssl
    for material, path in (
        (ours.authority, theirs.ssl_ca_cert),
        (ours.certificate, theirs.cert_file),
        (ours.key, theirs.key_file),
    ):
        assert material == (Path(path).read_bytes() if path else None)


def test_of_several_files_the_first_that_has_a_name_says_what_it_means(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "token").write_text("of-the-other")
    write(folder / "config", {}, {}, users=[], **{"current-context": None})
    write(other / "config", {"server": "https://other"}, {"tokenFile": "token"})
    monkeypatch.setenv("KUBECONFIG", f"{folder}/absent:{folder}/config:{other}/config")
    found = Kubeconfig().load()
    assert (found.server, found.authorization) == ("https://api:6443", "Bearer of-the-other")


def test_a_plugin_is_asked_again_only_when_what_it_gave_ends(folder: Path) -> None:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    status = {"token": "by-plugin", "expirationTimestamp": ends}
    write(folder / "config", {}, {"exec": plugin(folder, status) | {"provideClusterInfo": True}})
    kubeconfig = Kubeconfig()
    assert kubeconfig.load() == kubeconfig.renew()
    asked = (folder / "asked").read_text().splitlines()
    assert len(asked) == 1
    assert json.loads(asked[0].removesuffix(" one b"))["spec"]["cluster"]["server"] == "https://api:6443/"
    kubeconfig.load()
    assert len((folder / "asked").read_text().splitlines()) == 2
    plugin(folder, status | {"expirationTimestamp": "2026-01-01T00:00:00Z"})
    kubeconfig.load()
    kubeconfig.renew()
    assert len((folder / "asked").read_text().splitlines()) == 4


def test_a_plugin_may_give_a_certificate(folder: Path) -> None:
    status = {"clientCertificateData": PEM.decode(), "clientKeyData": "key"}
    write(folder / "config", {}, {"exec": plugin(folder, status)})
    found = Kubeconfig().load()
    assert (found.authorization, found.certificate, found.key) == (None, PEM, b"key")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": {"command": "false", "apiVersion": VERSION}}, "false ended with 1"),
        ({"exec": {"command": "echo", "args": ["{}"], "apiVersion": VERSION}}, f"None, not {VERSION}"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider is no longer known"),
        ({"tokenFile": "absent"}, "absent"),
    ],
    ids=["fails", "answers-something-else", "auth-provider", "no-file"],
)
def test_what_cannot_be_used_is_named(user: dict[str, Any], said: str, folder: Path) -> None:
    write(folder / "config", {}, user)
    with pytest.raises(CredentialsError, match=said) as refused:
        Kubeconfig().load()
    assert str(folder / "config") in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"contexts": []}, "contexts has no 'mine'"), ({"clusters": []}, "clusters has no 'here'")],
)
def test_a_name_that_is_nowhere_is_named(more: dict[str, Any], said: str, folder: Path) -> None:
    write(folder / "config", {}, {}, **more)
    with pytest.raises(CredentialsError, match=said):
        Kubeconfig().load()


HOSTS = st.sampled_from(["10.1.2.3", "10.1.2.3:6443", "[fd00::1]:443", "api.example.com", "EXAMPLE.com:6443"])
ENTRIES = st.sampled_from(
    ["", "*", " 10.1.2.3", "10.0.0.0/8", "192.168.0.0/16", "fd00::/8", ".example.com", "example.com", "com",
     "ample.com", "example.com:6443", "10.1.2.3:6443"]
)  # fmt: skip


@given(HOSTS, st.lists(ENTRIES, max_size=3))
def test_the_same_addresses_are_reached_without_a_proxy(host: str, entries: list[str]) -> None:
    excepted = ",".join(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://proxy:3128")
        patch.setenv("NO_PROXY", excepted)
        found = proxy_from_environment(f"https://{host}")
    assert (found is None) == should_bypass_proxies(f"https://{host}", excepted)


def test_a_proxy_is_of_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert proxy_from_environment("http://api") is None
    assert proxy_from_environment("https://api") == "http://proxy:3128"


def test_a_pod_that_is_told_no_port_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT", raising=False)
    with pytest.raises(CredentialsError, match="KUBERNETES_SERVICE_PORT"):
        in_cluster()
