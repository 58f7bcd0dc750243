"""Where the API server and our identity come from, and how both stay fresh while files change."""

import asyncio
import json
import logging
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from kubernetes.client import Configuration
from kubernetes.config import incluster_config

from kpa.kube.api.client import KubeClient
from kpa.kube.api.credentials import Credentials, CredentialsError
from kpa.kube.api.errors import Unauthorized
from tests.kpa.kube.api_client import configuration, list_objects
from tests.kpa.kube.fake_api import THINGS, FakeApi
from tests.servers import ScriptedServer


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _kubeconfig(path: Path, address: str, user: dict[str, object], **cluster: object) -> None:
    other = {"name": "other", "cluster": {"server": "https://other.invalid"}}
    clusters = [other, {"name": "ours", "cluster": {"server": address, **cluster}}]
    contexts = [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ("other", "ours")]
    users = [{"name": "me", "user": user}]
    document = {"clusters": clusters, "contexts": contexts, "users": users, "current-context": "ours"}
    path.write_text(json.dumps(document))  # YAML as well


def _authority(folder: Path, name: str) -> Path:
    made = folder / f"{name}.crt"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={name}"
    subprocess.run(
        [*command.split(), "-keyout", str(folder / f"{name}.key"), "-out", str(made)],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def pod_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    _authority(tmp_path, "first")
    (tmp_path / "first.crt").rename(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("one\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


def test_a_kubeconfig_names_the_server_by_its_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kubeconfig(tmp_path / "config", "http://127.0.0.1:1/prefix/", {"token": "secret"})
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/absent:{tmp_path}/config")
    access = Credentials.from_environment().access
    assert (access.address, access.authorization) == ("http://127.0.0.1:1/prefix", "Bearer secret")
    assert access.tls is None


@pytest.mark.process
def test_a_plugin_gives_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "plugin"
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": "by-plugin"}}
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    _kubeconfig(tmp_path / "config", "http://a", {"exec": {"command": str(plugin), "apiVersion": version}})
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert Credentials.from_environment().access.authorization == "Bearer by-plugin"


@pytest.mark.process
def test_certificates_are_verified_as_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    authority = str(_authority(tmp_path, "ca"))
    user = {"client-certificate": authority, "client-key": str(tmp_path / "ca.key")}
    names = {"tls-server-name": "kube", "proxy-url": "http://proxy:3128"}
    _kubeconfig(
        tmp_path / "config", "https://127.0.0.1:1", user, **{"certificate-authority": authority}, **names
    )
    access = Credentials.from_environment().access
    assert access.tls is not None
    assert access.tls.verify_mode == ssl.CERT_REQUIRED
    assert access.tls.check_hostname
    assert len(access.tls.get_ca_certs()) == 1
    assert (access.server_name, access.proxy) == ("kube", "http://proxy:3128")

    _kubeconfig(tmp_path / "config", "https://127.0.0.1:1", {}, **{"insecure-skip-tls-verify": True})
    careless = Credentials.from_environment().access
    assert careless.tls is not None
    assert careless.tls.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize("text", ["", "[]", "clusters: 1", "{", "current-context: gone\ncontexts: []\n"])
def test_a_kubeconfig_that_cannot_be_used_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(CredentialsError, match="config"):
        Credentials.from_environment()


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(CredentialsError, match=r"~/\.kube/config"):
        Credentials.from_environment()


@pytest.mark.process
def test_a_pod_finds_its_server(pod_files: Path) -> None:
    access = Credentials.from_environment().access
    assert (access.address, access.authorization) == ("https://[fd00::1]:443", "bearer one")
    assert access.tls is not None


@pytest.mark.process
def test_a_pod_without_files_says_so(pod_files: Path) -> None:
    (pod_files / "token").unlink()
    with pytest.raises(CredentialsError, match="ServiceAccount"):
        Credentials.from_environment()


@pytest.mark.process
async def test_a_pods_token_is_read_once_a_minute(pod_files: Path) -> None:
    clock = _Clock()
    found = Credentials.from_environment()
    credentials = Credentials(found._load, clock=clock)
    before = await credentials.current()
    (pod_files / "token").write_text("two")
    assert (await credentials.current()).authorization == "bearer one"
    clock.now += 60.0
    after = await credentials.current()
    assert after.authorization == "bearer two"
    assert after.tls is before.tls, "connections are kept while the certificates are the same"


@pytest.mark.process
async def test_a_new_authority_is_taken_up(pod_files: Path) -> None:
    clock = _Clock()
    credentials = Credentials(Credentials.from_environment()._load, clock=clock)
    before = credentials.access.tls
    _authority(pod_files, "second").rename(pod_files / "ca.crt")
    clock.now += 60.0
    assert (await credentials.current()).tls is not before


@pytest.mark.process
async def test_the_last_credentials_stay_while_the_files_are_gone(
    pod_files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = _Clock()
    credentials = Credentials(Credentials.from_environment()._load, clock=clock)
    (pod_files / "token").unlink()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            clock.now += 60.0
            assert (await credentials.current()).authorization == "bearer one"
    assert len(caplog.records) == 1
    (pod_files / "token").write_text("two")
    clock.now += 60.0
    assert (await credentials.current()).authorization == "bearer two"


async def test_refused_credentials_are_read_again_once() -> None:
    api, clock, tokens = FakeApi(), _Clock(), iter(["old", "new", "newer"])
    address = await api.start()
    api.token = "new"

    def load() -> Configuration:
        return configuration(address, next(tokens))

    client = KubeClient(Credentials(load, clock=clock))
    clock.now += 10.0
    try:
        await list_objects(client, THINGS)
        clock.now += 10.0
        api.token = "another"
        api.requests.clear()
        with pytest.raises(Unauthorized, match="list things"):
            await list_objects(client, THINGS)
        assert len(api.requests) == 2
        with pytest.raises(Unauthorized):  # and no plugin runs for each refusal
            await list_objects(client, THINGS)
    finally:
        await client.close()
        await api.stop()


async def test_many_refusals_at_once_have_the_credentials_read_once() -> None:
    api, clock, loaded = FakeApi(), _Clock(), []
    address = await api.start()
    api.token = "new"

    def load() -> Configuration:
        loaded.append(len(loaded))
        return configuration(address, "new" if len(loaded) > 1 else "old")

    client = KubeClient(Credentials(load, clock=clock))
    clock.now += 10.0
    try:
        await asyncio.gather(*(list_objects(client, THINGS) for _ in range(10)))
        assert len(loaded) == 2
    finally:
        await client.close()
        await api.stop()


async def test_all_requests_go_through_a_proxy_that_is_on_the_way() -> None:
    lines: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.decode().partition("\r\n")[0])
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"metadata":{"uid":1}}')

    def behind_proxy() -> Configuration:
        made = configuration("http://kube.invalid:80")
        made.proxy = f"http://127.0.0.1:{server.port}"
        return made

    async with ScriptedServer(answer) as server:
        client = KubeClient(Credentials(behind_proxy))
        assert await client.get(THINGS, "default", "a") == {"metadata": {"uid": 1}}
        await client.close()
    (line,) = lines
    assert line.startswith("GET http://kube.invalid/apis/test.dev/v1/namespaces/default/things/a HTTP")
