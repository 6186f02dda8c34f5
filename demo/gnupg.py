"""The mail program of people who have OpenPGP and no gateway: gpg, and RFC 3156 around what it writes."""

import base64
import subprocess
from pathlib import Path

from demo.peer import Mail


class Gnupg:
    """A home folder with the keys of some people."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        (home / "gpg-agent.conf").write_text("disable-scdaemon\nallow-loopback-pinentry\n")

    @property
    def command(self) -> tuple[str, ...]:
        """What is typed before everything else."""
        return "gpg", "--homedir", str(self.home), "--batch", "--trust-model", "always"

    def run(self, *words: str, given: bytes = b"") -> bytes:
        """What gpg writes; CalledProcessError if it fails."""
        options = ("--pinentry-mode", "loopback", "--passphrase", "", "--no-auto-check-trustdb")
        done = subprocess.run(
            [*self.command, *options, *words], input=given, capture_output=True, check=True, timeout=30
        )
        return done.stdout

    def make_key(self, name: str, address: str) -> None:
        """Ed25519 and Curve25519, without a password."""
        self.run("--quick-gen-key", f"{name} <{address}>", "future-default", "default", "1y")

    def export(self) -> bytes:
        """All public keys, armored."""
        return self.run("--armor", "--export")

    def learn_from(self, mail: Mail) -> None:
        """Take the sender's key from the Autocrypt field of his mail, as mail programs do."""
        keydata = (mail.header("Autocrypt") or "").partition("keydata=")[2]
        self.run("--import", given=base64.b64decode(keydata))

    def read(self, octets: bytes) -> tuple[bytes, bool]:
        """The content of the message in a mail, and whether a good signature is on it."""
        status = self.home / "status"
        content = self.run("--status-file", str(status), "--decrypt", given=octets)
        return content, "GOODSIG" in status.read_text(errors="replace")

    def write(self, sender: str, to: str, entity: bytes) -> bytes:
        """multipart/encrypted: the entity signed by the sender and encrypted, in one message."""
        by = ("--local-user", sender, "--recipient", to)
        armored = self.run("--armor", *by, "--sign", "--encrypt", given=entity)
        return (
            b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="by-gpg"\r\n\r\n'
            b"--by-gpg\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--by-gpg\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n%b\r\n--by-gpg--\r\n" % armored.replace(b"\n", b"\r\n")
        )

    def close(self) -> None:
        """End its agent."""
        for words in (("--kill", "all"), ("--remove-socketdir",)):
            gpgconf = ("gpgconf", "--homedir", str(self.home), *words)
            subprocess.run(gpgconf, capture_output=True, check=False, timeout=30)
