"""`gpg` as a referee, with a home folder and an agent of its own and its clock held still."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from harness.referees import RefusedError
from harness.waiting import PATIENCE_SECONDS
from pki import NOW


def why_not(*programs: str) -> str | None:
    """Why this referee cannot run here; None if it can."""
    missing = [name for name in programs or ("gpg", "gpgconf", "gpg-agent") if shutil.which(name) is None]
    return f"{' '.join(missing)} not installed (apt-get install gpg gpg-agent sqop)" if missing else None


@dataclass(frozen=True)
class Read:
    """What gpg made of a message, and the lines in which it says what it was (doc/DETAILS)."""

    content: bytes
    said: tuple[str, ...]

    def lines(self, keyword: str) -> list[list[str]]:
        """The words behind a keyword, for each line that begins with it."""
        return [line.split()[1:] for line in self.said if line.split()[0] == keyword]

    @property
    def signers(self) -> list[str]:
        """The fingerprints of the primary keys that made good signatures."""
        return [words[-1].lower() for words in self.lines("VALIDSIG")]


class Gpg:
    """A home folder; to be used as a context, with which its agent ends. `at`: its clock; None: that of the machine."""

    def __init__(self, at: datetime | None = NOW) -> None:
        self.at = at
        # The path is short, since the agent's socket may be in it.
        self.home = Path(tempfile.mkdtemp(prefix="ms-gpg-", dir="/tmp"))
        # A fixed count, else it measures for a second what the machine can do; and no password is remembered.
        (self.home / "gpg-agent.conf").write_text(
            "disable-scdaemon\ns2k-count 65536\nallow-loopback-pinentry\ndefault-cache-ttl 0\n"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for words in (["--kill", "all"], ["--remove-socketdir"]):
            gpgconf = ["gpgconf", "--homedir", str(self.home), *words]
            subprocess.run(gpgconf, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *words: str, given: bytes = b"", password: str = "", at: datetime | None = None) -> bytes:
        """What it writes; raises RefusedError with what it says."""
        options = ["--batch", "--no-auto-check-trustdb", "--trust-model", "always", "--pinentry-mode", "loopback"]
        clock = ["--faked-system-time", f"{at or self.at or datetime.now(UTC):%Y%m%dT%H%M%S}!"]
        command = ["gpg", "--homedir", str(self.home), *options, *clock, "--passphrase", password, *words]
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stderr.decode(errors="replace"))
        return done.stdout

    def read(self, octets: bytes, *options: str, **more: object) -> Read:
        """A message decrypted, its signatures verified; raises RefusedError also for a signature that is not good."""
        status = self.home / "status"
        content = self.run("--status-file", str(status), *options, "--decrypt", given=octets, **more)
        return Read(content, _said(status))

    def judged(self, content: bytes, signature: bytes, *, at: datetime | None = None) -> str:
        """What it calls a detached signature, such as GOODSIG or EXPKEYSIG."""
        place, status = self.home / "signature", self.home / "status"
        place.write_bytes(signature)
        words = ("--status-file", str(status), "--verify", str(place), "-")
        with contextlib.suppress(RefusedError):
            self.run(*words, given=content, at=at)
        verdicts = [line.split()[0] for line in _said(status)]
        return next(one for one in verdicts if one.endswith("SIG") and one not in ("NEWSIG", "VALIDSIG"))

    def sign(self, content: bytes, *who: str, options: Sequence[str] = ("--detach-sign",), **more: object) -> bytes:
        by = [word for one in who for word in ("--local-user", one)]
        return self.run(*by, *options, given=content, **more)

    def encrypt(self, content: bytes, *who: str, options: Sequence[str] = (), **more: object) -> bytes:
        to = [word for one in who for word in ("--recipient", one)]
        return self.run(*to, *options, "--encrypt", given=content, **more)

    def verify(self, content: bytes, signature: bytes, *, at: datetime | None = None) -> str:
        """The fingerprint of the key that made a good signature."""
        place = self.home / "signature"
        place.write_bytes(signature)
        status = self.run("--status-fd", "1", "--verify", str(place), "-", given=content, at=at).decode()
        return next(line.split()[2].lower() for line in status.splitlines() if " VALIDSIG " in line)

    def listed(self, fingerprint: str, *, at: datetime | None = None) -> list[list[str]]:
        """The fields of its listing with colons (doc/DETAILS), signatures checked."""
        text = self.run("--with-colons", "--fixed-list-mode", "--check-signatures", fingerprint, at=at).decode()
        return [line.split(":") for line in text.splitlines()]


def _said(status: Path) -> tuple[str, ...]:
    lines = status.read_text(errors="replace").splitlines()
    return tuple(line.removeprefix("[GNUPG:] ") for line in lines if line.strip())
