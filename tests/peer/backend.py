"""A user's server that does what the request's path says, in threads of its own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Backend(ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1 until closed.

    ========= =======================================================
    path      answer
    ========= =======================================================
    /echo     what came, as JSON
    /status/N status N with a small body
    /held     200, when `let_go` was called since it came
    /ready    200 or 503, as `ready` says
    /stream   three chunks
    /plain    200 with a header named twice and a cookie
    ========= =======================================================
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ready = True
        self._held = 0
        self._round = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.let_go()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: proxies that gave up on a request have closed the connection."""

    def hold(self, seconds: float = 60) -> None:
        """Block until the next `let_go`."""
        with self._changed:
            now = self._round
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._round != now, seconds)
            self._held -= 1

    def let_go(self) -> None:
        """Answer all that are held."""
        with self._changed:
            self._round += 1
            self._changed.notify_all()

    def wait_until_held(self, number: int, seconds: float = 60) -> None:
        """Block until so many requests are held here; fail after the deadline."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._held == number, seconds), (
                f"{self._held} requests arrived"
            )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        body = self._body()
        kind, _, detail = self.path.strip("/").partition("/")
        if kind == "held":
            self.server.hold()
        if kind == "stream":
            self._stream()
        elif kind == "plain":
            self._answer(200, b"plain", [("X-Twice", "1"), ("X-Twice", "2"), ("Set-Cookie", "a=b; Path=/")])
        elif kind == "ready":
            self._answer(200 if self.server.ready else 503, b"")
        elif kind == "status":
            self._answer(int(detail), b"" if detail in ("204", "304") else b"status " + detail.encode())
        else:
            self._answer(200, json.dumps(self._seen(body)).encode(), [("Content-Type", "application/json")])

    do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_GET

    def _seen(self, body: bytes) -> dict[str, Any]:
        headers = sorted([name.lower(), value] for name, value in self.headers.items())
        return {"method": self.command, "target": self.path, "headers": headers, "body": body.decode()}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response(status)
        for name, value in headers or [("Content-Type", "text/x-backend")]:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass
