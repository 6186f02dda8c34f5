"""Private keys out of files: PKCS#8 (RFC 5958), encrypted PKCS#8, the forms of OpenSSL; and whose they are.

A key is loaded first, without the checks that cost, and validated in full when its certificate is found.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.keys.software import MAX_KEY_OCTETS, PrivateKeyError, public_spki, validate_private_key
from mailseal.smime import ber, password_based
from mailseal.smime.certificate import Certificate, CertificateError, public_key
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.password_based import PasswordBasedError, Work, WrongPasswordError
from mailseal.smime.pem import Block
from mailseal.smime.pkcs12 import open_pkcs8

_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
KEY_LABELS = frozenset({"PRIVATE KEY", _ENCRYPTED, "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_HEADED = frozenset({"RSA PRIVATE KEY", "EC PRIVATE KEY"})
"""Others hold PKCS#8, whose encryption is inside it: with headers the library would open it, whatever that costs."""
_KINDS = frozenset(
    {
        "1.2.840.113549.1.1.1",  # RSA
        "1.2.840.113549.1.1.10",  # RSASSA-PSS
        "1.2.840.10045.2.1",  # on elliptic curves
        "1.3.101.110",  # X25519
        "1.3.101.112",  # Ed25519
    }
)
MAX_KEYS = 1000
"""In one file."""
MAX_VALIDATION = 100_000
"""Of one file, in 3 ms: minutes. The fourth power of the size in kilobits is about what an RSA key costs, which is
37 ms for 2048 bits, 12 s for 8192; so one of 16,384 bits can still be imported."""


class NotAKeyError(PermanentError):
    """The octets are no private key that can be used, or their password is wrong. The text holds nothing of them."""


def load_pkcs8(der: bytes) -> PrivateKey:
    """A key in PKCS#8, or as OpenSSL writes it in DER; not validated. Raises NotAKeyError."""
    return _usable(lambda: _load_der(der), der)


def _load_der(der: bytes) -> object:
    kind = _kind(der)
    if kind is not None and kind not in _KINDS:
        # The library computes the public half of a DSA key, which takes hours for one of 64 KiB.
        return None
    return load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)


@only_cms_errors
def _kind(der: bytes) -> str | None:
    """The algorithm of a key in PKCS#8, as an object identifier; None: it is in another form."""
    fields = ber.Fields(ber.read(der))
    fields.take(ber.INTEGER)
    algorithm = fields.optional(ber.SEQUENCE)
    return None if algorithm is None else password_based.name_of(ber.Fields(algorithm).take(ber.OID))


def load_block(block: Block, password: Callable[[], bytes], work: Work) -> PrivateKey:
    """The key of a PEM block of KEY_LABELS; not validated. Raises NotAKeyError."""
    if block.has_headers and block.label in _HEADED:
        # OpenSSL's own form: the key is one MD5 of the password, so there is no work to bound.
        given = password()
        if not given:
            raise NotAKeyError("the private key needs a password")
        whole = block.whole
        return _usable(lambda: load_pem_private_key(whole, given, unsafe_skip_rsa_key_validation=True), whole)
    try:
        der = block.der()
    except ValueError as error:
        raise NotAKeyError(str(error)) from None
    return load_pkcs8(_decrypted(der, password(), work) if block.label == _ENCRYPTED else der)


def _decrypted(der: bytes, password: bytes, work: Work) -> bytes:
    try:
        encrypted = ber.read(der)
        for reading in password_based.readings(password):
            try:
                return open_pkcs8(encrypted, reading, work)
            except WrongPasswordError:
                continue
    except PasswordBasedError as error:
        raise NotAKeyError(f"the private key cannot be opened: {error}") from None
    except CmsError:
        raise NotAKeyError("the private key is damaged") from None
    raise NotAKeyError(
        "the password of the private key is wrong, or the key is damaged"
        if password
        else "the private key needs a password"
    )


def _usable(load: Callable[[], object], octets: bytes) -> PrivateKey:
    if len(octets) > 2 * MAX_KEY_OCTETS:
        raise NotAKeyError("the private key is too large")
    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError, InternalError, CmsError, PasswordBasedError):
        raise NotAKeyError("the private key cannot be read: it is damaged, or its password is wrong") from None
    if not isinstance(key, PrivateKey):
        raise NotAKeyError("the private key is of a kind that is not used here")
    return key


@dataclass(slots=True)
class _Held:
    key: PrivateKey = field(repr=False)
    warning: str | None = None
    """None: not validated yet, no certificate has come for it."""
    refused: str = ""


class KeyRing:
    """The private keys of one file, each found by its certificate."""

    def __init__(self) -> None:
        self._held: dict[bytes, _Held] = {}
        self._validation_left = float(MAX_VALIDATION)

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def unused(self) -> int:
        """How many keys no certificate was found for."""
        return sum(one.warning is None for one in self._held.values())

    def add(self, key: PrivateKey) -> None:
        """Take a key; raises NotAKeyError."""
        if len(self._held) >= MAX_KEYS:
            raise NotAKeyError(f"the file has more than {MAX_KEYS} private keys")
        self._held.setdefault(public_spki(key), _Held(key))

    def of(self, certificate: Certificate) -> tuple[PrivateKey | None, str]:
        """The validated key of a certificate, if there is one, and what is wrong with it."""
        try:
            # Not the octets of the certificate: the parameters of a key are written in several ways.
            public = public_key(certificate).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except CertificateError:
            return None, ""
        held = self._held.get(public)
        if held is None:
            return None, ""
        if held.warning is None:
            self._validate(held)
        return (None, held.refused) if held.refused else (held.key, held.warning or "")

    def _validate(self, held: _Held) -> None:
        held.warning = ""
        if isinstance(held.key, rsa.RSAPrivateKey):
            self._validation_left -= (held.key.key_size / 1024) ** 4
        if self._validation_left < 0:
            held.refused = "the private keys of the file would take too long to validate"
            return
        try:
            held.warning = "; ".join(validate_private_key(held.key))
        except PrivateKeyError as error:
            held.refused = f"the private key is not usable: {error}"
