"""`gpg` as a referee, with a home folder and an agent of its own and its clock held still; `sqop` beside it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Self

from harness.referees import RefusedError
from pki import NOW


def why_not(*programs: str) -> str | None:
    """Why this referee cannot run here; None if it can."""
    missing = [name for name in programs or ("gpg", "gpgconf", "gpg-agent") if shutil.which(name) is None]
    return f"{' '.join(missing)} not installed (apt-get install gpg gpg-agent sqop)" if missing else None


class Gpg:
    """A home folder; to be used as a context, with which its agent ends."""

    def __init__(self) -> None:
        # The path is short, since the agent's socket may be in it.
        self.home = Path(tempfile.mkdtemp(prefix="ms-gpg-", dir="/tmp"))
        # A fixed count, else it measures for a second what the machine can do.
        (self.home / "gpg-agent.conf").write_text("disable-scdaemon\ns2k-count 65536\nallow-loopback-pinentry\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for words in (["--kill", "all"], ["--remove-socketdir"]):
            gpgconf = ["gpgconf", "--homedir", str(self.home), *words]
            subprocess.run(gpgconf, capture_output=True, timeout=30, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *words: str, given: bytes = b"", password: str = "", at: datetime = NOW) -> bytes:
        """What it writes; raises RefusedError with what it says."""
        options = ["--batch", "--no-auto-check-trustdb", "--trust-model", "always", "--pinentry-mode", "loopback"]
        clock = ["--faked-system-time", f"{at:%Y%m%dT%H%M%S}!"]
        command = ["gpg", "--homedir", str(self.home), *options, *clock, "--passphrase", password, *words]
        done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stderr.decode(errors="replace"))
        return done.stdout

    def verify(self, content: bytes, signature: bytes, *, at: datetime = NOW) -> str:
        """The fingerprint of the key that made a good signature."""
        place = self.home / "signature"
        place.write_bytes(signature)
        status = self.run("--status-fd", "1", "--verify", str(place), "-", given=content, at=at).decode()
        return next(line.split()[2].lower() for line in status.splitlines() if " VALIDSIG " in line)

    def listed(self, fingerprint: str, *, at: datetime = NOW) -> list[list[str]]:
        """The fields of its listing with colons (doc/DETAILS), signatures checked."""
        text = self.run("--with-colons", "--fixed-list-mode", "--check-signatures", fingerprint, at=at).decode()
        return [line.split(":") for line in text.splitlines()]


def sqop(*words: str, given: bytes = b"") -> bytes:
    """What the Stateless OpenPGP program of Sequoia writes; raises RefusedError."""
    done = subprocess.run(["sqop", *words], input=given, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RefusedError(done.stderr.decode(errors="replace"))
    return done.stdout
