"""Certificates with their secret keys out of a keyring (RFC 9580 §10.1, §10.2): read, unlocked, validated."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from mailseal.keys import PrivateKey
from mailseal.keys.software import PrivateKeyError, validate_private_key
from mailseal.openpgp.certificate import PgpCertificate, read_certificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import Packet, read_packets
from mailseal.openpgp.secret_key import SECRET_TAGS, is_locked, read_public_part, read_secret_key
from mailseal.policy.reason import ReasonCode

MAX_SECRET_KEYS = 50
"""Of one certificate."""
MAX_VALIDATION = 100_000
"""Of one certificate, in 3 ms: the fourth power of the size in kilobits is about what an RSA key costs."""

Password = Callable[[], str]
"""Asked for when a key turns out to need one; "" is none."""


@dataclass(frozen=True, slots=True)
class Transferable:
    """A certificate, and those of its secret keys that came along and can be used.

    `octets`: as they came, public part and what others have certified; read_certificate reads them again. `notes` have
    a line for each secret key that was left out, `lost_key`: one of them should have been there.
    """

    octets: bytes = field(repr=False)
    certificate: PgpCertificate
    keys: tuple[tuple[PublicKey, PrivateKey], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    lost_key: bool = False


def read_transferable(octets: bytes, password: Password) -> Transferable:
    """One member of a ring; raises PgpError when there is no certificate to be had."""
    certificate = read_certificate(octets)
    secret = [one for one in read_packets(octets) if one.tag in SECRET_TAGS]
    if not secret:
        return Transferable(octets, certificate)
    reader = _SecretKeys(certificate, password)
    for packet in secret:
        reader.read(packet)
    return Transferable(octets, certificate, tuple(reader.keys), tuple(reader.notes), reader.lost_key)


class _SecretKeys:
    """The secret keys of one certificate, one after the other."""

    def __init__(self, certificate: PgpCertificate, password: Password) -> None:
        self._components = {one.fingerprint for one in certificate.components}
        self._password = password
        self._validation_left = float(MAX_VALIDATION)
        self._read = 0
        self.keys: list[tuple[PublicKey, PrivateKey]] = []
        self.notes: list[str] = []
        self.lost_key = False

    def read(self, packet: Packet) -> None:
        """One secret key, or a note of why it is left out."""
        self._read += 1
        if self._read > MAX_SECRET_KEYS:
            self._lose(f"more than {MAX_SECRET_KEYS} secret keys in one certificate")
            return
        try:
            public = read_public_part(packet.body)
        except PgpError as error:
            self._lose(f"a secret key cannot be read: {error}")
            return
        if public.fingerprint not in self._components:
            return  # the certificate does not have it, and says so itself
        name = f"the secret key {public.key_id} ({public.name})"
        try:
            password = self._password() if is_locked(packet.body) else ""
            self._take(*read_secret_key(packet, password or None), name)
        except PgpError as error:
            if error.reason is ReasonCode.KEY_NOT_FOUND:
                self.notes.append(f"{name} is not in the file: it is kept elsewhere, such as on a card")
            else:
                self._lose(f"{name} was left out: {error}")
        except PrivateKeyError as error:
            self._lose(f"{name} was left out: {error}")

    def _take(self, public: PublicKey, private: PrivateKey, name: str) -> None:
        if isinstance(private, rsa.RSAPrivateKey):
            self._validation_left -= (private.key_size / 1024) ** 4
        if self._validation_left < 0:
            self._lose(f"{name} was left out: to validate all of the certificate would take too long")
            return
        self.notes += [f"{name}: {warning}" for warning in validate_private_key(private)]
        self.keys.append((public, private))

    def _lose(self, note: str) -> None:
        self.notes.append(note)
        self.lost_key = True
