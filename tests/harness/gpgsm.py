"""`gpgsm` as a referee: the S/MIME of GnuPG, with a home folder and an agent of its own.

Keys are put into the agent's folder as they are, since gpgsm 2.2 reads no PKCS#12 with PBES2.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness.referees import RefusedError
from harness.waiting import PATIENCE_SECONDS

_CURVES = {"secp256r1": b"NIST P-256", "secp384r1": b"NIST P-384", "secp521r1": b"NIST P-521"}


_OPTIONS = ("batch", "no-secmem-warning", "disable-crl-checks", "disable-dirmngr", "no-common-certs-import", "")


def why_not() -> str | None:
    """Why this referee cannot run here; None if it can."""
    missing = [name for name in ("gpgsm", "gpgconf", "gpg-agent") if shutil.which(name) is None]
    return f"{' '.join(missing)} not installed (apt-get install gpgsm)" if missing else None


class Gpgsm:
    """A home folder in which only `root` is trusted; to be used as a context, with which its agent ends.

    Certificates are imported of `authorities`; of `people` their keys, too.
    """

    def __init__(self, root: object, authorities: Iterable[object], people: Iterable[object]) -> None:
        people = list(people)
        # The path is short, since the agent's socket may be in it.
        self.home = Path(tempfile.mkdtemp(prefix="ms-gpgsm-", dir="/tmp"))
        self._put("gpgsm.conf", "\n".join(_OPTIONS).encode())
        # A fixed count, else it measures for a second what the machine can do.
        self._put("gpg-agent.conf", b"disable-scdaemon\ns2k-count 65536\n")
        self._put("trustlist.txt", f"{_fingerprint(root)} S relax\n".encode())
        self.run("--import", given=b"".join(one.pem for one in (root, *authorities, *people)))
        names = self._key_names()
        (self.home / "private-keys-v1.d").mkdir(mode=0o700, exist_ok=True)
        for one in people:
            self._put(f"private-keys-v1.d/{names[one.certificate.serial]}.key", _secret(one.key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for words in (["--kill", "all"], ["--remove-socketdir"]):
            gpgconf = ["gpgconf", "--homedir", str(self.home), *words]
            subprocess.run(gpgconf, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def verify(self, octets: bytes, content: bytes | None = None) -> bytes:
        """The signed content; fails if a signature or a path to the root is not good."""
        name = str(self._put("in", octets))
        if content is None:
            return self.run("--output", "-", "--verify", name)
        self.run("--verify", name, str(self._put("content", content)))
        return content

    def decrypt(self, octets: bytes) -> bytes:
        return self.run("--assume-binary", "--decrypt", given=octets)

    def sign(self, content: bytes, who: Iterable[object], *options: str, detached: bool = True) -> bytes:
        by = [word for one in who for word in ("--local-user", f"0x{_fingerprint(one)}")]
        return self.run(*by, *options, "--detach-sign" if detached else "--sign", given=content)

    def encrypt(self, content: bytes, people: Iterable[object], *options: str) -> bytes:
        to = [word for one in people for word in ("--recipient", f"0x{_fingerprint(one)}")]
        return self.run(*to, *options, "--encrypt", given=content)

    def open(self, p12: bytes, password: bytes) -> None:
        """Import a PKCS#12 file."""
        words = ("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", str(self._put("p12", p12)))
        self.run(*words, given=password + b"\n")

    def export_p12(self, who: object, password: bytes) -> bytes:
        """A PKCS#12 file with the person's key."""
        words = ("--pinentry-mode", "loopback", "--passphrase-fd", "0", "--export-secret-key-p12")
        return self.run(*words, f"0x{_fingerprint(who)}", given=password + b"\n")

    def keys(self) -> list[str]:
        """The names under which the agent keeps private keys."""
        return [path.stem for path in (self.home / "private-keys-v1.d").glob("*.key")]

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What gpgsm writes; raises RefusedError."""
        words = ["gpgsm", "--homedir", str(self.home), *arguments]
        done = subprocess.run(words, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        if done.returncode != 0:
            raise RefusedError(done.stderr.decode(errors="replace"))
        return done.stdout

    def _put(self, name: str, octets: bytes) -> Path:
        path = self.home / name
        path.write_bytes(octets)
        path.chmod(0o600)
        return path

    def _key_names(self) -> dict[int, str]:
        """The name of the agent's file for a key, by the serial number of its certificate."""
        found, serial = {}, 0
        for line in self.run("--with-colons", "--with-keygrip", "--list-keys").decode().splitlines():
            fields = line.split(":")
            if fields[0] == "crt":
                serial = int(fields[7], 16)
            elif fields[0] == "grp":
                found[serial] = fields[9]
        return found


def _fingerprint(one: object) -> str:
    return hashlib.sha1(one.der).hexdigest().upper()


def _secret(key: object) -> bytes:
    """The key as libgcrypt's canonical S-expression, in clear."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        p, q = sorted((numbers.p, numbers.q))  # as libgcrypt wants them, u being the inverse of p modulo q
        values = {"n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d}
        values |= {"p": p, "q": q, "u": pow(p, -1, q)}
        inside = [_pair(name, _integer(value)) for name, value in values.items()]
        return _list(b"private-key", _list(b"rsa", *inside))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    point, octets = numbers.public_numbers, (key.key_size + 7) // 8
    q = b"\x04" + point.x.to_bytes(octets, "big") + point.y.to_bytes(octets, "big")
    inside = [_pair("curve", _CURVES[key.curve.name]), _pair("q", q), _pair("d", _integer(numbers.private_value))]
    return _list(b"private-key", _list(b"ecc", *inside))


def _pair(name: str, value: bytes) -> bytes:
    return _list(name.encode(), b"%d:%s" % (len(value), value))


def _list(name: bytes, *members: bytes) -> bytes:
    return b"(%d:%s%s)" % (len(name), name, b"".join(members))


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")
