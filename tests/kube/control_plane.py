"""A real etcd and kube-apiserver on loopback: RBAC on, no node, no controllers.

What a node, Knative's controller and its webhooks do is played by the tests. The processes end with this one,
however it ends (on Linux).
"""

import contextlib
import ctypes
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from tests.kube import audit
from tests.kube.api import Api
from tests.kube.programs import program

ADMIN_TOKEN = "token-of-the-test-admin"
START_SECONDS = 90.0  # 3 s on an idle machine
STOP_SECONDS = 15.0
ATTEMPTS = 3  # a port that was free may be taken by the time it is used
PR_SET_PDEATHSIG = 1


class ControlPlane:
    """One etcd and one kube-apiserver that keep their ports and their data over stops and starts.

    Attributes
    ----------
    url : str
        Address of the API server.
    ca_file : Path
        The certificate that verifies it.
    audit_file : Path
        What the autoscaler's ServiceAccount asked for; see `audit.read_log`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._etcd: subprocess.Popen[bytes] | None = None
        self._api_server: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.ca_file = folder / "certificates" / "apiserver.crt"
        self.audit_file = folder / "audit.jsonl"

    def start(self) -> None:
        """Start both programs and wait until the API server is ready.

        Raises
        ------
        RuntimeError
            They did not start; the message ends with their logs.
        """
        key = self._folder / "service-accounts.key"
        key.write_text(signing_key())
        (self._folder / "tokens.csv").write_text(f"{ADMIN_TOKEN},admin,admin,system:masters\n")
        (self._folder / "audit-policy.yaml").write_text(yaml.safe_dump(audit.POLICY))
        self.audit_file.touch()
        for attempt in range(ATTEMPTS):
            self._ports = free_ports(3)
            self.url = f"https://127.0.0.1:{self._ports[2]}"
            try:
                self.start_etcd()
                self.start_api_server()
                return
            except RuntimeError:
                self.stop()
                if attempt == ATTEMPTS - 1:
                    raise

    def start_etcd(self) -> None:
        """Start etcd; its data survive a stop."""
        client, peer, _ = (f"http://127.0.0.1:{port}" for port in self._ports)
        self._etcd = self._spawn(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )

    def start_api_server(self) -> None:
        """Start the API server at its old port and wait until it is ready."""
        self._api_server = self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._ports[0]}",
            f"--secure-port={self._ports[2]}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.ca_file.parent}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--audit-policy-file={self._folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_file}",
            "--audit-log-mode=blocking-strict",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._folder / 'service-accounts.key'}",
            f"--service-account-signing-key-file={self._folder / 'service-accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Pods are made where nobody makes ServiceAccounts; owners are blocked only by who may do so.
            "--disable-admission-plugins=ServiceAccount",
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        )
        self._wait_until(self._is_ready, START_SECONDS)

    def stop_api_server(self, signal_number: int = signal.SIGTERM) -> None:
        """End the API server: all its connections break."""
        end(self._api_server, signal_number)
        self._api_server = None

    @contextlib.contextmanager
    def api_server_down(self) -> Iterator[None]:
        """Do without the API server for a while."""
        self.stop_api_server(signal.SIGKILL)
        try:
            yield
        finally:
            self.start_api_server()

    @contextlib.contextmanager
    def etcd_frozen(self) -> Iterator[None]:
        """Let etcd answer nothing for a while."""
        assert self._etcd is not None
        self._etcd.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._etcd.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End both programs."""
        self.stop_api_server(signal.SIGKILL)
        end(self._etcd, signal.SIGKILL)
        self._etcd = None

    def api(self, token: str = ADMIN_TOKEN) -> Api:
        """Open a session as the admin, or as the user of another token."""
        return Api(self.url, token, self.ca_file)

    def kubeconfig(self, file: Path, token: str = ADMIN_TOKEN) -> Path:
        """Write a kubeconfig for the admin, or for the user of another token."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        binary = program(name)
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=end_with_parent(),
            )

    def _is_ready(self) -> bool:
        if not self.ca_file.exists():
            return False
        request = urllib.request.Request(
            f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        )
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            ended = any(p and p.poll() is not None for p in (self._etcd, self._api_server))
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"the control plane did not start:\n{self._logs()}")
            time.sleep(0.05)

    def _logs(self) -> str:
        return "\n".join(
            f"--- {file.name}\n{file.read_text()[-3000:]}" for file in self._folder.glob("*.log")
        )


def signing_key() -> str:
    """Make an RSA key that signs tokens."""
    done = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True)
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def end(process: subprocess.Popen[bytes] | None, signal_number: int) -> None:
    """End a process and wait for it."""
    if process is None:
        return
    process.send_signal(signal_number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_with_parent() -> Callable[[], None] | None:
    """Return what a child does so that the kernel ends it when this process is gone."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask
