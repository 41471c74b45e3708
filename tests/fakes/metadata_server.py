# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud host's metadata server on this machine: answers what a test sets, refuses what Google's refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PREFIX = "/computeMetadata/v1/instance/"


class MetadataServer(ThreadingHTTPServer):
    """`values` are the answers by name; a name without one is not found."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.values = {"maintenance-event": "NONE", "preempted": "FALSE"}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def metadata_server() -> Iterator[MetadataServer]:
    """A server for as long as the block lasts."""
    with MetadataServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer

    def do_GET(self) -> None:
        name = self.path.removeprefix(PREFIX)
        self.server.asked.append(name)
        if self.headers.get("Metadata-Flavor") != "Google":
            self.send_error(403)
        elif name not in self.server.values:
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.values[name].encode())

    def log_message(self, format: str, *values: object) -> None:
        pass
