"""A web hook on the loopback interface that answers, refuses, hangs, drips, resets or redirects."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class Hook(ThreadingHTTPServer):
    """Keeps what it was told.

    Attributes
    ----------
    mode : str
        ``ok``, ``500``, ``hang``, ``drip``, ``reset``, ``lost`` (taken, then cut off) or ``302``.
    got : list of dict
        Messages it took.
    asked : int
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = "ok"
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def titles(self) -> list[str]:
        return [str(message.get("title")) for message in self.got]

    def handle_error(self, *_: object) -> None:
        return


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        server = self.server
        server.asked += 1
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        if server.mode == "hang":
            server.ended.wait(60)
            return
        if server.mode == "drip":
            self._drip()
            return
        if server.mode == "reset":
            self._reset()
            return
        if server.mode == "500":
            self._answer(500)
            return
        if server.mode == "302":
            self.send_response(302)
            self.send_header("Location", f"http://{server.address}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        server.got.append(_message(body))
        if server.mode == "lost":
            self._reset()
            return
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.ended.wait(0.1):
            self.wfile.write(b"a")
            self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: object) -> None:
        return


def _message(body: str) -> dict[str, Any]:
    if body.startswith("{"):
        found: dict[str, Any] = json.loads(body)
        return found
    return {key: values[0] for key, values in parse_qs(body).items()}


@contextmanager
def hook() -> Iterator[Hook]:
    """A hook that serves until the end of the block."""
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
