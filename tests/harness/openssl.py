"""`openssl cms` as a referee: makes and opens S/MIME independently of Mailseal.

The functions are for mails of the stories; `Cms` is for the structures themselves.
"""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.referees import BODY, Circle, RefusedError
from harness.waiting import PATIENCE_SECONDS

LEGACY = ("-provider", "legacy", "-provider", "default")
"""Options without which it makes and opens no RC2, CAST5 or DES."""


def run(*arguments: str, given: bytes = b"", seconds: float = PATIENCE_SECONDS) -> bytes:
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


class Cms:
    """A folder with the keys and certificates of all as PEM files, and `openssl cms` run in it.

    Names of people are kinds of key, and "outsider". Structures are DER, or of another `form` that openssl knows.
    """

    def __init__(self, folder: Path, circle: Circle) -> None:
        self.folder = folder
        self.put(circle.root.pem, "root.pem")
        self.put(circle.issuing.pem, "chain.pem")
        for name, one in {**circle.people, "outsider": circle.outsider}.items():
            self.put(one.pem, f"{name}.pem")
            self.put(one.key_pem, f"{name}.key")

    def verify(self, octets: bytes, content: bytes | None = None, *options: str, form: str = "DER") -> bytes:
        """The signed content; fails if a signature or a path to the root is not good."""
        detached = () if content is None else ("-content", self.put(content, "content"))
        # openssl itself takes apart a mail and makes its line ends CRLF; anything else is left alone by -binary.
        binary = () if form == "SMIME" else ("-binary",)
        given = ("-in", self.put(octets), "-inform", form, *binary, *detached)
        return self.cms("-verify", *given, "-CAfile", "root.pem", *options)

    def sign(self, *who: str | tuple[str, ...], options: Sequence[str] = (), content: bytes = BODY) -> bytes:
        """Signed by people, each a name or a name with the options for its signature."""
        by = [word for one in who for word in _signer(one)]
        given = ("-in", self.put(content, "content"), "-binary", "-certfile", "chain.pem", *by)
        return self.cms("-sign", *given, *_form(options), *options)

    def sign_also(self, octets: bytes, who: str, *options: str) -> bytes:
        """The same with one more signer."""
        given = ("-in", self.put(octets), "-inform", "DER", *_signer(who))
        return self.cms("-resign", *given, "-outform", "DER", *options)

    def encrypt(self, *who: str | tuple[str, ...], options: Sequence[str] = (), content: bytes = BODY) -> bytes:
        """Encrypted to people, each a name or a name with the options for its recipient info."""
        to = [word for one in who for word in _recipient(one)]
        given = ("-in", self.put(content, "content"), "-binary")
        return self.cms("-encrypt", *given, *_form(options), *options, *to)

    def decrypt(self, octets: bytes, who: str, *options: str, form: str = "DER") -> bytes:
        key = ("-recip", f"{who}.pem", "-inkey", f"{who}.key")
        return self.open(octets, *key, *options, form=form)

    def open(self, octets: bytes, *options: str, form: str = "DER") -> bytes:
        """The content, decrypted by what the options name."""
        return self.cms("-decrypt", "-binary", "-in", self.put(octets), "-inform", form, *options)

    def cms(self, *arguments: str) -> bytes:
        """What it writes; raises RefusedError."""
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        words = ["openssl", "cms", *arguments, "-out", out.name]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stderr.decode(errors="replace"))
        return out.read_bytes()

    def put(self, octets: bytes, name: str = "in") -> str:
        (self.folder / name).write_bytes(octets)
        return name


def _form(options: Sequence[str]) -> tuple[str, ...]:
    return () if "-outform" in options else ("-outform", "DER")


def _signer(who: str | tuple[str, ...]) -> tuple[str, ...]:
    name, *options = (who,) if isinstance(who, str) else who
    return "-signer", f"{name}.pem", "-inkey", f"{name}.key", *options


def _recipient(who: str | tuple[str, ...]) -> tuple[str, ...]:
    name, *options = (who,) if isinstance(who, str) else who
    return "-recip", f"{name}.pem", *options


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _write(path: Path, octets: bytes) -> str:
    path.write_bytes(octets)
    return str(path)
