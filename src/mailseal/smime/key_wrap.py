"""Keys wrapped under other keys: AES (RFC 3394), triple DES and RC2 (RFC 3217), a password's key (RFC 3211 §2.3)."""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, rc2
from mailseal.smime.algorithms import CipherRow, Mode
from mailseal.smime.ber import Element
from mailseal.smime.content import cbc_parameters, decrypt_blocks
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.rsa_parameters import algorithm_identifier

_OUTER_VECTOR = bytes.fromhex("4adda22c79e82105")  # RFC 3217 §3.1, §4.1
_CHECK_OCTETS = 8


@dataclass(frozen=True, slots=True)
class KeyWrap:
    """A key wrap: its object identifier, octets of the key-encryption key, effective bits where it is RC2."""

    kind: bytes
    octets: int
    rc2_bits: int = 0

    @only_cms_errors
    def unwrap(self, kek: bytes, wrapped: bytes, octets: int) -> bytes | None:
        """The key of so many octets inside; None if this key-encryption key yields none."""
        if len(kek) != self.octets:
            return None
        if self.kind == algorithms.TRIPLE_DES_WRAP:
            return _triple_des(kek, wrapped, octets)
        if self.kind == algorithms.RC2_WRAP:
            return _rc2(kek, self.rc2_bits, wrapped, octets)
        # Wrapping adds eight octets (RFC 3394 §2.2.1); unwrapping what a whole mail is long would take seconds.
        if len(wrapped) != octets + 8:
            return None
        try:
            return aes_key_unwrap(kek, wrapped)
        except (InvalidUnwrap, ValueError):
            return None


def key_wrap(identifier: Element) -> KeyWrap:
    """The wrap that an AlgorithmIdentifier names; raises CmsError."""
    kind, parameters = algorithm_identifier(identifier)
    if kind in algorithms.KEY_WRAPS:
        return KeyWrap(kind, algorithms.KEY_WRAPS[kind])
    if kind == algorithms.TRIPLE_DES_WRAP:
        return KeyWrap(kind, 24)
    if kind == algorithms.RC2_WRAP and parameters is not None:
        bits = algorithms.RC2_BITS.get(ber.integer(parameters))
        if bits is not None:
            # RFC 3370 §4.3.2: the key-encryption key has 128 bits, whatever its effective size.
            return KeyWrap(kind, 16, bits)
    raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key wrap algorithm is not supported")


def _triple_des(kek: bytes, wrapped: bytes, octets: int) -> bytes | None:
    """RFC 3217 §3.2; it wraps keys of triple DES only."""
    if len(wrapped) != 40 or octets != 24:
        return None
    turned = _des_cbc(kek, _OUTER_VECTOR, wrapped)[::-1]
    return _checked(_des_cbc(kek, turned[:8], turned[8:]))


def _rc2(kek: bytes, bits: int, wrapped: bytes, octets: int) -> bytes | None:
    """RFC 3217 §4.2: a length, the key, padding to whole blocks, and a checksum."""
    padded = -(-(octets + 1) // 8) * 8
    if len(wrapped) != 8 + padded + _CHECK_OCTETS:
        return None
    turned = rc2.decrypt_cbc(kek, bits, _OUTER_VECTOR, wrapped)[::-1]
    inside = _checked(rc2.decrypt_cbc(kek, bits, turned[:8], turned[8:]))
    if inside is None or inside[0] != octets:
        return None
    return inside[1 : 1 + octets]


def _des_cbc(key: bytes, vector: bytes, octets: bytes) -> bytes:
    return Primitive(TripleDES(key), CBC(vector)).decryptor().update(octets)


def _checked(octets: bytes) -> bytes | None:
    """What stands before its checksum (RFC 3217 §2)."""
    content, found = octets[:-_CHECK_OCTETS], octets[-_CHECK_OCTETS:]
    expected = hashlib.sha1(content).digest()[:_CHECK_OCTETS]  # noqa: S324 - the checksum of RFC 3217
    return content if hmac.compare_digest(found, expected) else None


@dataclass(frozen=True, slots=True)
class PasswordWrap:
    """The wrap of RFC 3211 §2.3: encrypted twice over in CBC mode of `row`."""

    row: CipherRow
    vector: bytes

    @only_cms_errors
    def unwrap(self, kek: bytes, wrapped: bytes, octets: int) -> bytes | None:
        """The key of so many octets inside; None if this key-encryption key yields none."""
        block = len(self.vector)
        if len(wrapped) != max(2, -(-(octets + 4) // block)) * block:
            return None
        last, before = wrapped[-block:], wrapped[-2 * block : -block]
        vector = decrypt_blocks(self.row, kek, before, (last,))
        once = decrypt_blocks(self.row, kek, vector, (wrapped[:-block],)) + vector
        plain = decrypt_blocks(self.row, kek, self.vector, (once,))
        key = plain[4 : 4 + octets]
        check = bytes(octet ^ 0xFF for octet in key[:3])
        return key if hmac.compare_digest(plain[:4], bytes((octets,)) + check) else None


@only_cms_errors
def password_wrap(parameters: Element | None) -> PasswordWrap:
    """The wrap that the parameters of id-alg-PWRI-KEK name; raises CmsError."""
    if parameters is None:
        raise malformed("the cipher of the password's key is missing")
    kind, inner = algorithm_identifier(parameters)
    row = algorithms.CIPHERS.get(kind)
    if row is None or row.mode is Mode.GCM:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the cipher of the password's key is not supported")
    return PasswordWrap(*cbc_parameters(row, inner))
