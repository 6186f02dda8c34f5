"""A reader of PKCS#12 files (RFC 7292), BER or DER, with any number of keys, opened step by step.

The library would open a file in one go, with whatever key derivation hides inside an encrypted safe, and give out one
key. Here each derivation is paid for before it is done, and each bag is looked at by itself.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from mailseal.smime import ber, password_based
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.password_based import (
    Password,
    PasswordBasedError,
    TooMuchWorkError,
    Work,
    WrongPasswordError,
    name_of,
)

MAX_DEPTH = 8
MAX_BAGS = 10_000

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_PBMAC1 = "1.2.840.113549.1.5.14"
_PBKDF2 = "1.2.840.113549.1.5.12"
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"


@dataclass(slots=True)
class Contents:
    """What a PKCS#12 file held: DER of certificates, unencrypted PKCS#8 of keys, what could not be read."""

    certificates: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list, repr=False)
    closed_keys: int = 0
    """Private keys that could not be opened; each has its line among the problems."""
    problems: list[str] = field(default_factory=list)


@only_cms_errors
def open_pkcs12(data: bytes, password: bytes, work: Work) -> Contents:
    """Open a file. An empty password also stands for none.

    Raises WrongPasswordError, TooMuchWorkError, PasswordBasedError, and CmsError for what is no PKCS#12.
    """
    file = ber.Fields(ber.read(data))
    file.take(ber.INTEGER)
    content = ber.Fields(file.take(ber.SEQUENCE))
    if name_of(content.take(ber.OID)) != _DATA:
        raise PasswordBasedError("the file is signed instead of protected by a password, which is not supported")
    safes = ber.octets(ber.only_child(content.take(0xA0)))
    mac = file.optional(ber.SEQUENCE)
    wrong: WrongPasswordError | None = None
    for reading in password_based.readings(password):
        try:
            if mac is not None:
                _check_mac(mac, safes, reading, work)
            return _Opening(reading, work, sure=mac is not None).safes(safes)
        except WrongPasswordError as error:
            wrong = error
    raise wrong or WrongPasswordError("it cannot be opened")


def _check_mac(mac: ber.Element, content: bytes, password: Password, work: Work) -> None:
    """RFC 7292 §4, RFC 9579 §4."""
    fields = ber.Fields(mac)
    info = ber.Fields(fields.take(ber.SEQUENCE))
    algorithm = ber.Fields(info.take(ber.SEQUENCE))
    expected = ber.octets(info.take(ber.OCTET_STRING))
    salt = ber.octets(fields.take(ber.OCTET_STRING))
    count = fields.optional(ber.INTEGER)
    name = name_of(algorithm.take(ber.OID))
    if name == _PBMAC1:
        digest, key = _pbmac1(ber.Fields(algorithm.take(ber.SEQUENCE)), password, work)
    elif name in password_based.DIGESTS:
        digest = password_based.DIGESTS[name]
        iterations = 1 if count is None else ber.integer(count)
        key = password_based.mac_key(password, salt, iterations, work, digest)
    else:
        raise PasswordBasedError("the file is protected by an algorithm that is not supported")
    if not hmac.compare_digest(password_based.mac(digest, key, content), expected):
        raise WrongPasswordError("it cannot be opened")


def _pbmac1(parameters: ber.Fields, password: Password, work: Work) -> tuple[str, bytes]:
    """RFC 8018 §7.1; the length of the key must be given (RFC 9579 §3)."""
    derivation, scheme = ber.Fields(parameters.take(ber.SEQUENCE)), ber.Fields(parameters.take(ber.SEQUENCE))
    digest = password_based.HMACS.get(name_of(scheme.take(ber.OID)))
    if name_of(derivation.take(ber.OID)) != _PBKDF2 or digest is None:
        raise PasswordBasedError("the file is protected by an algorithm that is not supported")
    return digest, password_based.pbkdf2(derivation.take(ber.SEQUENCE), password, work)


class _Opening:
    """One pass over a file with one reading of its password. `sure`: the MAC says that it is the right one."""

    def __init__(self, password: Password, work: Work, *, sure: bool) -> None:
        self._password = password
        self._work = work
        self._sure = sure
        self._bags = 0
        self._found = Contents()

    def safes(self, octets: bytes) -> Contents:
        """AuthenticatedSafe (RFC 7292 §4.1)."""
        for number, safe in enumerate(_children(octets), start=1):
            try:
                self._safe(ber.Fields(safe))
            except WrongPasswordError as error:
                self._closed(error, f"part {number} of the file")
            except TooMuchWorkError:
                raise
            except (CmsError, PasswordBasedError) as error:
                self._found.problems.append(f"part {number} of the file: {error}")
        return self._found

    def _closed(self, error: WrongPasswordError, what: str) -> None:
        """It does not open: another reading of the password may do, unless this one is known to be right."""
        if not self._sure:
            raise error
        self._found.problems.append(f"{what} cannot be opened: it is damaged, or has another password")

    def _safe(self, content: ber.Fields) -> None:
        kind = name_of(content.take(ber.OID))
        if kind == _DATA:
            self._all(_children(ber.octets(ber.only_child(content.take(0xA0)))), 0)
        elif kind == _ENCRYPTED_DATA:
            octets = self._decrypted(ber.Fields(ber.only_child(content.take(0xA0))))
            try:
                bags = _children(octets)
            except CmsError:
                # A wrong password leaves a padding that looks right once in 256 times.
                raise WrongPasswordError("it cannot be opened") from None
            self._all(bags, 0)
        else:
            raise PasswordBasedError("it is encrypted otherwise than by a password, which is not supported")

    def _decrypted(self, encrypted: ber.Fields) -> bytes:
        """EncryptedData (RFC 5652 §8)."""
        encrypted.take(ber.INTEGER)
        info = ber.Fields(encrypted.take(ber.SEQUENCE))
        info.take(ber.OID)
        algorithm = info.take(ber.SEQUENCE)
        ciphertext = ber.octets(info.take(0x80, 0xA0), 0x80)
        return password_based.decrypt(algorithm, ciphertext, self._password, self._work)

    def _all(self, bags: list[ber.Element], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PasswordBasedError("its bags are nested too deeply")
        for bag in bags:
            self._bags += 1
            if self._bags > MAX_BAGS:
                raise PasswordBasedError(f"it has more than {MAX_BAGS} bags")
            try:
                self._bag(ber.Fields(bag), depth)
            except (WrongPasswordError, TooMuchWorkError):
                raise
            except (CmsError, PasswordBasedError) as error:
                self._found.problems.append(f"bag {self._bags}: {error}")

    def _bag(self, fields: ber.Fields, depth: int) -> None:
        """SafeBag (RFC 7292 §4.2)."""
        kind = name_of(fields.take(ber.OID))
        value = ber.only_child(fields.take(0xA0))
        if kind == _SAFE_CONTENTS:
            self._all(ber.Fields(value).rest(), depth + 1)
        elif kind in _READERS:
            _READERS[kind](self, value)

    def certificate(self, value: ber.Element) -> None:
        """CertBag (RFC 7292 §4.2.3)."""
        fields = ber.Fields(value)
        if name_of(fields.take(ber.OID)) == _X509_CERTIFICATE:
            self._found.certificates.append(ber.octets(ber.only_child(fields.take(0xA0))))

    def key(self, value: ber.Element) -> None:
        """KeyBag: PKCS#8 as it is."""
        self._found.keys.append(value.whole)

    def shrouded_key(self, value: ber.Element) -> None:
        """EncryptedPrivateKeyInfo (RFC 5958 §3). Some programs let a key have a password of its own."""
        self._found.closed_keys += 1
        try:
            self._found.keys.append(open_pkcs8(value, self._password, self._work))
        except WrongPasswordError as error:
            self._closed(error, "a private key")
        else:
            self._found.closed_keys -= 1


def open_pkcs8(encrypted: ber.Element, password: Password, work: Work) -> bytes:
    """The PKCS#8 inside an EncryptedPrivateKeyInfo; raises PasswordBasedError, CmsError."""
    fields = ber.Fields(encrypted)
    algorithm = fields.take(ber.SEQUENCE)
    return password_based.decrypt(algorithm, ber.octets(fields.take(ber.OCTET_STRING)), password, work)


_SAFE_CONTENTS = "1.2.840.113549.1.12.10.1.6"
_READERS: dict[str, Callable[[_Opening, ber.Element], None]] = {
    "1.2.840.113549.1.12.10.1.1": _Opening.key,
    "1.2.840.113549.1.12.10.1.2": _Opening.shrouded_key,
    "1.2.840.113549.1.12.10.1.3": _Opening.certificate,
}
"""CRLs and secrets of other kinds are passed over."""


def _children(octets: bytes) -> list[ber.Element]:
    return ber.Fields(ber.read(octets)).rest()
