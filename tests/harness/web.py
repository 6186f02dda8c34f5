"""A web server with TLS, of files by path, that notes what it was asked: stands for key servers and directories."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from harness.server_certificate import server_certificate

HOLD_SECONDS = 300.0
"""More than any patience that a test gives the client."""


@dataclass
class Web:
    """`answers` by the beginning of "METHOD path"; `hold` keeps who asks waiting until it is set.

    `fields`: of the header of every answer. `tls`: another certificate than one for `name` alone; then `answers` are
    by "METHOD host/path".
    """

    folder: Path
    name: str = "keys.example"
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    hold: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        web = self
        web.hold.set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = "" if web.tls is None else self.headers.get("Host", "")
                web.asked.append(f"{self.command} {host}{self.path}")
                web.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
                web.hold.wait(HOLD_SECONDS)
                found = [answer for start, answer in web.answers.items() if web.asked[-1].startswith(start)]
                status, body = found[0] if found else (404, b"")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in web.fields.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 -- the base class's name

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Who hangs up says so on its own side."""

        context = self.tls
        if context is None:
            files = server_certificate(self.folder, self.name)
            self.ca = files.certificate
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.certificate, files.key)
        self.server = Quiet(("127.0.0.1", self.port), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
