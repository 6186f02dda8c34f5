"""Decryption by a password: PBES2 and PBES1 (RFC 8018), PKCS#12's own schemes (RFC 7292 appendices B and C).

A file says itself how much work its password costs. All of it is paid out of one `Work`, before it is done.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mailseal.errors import PermanentError
from mailseal.smime import ber, rc2
from mailseal.smime.strict import DerError, dotted

MAX_ITERATIONS = 20_000_000
"""Hashes for one file, about 1 µs each. NSS asks for 1.2 million for each key; a hostile file for hours."""
MAX_SCRYPT_OCTETS = 256 * 1024 * 1024
MAX_SALT_OCTETS = 4096
MAX_PASSWORD_OCTETS = 1024


class PasswordBasedError(PermanentError):
    """The algorithm is not supported, or its parameters are damaged."""


class TooMuchWorkError(PasswordBasedError):
    """The file asks for more key derivation than is allowed."""


class WrongPasswordError(PasswordBasedError):
    """The password does not open this; or what it should open is damaged, which looks the same."""


class Work:
    """How many hashes may still be computed for a file."""

    def __init__(self) -> None:
        self._left = MAX_ITERATIONS

    def spend(self, iterations: int) -> None:
        """Pay for work that comes next; raises TooMuchWorkError."""
        if iterations < 1:
            raise PasswordBasedError("the key derivation is malformed")
        if iterations > self._left:
            self._left = 0
            raise TooMuchWorkError("the file asks for more key derivation than is allowed")
        self._left -= iterations


@dataclass(frozen=True, slots=True)
class Password:
    """A password as the schemes take it: octets (PBES1, PBES2), BMPString with its end (PKCS#12, RFC 7292 §B.1)."""

    octets: bytes = field(repr=False)
    bmp: bytes = field(repr=False)


def readings(password: bytes) -> tuple[Password, ...]:
    """What a password may have been when a file was made; raises PasswordBasedError.

    No password is an empty one or none at all, and what is not UTF-8 was taken as Latin-1.
    """
    if not password:
        return Password(b"", b"\0\0"), Password(b"", b"")
    if len(password) > MAX_PASSWORD_OCTETS:
        raise PasswordBasedError("the password is too long")
    latin = Password(password, password.decode("latin-1").encode("utf-16-be") + b"\0\0")
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return (latin,)
    first = Password(password, text.encode("utf-16-be") + b"\0\0")
    return (first,) if password.isascii() else (first, latin)


def decrypt(algorithm: ber.Element, ciphertext: bytes, password: Password, work: Work) -> bytes:
    """The plaintext of an AlgorithmIdentifier's encryption; raises PasswordBasedError, and CmsError for no BER."""
    fields = ber.Fields(algorithm)
    name = name_of(fields.take(ber.OID))
    parameters = fields.take(ber.SEQUENCE)
    if name == "1.2.840.113549.1.5.13":
        return _pbes2(parameters, ciphertext, password, work)
    salt, iterations = _salt_and_count(parameters)
    if name in _PKCS12:
        scheme = _PKCS12[name]
        key = _pkcs12_key(password, salt, _KEY, iterations, scheme.key_octets, work)
        iv = _pkcs12_key(password, salt, _IV, iterations, scheme.iv_octets, work) if scheme.iv_octets else b""
        return _decrypted(scheme, key, iv, ciphertext, work)
    if name in _PBES1:
        digest, scheme = _PBES1[name]
        derived = _pbkdf1(password.octets, salt, iterations, digest, work)
        return _decrypted(scheme, derived[:8], derived[8:16], ciphertext, work)
    raise PasswordBasedError("encrypted by an algorithm that is not supported")


def mac_key(password: Password, salt: bytes, iterations: int, work: Work, digest: str) -> bytes:
    """The key of a PKCS#12 file's HMAC, as long as the digest (RFC 7292 §B.4); raises PasswordBasedError."""
    return _pkcs12_key(password, salt, _MAC, iterations, _HASHES[digest]().digest_size, work, digest)


_KEY, _IV, _MAC = 1, 2, 3  # what a key is derived for (RFC 7292 §B.3)


def _pkcs12_key(
    password: Password, salt: bytes, purpose: int, iterations: int, octets: int, work: Work, digest: str = "sha1"
) -> bytes:
    """RFC 7292 §B.2."""
    if len(salt) > MAX_SALT_OCTETS:
        raise PasswordBasedError("the key derivation is malformed")
    make = _HASHES[digest]
    block, size = make().block_size, make().digest_size
    rounds = -(-octets // size)
    work.spend(iterations * rounds)
    mixed = bytearray(_filled(salt, block) + _filled(password.bmp, block))
    key = b""
    for _ in range(rounds):
        value = make(bytes([purpose]) * block + mixed).digest()
        for _ in range(iterations - 1):
            value = make(value).digest()
        key += value
        addend = int.from_bytes(_filled(value, block)[:block], "big") + 1
        for start in range(0, len(mixed), block):
            total = int.from_bytes(mixed[start : start + block], "big") + addend
            mixed[start : start + block] = (total % (1 << 8 * block)).to_bytes(block, "big")
    return key[:octets]


def pbkdf2(parameters: ber.Element, password: Password, work: Work, octets: int | None = None) -> bytes:
    """RFC 8018 §5.2, appendix A.2; `octets` where the parameters need not say. Raises PasswordBasedError, CmsError."""
    fields = ber.Fields(parameters)
    salt = _salt(fields.take(ber.OCTET_STRING))
    iterations = ber.integer(fields.take(ber.INTEGER))
    length = _length(fields.optional(ber.INTEGER), octets)
    function = fields.optional(ber.SEQUENCE)
    name = "1.2.840.113549.2.7" if function is None else name_of(ber.Fields(function).take(ber.OID))
    if name not in HMACS:
        raise PasswordBasedError("derives its key by an algorithm that is not supported")
    digest = HMACS[name]
    work.spend(iterations * -(-length // _HASHES[digest]().digest_size))
    return hashlib.pbkdf2_hmac(digest, password.octets, salt, iterations, length)


def mac(digest: str, key: bytes, content: bytes) -> bytes:
    """HMAC (RFC 2104)."""
    return hmac.digest(key, content, digest)


@dataclass(frozen=True, slots=True)
class _Scheme:
    key_octets: int
    iv_octets: int
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    cost_of_octet: int = 0
    """In hashes, where it counts."""


def _aes(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    return Cipher(AES(key), modes.CBC(iv)).decryptor().update(ciphertext)


def _des(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """DES (a key of 8 octets), two-key and three-key triple DES."""
    return Cipher(TripleDES((key * 3)[:24]), modes.CBC(iv)).decryptor().update(ciphertext)


def _rc2(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    if len(key) == 16:
        return Cipher(RC2(key), modes.CBC(iv)).decryptor().update(ciphertext)
    return rc2.decrypt_cbc(key, 8 * len(key), iv, ciphertext)


def _rc4(key: bytes, _: bytes, ciphertext: bytes) -> bytes:
    return Cipher(ARC4(key), mode=None).decryptor().update(ciphertext)


_HASHES: Mapping[str, Callable[..., "hashlib._Hash"]] = {
    name: getattr(hashlib, name) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
}
HMACS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
DIGESTS = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_DES = _Scheme(8, 8, _des)
_SLOW_RC2 = _Scheme(8, 8, _rc2, cost_of_octet=10)
_PKCS12 = {
    "1.2.840.113549.1.12.1.1": _Scheme(16, 0, _rc4),
    "1.2.840.113549.1.12.1.2": _Scheme(5, 0, _rc4),
    "1.2.840.113549.1.12.1.3": _Scheme(24, 8, _des),
    "1.2.840.113549.1.12.1.4": _Scheme(16, 8, _des),
    "1.2.840.113549.1.12.1.5": _Scheme(16, 8, _rc2),
    "1.2.840.113549.1.12.1.6": _Scheme(5, 8, _rc2, cost_of_octet=10),
}
_PBES1 = {
    "1.2.840.113549.1.5.3": ("md5", _DES),
    "1.2.840.113549.1.5.6": ("md5", _SLOW_RC2),
    "1.2.840.113549.1.5.10": ("sha1", _DES),
    "1.2.840.113549.1.5.11": ("sha1", _SLOW_RC2),
}
_PBES2 = {
    "2.16.840.1.101.3.4.1.2": _Scheme(16, 16, _aes),
    "2.16.840.1.101.3.4.1.22": _Scheme(24, 16, _aes),
    "2.16.840.1.101.3.4.1.42": _Scheme(32, 16, _aes),
    "1.2.840.113549.3.7": _Scheme(24, 8, _des),
    "1.3.14.3.2.7": _DES,
}


def _pbes2(parameters: ber.Element, ciphertext: bytes, password: Password, work: Work) -> bytes:
    """RFC 8018 §6.2, appendix A.4."""
    fields = ber.Fields(parameters)
    derivation, encryption = ber.Fields(fields.take(ber.SEQUENCE)), ber.Fields(fields.take(ber.SEQUENCE))
    scheme = _PBES2.get(name_of(encryption.take(ber.OID)))
    function = name_of(derivation.take(ber.OID))
    if scheme is None or function not in _FUNCTIONS:
        raise PasswordBasedError("encrypted by an algorithm that is not supported")
    key = _FUNCTIONS[function](derivation.take(ber.SEQUENCE), password, work, scheme.key_octets)
    if len(key) != scheme.key_octets:
        raise PasswordBasedError("the key derivation is malformed")
    return _decrypted(scheme, key, ber.octets(encryption.take(ber.OCTET_STRING)), ciphertext, work)


def _scrypt(parameters: ber.Element, password: Password, work: Work, octets: int | None) -> bytes:
    """RFC 7914 §7."""
    fields = ber.Fields(parameters)
    salt = _salt(fields.take(ber.OCTET_STRING))
    n, r, p = (ber.integer(fields.take(ber.INTEGER)) for _ in range(3))
    length = _length(fields.optional(ber.INTEGER), octets)
    if min(n, r, p) < 1 or 128 * r * (n + p) > MAX_SCRYPT_OCTETS:
        raise TooMuchWorkError("the file asks for more memory for key derivation than is allowed")
    work.spend(n * r * p)
    try:
        return Scrypt(salt, length, n, r, p).derive(password.octets)
    except (ValueError, MemoryError):
        # OpenSSL refuses an n that is too large for its r like one that is too large for the memory.
        raise PasswordBasedError("the key derivation is malformed") from None


_FUNCTIONS: Mapping[str, Callable[[ber.Element, Password, Work, int | None], bytes]] = {
    "1.2.840.113549.1.5.12": pbkdf2,
    "1.3.6.1.4.1.11591.4.11": _scrypt,
}


def _pbkdf1(password: bytes, salt: bytes, iterations: int, digest: str, work: Work) -> bytes:
    """RFC 8018 §5.1."""
    work.spend(iterations)
    value = password + salt
    for _ in range(iterations):
        value = _HASHES[digest](value).digest()
    return value


def _decrypted(scheme: _Scheme, key: bytes, iv: bytes, ciphertext: bytes, work: Work) -> bytes:
    if scheme.cost_of_octet:
        work.spend(scheme.cost_of_octet * len(ciphertext) + 1)
    if len(iv) != scheme.iv_octets or (iv and (not ciphertext or len(ciphertext) % len(iv))):
        raise PasswordBasedError("the encrypted content is malformed")
    plain = scheme.decrypt(key, iv, ciphertext)
    if not iv:
        return plain
    padding = plain[-1]
    if not 1 <= padding <= len(iv) or plain[-padding:] != bytes([padding]) * padding:
        raise WrongPasswordError("it cannot be opened")
    return plain[:-padding]


def _salt_and_count(parameters: ber.Element) -> tuple[bytes, int]:
    fields = ber.Fields(parameters)
    return _salt(fields.take(ber.OCTET_STRING)), ber.integer(fields.take(ber.INTEGER))


def _salt(element: ber.Element) -> bytes:
    salt = ber.octets(element)
    if len(salt) > MAX_SALT_OCTETS:
        raise PasswordBasedError("the key derivation is malformed")
    return salt


def _length(element: ber.Element | None, octets: int | None) -> int:
    length = octets if element is None else ber.integer(element)
    if length is None or not 1 <= length <= 1024:
        raise PasswordBasedError("the key derivation is malformed")
    return length


def _filled(octets: bytes, block: int) -> bytes:
    """Repeated to whole blocks; nothing stays nothing."""
    whole = -(-len(octets) // block) * block
    return (octets * (whole // max(len(octets), 1) + 1))[:whole]


def name_of(element: ber.Element) -> str:
    """The dotted form of an OBJECT IDENTIFIER; raises PasswordBasedError, CmsError."""
    try:
        return dotted(ber.oid(element)[2:])
    except DerError:
        raise PasswordBasedError("an object identifier is malformed") from None
