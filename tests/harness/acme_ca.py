"""A CA that speaks ACME with the HTTP challenge (RFC 8555) as far as one order goes; it verifies what it is sent.

Signatures, nonces, URLs and account are checked by hand with `cryptography`, so that the client's library does not
check itself. `visit` stands for what the CA would fetch from port 80 of a name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from harness.server_certificate import server_certificate

LIFE = timedelta(days=90)
PROBLEM = "urn:ietf:params:acme:error:"


class RefusedError(Exception):
    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind


@dataclass
class AcmeCa:
    """`visit(name, token)` gives what is found there; `refuse` is a problem's detail instead of an order."""

    folder: Path
    visit: Callable[[str, str], str | None]
    refuse: str = ""
    life: timedelta = LIFE
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    contacts: list[Any] = field(default_factory=list)
    orders: int = 0

    def __enter__(self) -> Self:
        files = server_certificate(self.folder, "localhost")
        self.trusted = files.certificate
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Pretend CA")])
        self.nonces: set[str] = set()
        self.names: list[str] = []
        self.states: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.issued = ""
        ca = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._say(200, b"")

            def do_GET(self) -> None:
                self._say(200, json.dumps(ca.directory()).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    status, answer, more = ca.handle(self.path, body)
                except RefusedError as error:
                    status, more = error.status, {"Content-Type": "application/problem+json"}
                    answer = {"type": PROBLEM + error.kind, "detail": str(error)}
                octets = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self._say(status, octets, more)

            def _say(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
                nonce = secrets.token_urlsafe(16)
                ca.nonces.add(nonce)
                self.send_response(status)
                told = {"Content-Type": "application/json", "Replay-Nonce": nonce, **(more or {})}
                for name, value in {**told, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.root = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def directory(self) -> dict[str, str]:
        return {one: f"{self.root}/{one}" for one in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}

    def handle(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        payload, account = self._opened(path, body)
        match path.strip("/").split("/"):
            case ["newAccount"]:
                if not payload.get("termsOfServiceAgreed"):
                    raise RefusedError(403, "userActionRequired", "the terms are not agreed to")
                self.contacts.append(payload.get("contact"))
                return 201, {"status": "valid"}, {"Location": account}
            case ["newOrder"]:
                return self._new_order(payload)
            case ["order"]:
                return 200, self._order(), {"Location": f"{self.root}/order"}
            case ["authz", name]:
                return 200, self._authorization(name), {}
            case ["challenge", name]:
                self._visit(name, account)
                return 200, self._challenge(name), {"Link": f'<{self.root}/authz/{name}>;rel="up"'}
            case ["finalize"]:
                self._issue(payload["csr"])
                return 200, self._order(), {"Location": f"{self.root}/order"}
            case ["certificate"]:
                return 200, self.issued, {"Content-Type": "application/pem-certificate-chain"}
        raise RefusedError(404, "malformed", "no such place")

    def _opened(self, path: str, body: bytes) -> tuple[dict[str, Any], str]:
        """The payload whose signature, nonce, URL and account are right, and the account's URI."""
        jws = json.loads(body)
        head = json.loads(_decoded(jws["protected"]))
        if head["nonce"] not in self.nonces:
            raise RefusedError(400, "badNonce", "an unknown nonce")
        self.nonces.remove(head["nonce"])
        assert head["url"] == self.root + path
        assert head["alg"] == "ES256"
        assert ("jwk" in head) != ("kid" in head)
        jwk = head.get("jwk") or self.accounts[head["kid"]]
        point = ec.EllipticCurvePublicNumbers(*(int.from_bytes(_decoded(jwk[one])) for one in "xy"), ec.SECP256R1())
        signature = _decoded(jws["signature"])
        signed = f"{jws['protected']}.{jws['payload']}".encode()
        der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        point.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
        uri = head.get("kid") or f"{self.root}/account/{_thumbprint(jwk)[:8]}"
        self.accounts[uri] = jwk
        return json.loads(_decoded(jws["payload"]) or b"{}"), uri

    def _new_order(self, payload: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if self.refuse:
            raise RefusedError(429, "rateLimited", self.refuse)
        self.orders += 1
        self.names = [one["value"] for one in payload["identifiers"]]
        self.states = dict.fromkeys(self.names, "pending")
        self.tokens = {name: secrets.token_urlsafe(24) for name in self.names}
        self.issued = ""
        return 201, self._order(), {"Location": f"{self.root}/order"}

    def _order(self) -> dict[str, Any]:
        ready = all(state == "valid" for state in self.states.values())
        return {
            "status": "valid" if self.issued else "ready" if ready else "pending",
            "identifiers": [{"type": "dns", "value": name} for name in self.names],
            "authorizations": [f"{self.root}/authz/{name}" for name in self.names],
            "finalize": f"{self.root}/finalize",
            **({"certificate": f"{self.root}/certificate"} if self.issued else {}),
        }

    def _authorization(self, name: str) -> dict[str, Any]:
        return {
            "status": self.states[name],
            "identifier": {"type": "dns", "value": name},
            "challenges": [self._challenge(name)],
        }

    def _challenge(self, name: str) -> dict[str, Any]:
        state = self.states[name]
        problem = {"type": PROBLEM + "unauthorized", "detail": "the file is not there\x1b[31m"}
        return {
            "type": "http-01",
            "url": f"{self.root}/challenge/{name}",
            "token": self.tokens[name],
            "status": state,
            **({"error": problem} if state == "invalid" else {}),
        }

    def _visit(self, name: str, account: str) -> None:
        wanted = f"{self.tokens[name]}.{_thumbprint(self.accounts[account])}"
        self.states[name] = "valid" if self.visit(name, self.tokens[name]) == wanted else "invalid"

    def _issue(self, csr: str) -> None:
        request = x509.load_der_x509_csr(_decoded(csr))
        assert request.is_signature_valid
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(self.names)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self.name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + self.life)
        )
        leaf = (
            builder.subject_name(request.subject).public_key(request.public_key()).add_extension(names, critical=False)
        )
        own = builder.subject_name(self.name).public_key(self.key.public_key())
        signed = [one.sign(self.key, hashes.SHA256()) for one in (leaf, own)]
        self.issued = b"".join(one.public_bytes(Encoding.PEM) for one in signed).decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638."""
    text = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
