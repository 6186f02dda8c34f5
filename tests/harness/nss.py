"""NSS's `cmsutil` as a referee: the S/MIME of Thunderbird, with a key database of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from harness.referees import RefusedError
from harness.waiting import PATIENCE_SECONDS


def why_not() -> str | None:
    """Why this referee cannot run here; None if it can."""
    missing = [name for name in ("cmsutil", "certutil", "pk12util") if shutil.which(name) is None]
    return f"{' '.join(missing)} not installed (apt-get install libnss3-tools)" if missing else None


class Nss:
    """A database in `folder`, in which only `root` is trusted."""

    def __init__(self, folder: Path, root: object) -> None:
        self.folder = folder
        self._run("certutil", "-N", "--empty-password")
        self.know(root, trust="C,C,C")

    def know(self, one: object, *, trust: str = ",,") -> None:
        """Import the certificate of an authority or a person."""
        self._run("certutil", "-A", "-n", _name(one), "-t", trust, "-a", "-i", self._put("certificate", one.pem))

    def own(self, people: Iterable[object]) -> None:
        """Import the people with their keys."""
        for one in people:
            self.know(one)
            self.open(one.p12(name=_name(one)), b"secret")

    def open(self, p12: bytes, password: bytes) -> None:
        """Import a PKCS#12 file."""
        self._run("pk12util", "-i", self._put("p12", p12), "-W", password.decode())

    def verify(self, octets: bytes, content: bytes | None = None) -> bytes:
        """The signed content; fails if a signature or a path to the root is not good."""
        detached = () if content is None else ("-c", self._put("content", content))
        return self._cms("-D", "-i", self._put("in", octets), *detached)

    def decrypt(self, octets: bytes) -> bytes:
        return self._cms("-D", "-i", self._put("in", octets))

    def sign(self, content: bytes, who: object, *options: str, detached: bool = True) -> bytes:
        form = ["-T"] if detached else []
        return self._cms("-S", "-N", _name(who), *form, *options, "-i", self._put("content", content))

    def encrypt(self, content: bytes, people: Iterable[object], *options: str) -> bytes:
        to = ",".join(map(_name, people))
        return self._cms("-E", "-r", to, *options, "-i", self._put("content", content))

    def certificates(self, people: Iterable[object]) -> bytes:
        """A message of certificates alone."""
        return self._cms("-O", "-r", ",".join(map(_name, people)))

    def _cms(self, *arguments: str) -> bytes:
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        self._run("cmsutil", *arguments, "-o", out.name)
        return out.read_bytes()

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [*words, "-d", "sql:."],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RefusedError((done.stdout + done.stderr).decode(errors="replace"))

    def _put(self, name: str, octets: bytes) -> str:
        (self.folder / name).write_bytes(octets)
        return name


def _name(one: object) -> str:
    """The name in the database: a recipient's address, or what the CA is called."""
    emails = one.certificate.san_emails
    return emails[0] if emails else one.name
