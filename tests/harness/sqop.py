"""`sqop` as a referee: the Stateless OpenPGP program of Sequoia. It goes by the clock of the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.pgp_people import person
from harness.referees import RefusedError
from harness.waiting import PATIENCE_SECONDS


def sqop(*words: str, given: bytes = b"") -> bytes:
    """What it writes; raises RefusedError."""
    done = subprocess.run(["sqop", *words], input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode != 0:
        raise RefusedError(done.stderr.decode(errors="replace"))
    return done.stdout


@dataclass(frozen=True)
class Read:
    """What it made of a message, and the fingerprints of the primary keys whose signatures are good."""

    content: bytes
    signers: list[str]


class Sqop:
    """A folder with the keys and certificates of all as files, by kind of key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sign(self, content: bytes, *who: str, text: bool = False) -> bytes:
        return sqop("sign", "--no-armor", *_as(text=text), *self.secrets(who), given=content)

    def verify(self, content: bytes, signature: bytes, *who: str) -> list[str]:
        done = sqop("verify", self.put("signature", signature), *self.certificates(who), given=content)
        return _signers(done)

    def inline_sign(self, content: bytes, *who: str, form: str) -> bytes:
        return sqop("inline-sign", f"--as={form}", *self.secrets(who), given=content)

    def inline_verify(self, octets: bytes, *who: str) -> Read:
        out = self._fresh("verified")
        content = sqop("inline-verify", f"--verifications-out={out}", *self.certificates(who), given=octets)
        return Read(content, _signers(out.read_bytes()))

    def encrypt(self, content: bytes, *who: str, by: Iterable[str] = (), passwords: Iterable[str] = ()) -> bytes:
        options = [f"--sign-with={one}" for one in self.secrets(by)] + self._passwords("--with-password", passwords)
        return sqop("encrypt", "--no-armor", *options, *self.certificates(who), given=content)

    def decrypt(self, octets: bytes, *who: str, by: Iterable[str] = (), passwords: Iterable[str] = ()) -> Read:
        out = self._fresh("verified")
        options = [f"--verify-with={one}" for one in self.certificates(by)]
        options += [f"--verifications-out={out}"] if options else []
        options += self._passwords("--with-password", passwords)
        content = sqop("decrypt", *options, *self.secrets(who), given=octets)
        return Read(content, _signers(out.read_bytes()) if out.exists() else [])

    def locked(self, octets: bytes, secret: bytes, password: str) -> bytes:
        """The content of a message, decrypted by a secret key under a password."""
        option = self._passwords("--with-key-password", [password])
        return sqop("decrypt", *option, self.put("secret", secret), given=octets)

    def certificates(self, who: Iterable[str]) -> list[str]:
        return [self.put(f"{kind}.pgp", person(kind).octets) for kind in who]

    def secrets(self, who: Iterable[str]) -> list[str]:
        return [self.put(f"{kind}.key", person(kind).secret) for kind in who]

    def _passwords(self, option: str, passwords: Iterable[str]) -> list[str]:
        return [f"{option}={self.put(f'password-{at}', one.encode())}" for at, one in enumerate(passwords)]

    def _fresh(self, name: str) -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        return path

    def put(self, name: str, octets: bytes) -> str:
        path = self.folder / name
        path.write_bytes(octets)
        return str(path)


def _as(*, text: bool) -> tuple[str, ...]:
    return ("--as=text",) if text else ()


def _signers(lines: bytes) -> list[str]:
    """The third word of each line is the fingerprint of the primary key."""
    return [line.split()[2].lower() for line in lines.decode().splitlines()]
