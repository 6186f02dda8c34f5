"""`openssl cms` as the referee: makes and opens S/MIME independently of Mailseal."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def run(*arguments: str, given: bytes = b"", seconds: float = 30) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}:\n{done.stderr.decode(errors='replace')}"
    return done.stdout


def decrypt(mail: bytes, identity: object) -> bytes:
    """The entity inside; fails if this key does not open it."""
    with tempfile.TemporaryDirectory() as name:
        key = _write(Path(name) / "key.pem", identity.key_pem)
        return run(
            "cms", "-decrypt", "-inkey", key, "-recip", _write(Path(name) / "cert.pem", identity.pem), given=mail
        )


def can_decrypt(mail: bytes, identity: object) -> bool:
    try:
        decrypt(mail, identity)
    except AssertionError:
        return False
    return True


def verify(entity: bytes, root: object) -> bytes:
    """The signed content; fails if the signature or the path to the root is not good."""
    with tempfile.TemporaryDirectory() as name:
        ca = _write(Path(name) / "root.pem", root.pem)
        return run("cms", "-verify", "-CAfile", ca, "-purpose", "smimesign", given=entity)


def sign(content: bytes, identity: object, *, opaque: bool = False) -> bytes:
    """A signed entity (with MIME-Version), CRLF line ends; the content is an entity with its own Content-Type."""
    with tempfile.TemporaryDirectory() as name:
        key = _write(Path(name) / "key.pem", identity.key_pem)
        certificate = _write(Path(name) / "cert.pem", identity.pem)
        options = ["-nodetach"] if opaque else []
        if identity.chain:
            chain = b"".join(ssl.DER_cert_to_PEM_cert(one).encode() for one in identity.chain)
            options += ["-certfile", _write(Path(name) / "chain.pem", chain)]
        made = run("cms", "-sign", "-signer", certificate, "-inkey", key, "-md", "sha256", *options, given=content)
        return crlf(made)


def encrypt(content: bytes, identities: Sequence[object], *, cipher: str = "aes-256-cbc") -> bytes:
    with tempfile.TemporaryDirectory() as name:
        files = [_write(Path(name) / f"{number}.pem", one.pem) for number, one in enumerate(identities)]
        return crlf(run("cms", "-encrypt", f"-{cipher}", *files, given=content))


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _write(path: Path, octets: bytes) -> str:
    path.write_bytes(octets)
    return str(path)
