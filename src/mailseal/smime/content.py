"""Content encryption: the cipher that an AlgorithmIdentifier names, and decryption by it.

AES (RFC 3565, RFC 5084); of old mail triple DES and RC2 (RFC 3370 §5), DES, and CAST5 (RFC 2984).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, RC2, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers import CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, rc2
from mailseal.smime.algorithms import CipherRow, Mode
from mailseal.smime.ber import Element, Fields
from mailseal.smime.errors import CmsError, malformed, only_cms_errors

MIN_TAG_OCTETS = 12
MAX_SLOW_OCTETS = 1024 * 1024
"""Of ciphertext that is decrypted without the help of a library: RC2 below 128 bits, half a second a MiB."""
FAILED = "the content could not be decrypted"


_BLOCK_CIPHERS: Mapping[Mode, Callable[[bytes], CipherAlgorithm]] = {
    Mode.CBC: AES,
    Mode.TRIPLE_DES_CBC: TripleDES,
    Mode.DES_CBC: lambda key: TripleDES(key * 3),
    Mode.RC2_CBC: RC2,
    Mode.CAST5_CBC: CAST5,
}


@dataclass(frozen=True, slots=True)
class EncryptedContent:
    """EncryptedContentInfo with what authenticates it. `row` is None for a cipher that we do not know."""

    row: CipherRow | None
    parameters: Element | None
    pieces: tuple[memoryview, ...]
    tag: bytes = b""
    authenticated: bytes = b""

    @property
    def size(self) -> int:
        """Octets of ciphertext."""
        return sum(map(len, self.pieces))

    @only_cms_errors
    def decrypt(self, key: bytes, row: CipherRow) -> bytes:
        """The content; nothing of it before padding or tag are checked."""
        if row.mode is Mode.GCM:
            return self._gcm(key)
        return self._cbc(key, row)

    def _gcm(self, key: bytes) -> bytes:
        nonce, tag_octets = _gcm_parameters(self.parameters)
        if not MIN_TAG_OCTETS <= tag_octets <= 16 or len(self.tag) != tag_octets:
            raise malformed("the authentication tag is too short or of another length than announced")
        mode = GCM(nonce, self.tag, min_tag_length=MIN_TAG_OCTETS)
        decryptor = Primitive(AES(key), mode).decryptor()
        if self.authenticated:
            decryptor.authenticate_additional_data(self.authenticated)
        plain = _joined([decryptor.update(piece) for piece in self.pieces])
        try:
            decryptor.finalize()  # GCM keeps nothing back; this is the check of the tag
        except InvalidTag:
            raise CmsError(ReasonCode.DECRYPTION_FAILED, FAILED) from None
        return plain

    def _cbc(self, key: bytes, row: CipherRow) -> bytes:
        _, vector = cbc_parameters(row, self.parameters)
        block_octets, size = len(vector), self.size
        if not size or size % block_octets:
            raise CmsError(ReasonCode.DECRYPTION_FAILED, FAILED)
        plain = decrypt_blocks(row, key, vector, self.pieces)
        padding = plain[-1]
        if not 1 <= padding <= block_octets or not plain.endswith(bytes((padding,)) * padding):
            raise CmsError(ReasonCode.DECRYPTION_FAILED, FAILED)
        return plain[:-padding]


def decrypt_blocks(row: CipherRow, key: bytes, vector: bytes, pieces: tuple[memoryview | bytes, ...]) -> bytes:
    """CBC of whole blocks, their padding left on. Raises ValueError for a key or vector of a wrong size."""
    if is_slow(row):
        if sum(map(len, pieces)) > MAX_SLOW_OCTETS:
            raise CmsError(ReasonCode.TOO_LARGE, "the content is too large for a cipher as slow as this one")
        return rc2.decrypt_cbc(key, 8 * row.key_octets, vector, b"".join(pieces))
    decryptor = Primitive(_BLOCK_CIPHERS[row.mode](key), CBC(vector)).decryptor()
    plain = _joined([decryptor.update(piece) for piece in pieces])
    decryptor.finalize()  # whole blocks went in, so none is left
    return plain


def is_slow(row: CipherRow) -> bool:
    """Whether no library knows the cipher in this size."""
    return row.mode is Mode.RC2_CBC and row.key_octets < 16


@only_cms_errors
def sized(row: CipherRow, parameters: Element | None) -> CipherRow:
    """The cipher with the size that its parameters tell; raises CmsError where they tell none that we know."""
    if row.mode in (Mode.RC2_CBC, Mode.CAST5_CBC):
        return cbc_parameters(row, parameters)[0]
    return row


def cbc_parameters(row: CipherRow, parameters: Element | None) -> tuple[CipherRow, bytes]:
    """The cipher in its size, and the initialisation vector of one block."""
    if parameters is None:
        raise malformed("the initialisation vector is missing")
    if row.mode is Mode.RC2_CBC:
        row, vector = _rc2_parameters(row, Fields(parameters))
    elif row.mode is Mode.CAST5_CBC and parameters.tag == ber.SEQUENCE:
        row, vector = _cast5_parameters(row, Fields(parameters))
    else:
        vector = ber.octets(parameters)
    if len(vector) != (16 if row.mode is Mode.CBC else 8):
        raise malformed("the initialisation vector is of a wrong size")
    return row, vector


def _rc2_parameters(row: CipherRow, fields: Fields) -> tuple[CipherRow, bytes]:
    """RC2CBCParameter (RFC 3370 §5.2). Without a version it is 32 bits, which nobody wrote."""
    bits = algorithms.RC2_BITS.get(ber.integer(fields.take()))
    if bits is None:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "RC2 of this size is not supported")
    return replace(row, name=f"rc2-{bits}-cbc", key_octets=bits // 8), ber.octets(fields.take())


def _cast5_parameters(row: CipherRow, fields: Fields) -> tuple[CipherRow, bytes]:
    """cast5CBCParameters (RFC 2984 §2); OpenSSL writes the vector alone, for 128 bits."""
    vector = fields.optional(ber.OCTET_STRING, ber.OCTET_STRING | ber.CONSTRUCTED)
    bits = ber.integer(fields.take())
    if bits % 8 or not 40 <= bits <= 128:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "CAST5 of this size is not supported")
    return replace(row, key_octets=bits // 8), bytes(8) if vector is None else ber.octets(vector)


def _joined(pieces: list[bytes]) -> bytes:
    """The pieces as one; the usual single piece is not copied."""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _gcm_parameters(parameters: Element | None) -> tuple[bytes, int]:
    """GCMParameters (RFC 5084 §3.2): nonce, and octets of the tag, 12 by default."""
    if parameters is None:
        raise malformed("the GCM nonce is missing")
    fields = Fields(parameters)
    nonce = ber.octets(fields.take())
    tag_octets = fields.optional(ber.INTEGER)
    return nonce, ber.integer(tag_octets) if tag_octets is not None else 12
