"""Read and open EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083, RFC 5084)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.algorithms import CipherRow, Mode
from mailseal.smime.ber import Element, Fields
from mailseal.smime.certificate import Certificate
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.recipient import RecipientId, RecipientInfo, read_recipients
from mailseal.smime.rsa_parameters import algorithm_identifier

MAX_ATTEMPTS = 8
"""Unwrapped content keys tried for one message: each costs a private-key operation and a pass over the content."""
MIN_TAG_OCTETS = 12
UNKNOWN = "unknown"
"""The `algorithm` of content that we cannot decrypt."""
_FAILED = "the content could not be decrypted"


@dataclass(frozen=True, slots=True)
class Enveloped:
    """Encrypted content and its recipients. `integrity` is "authenticated" or "none"; `algorithm` like "aes256-cbc"."""

    recipients: tuple[RecipientId, ...]
    algorithm: str
    integrity: str
    _infos: tuple[RecipientInfo, ...] = field(repr=False)
    _content: "EncryptedContent" = field(repr=False)

    def fits(self, certificate: Certificate) -> bool:
        """Whether it is encrypted to this certificate."""
        return any(one.fits(certificate) for one in self.recipients)

    def decrypt(self, keys: Sequence[tuple[Certificate, PrivateKey]], limit_bytes: int) -> bytes:
        """The content. Raises CmsError (KEY_NOT_FOUND, DECRYPTION_FAILED, TOO_LARGE, UNSUPPORTED_ALGORITHM).

        What a key raises besides, a TransientError, passes unchanged.
        """
        content = self._content
        if content.row is None:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the content encryption algorithm is not supported")
        if content.size > limit_bytes:
            raise CmsError(ReasonCode.TOO_LARGE, "the encrypted content is too large")
        fitting = [(info, key) for certificate, key in keys for info in self._infos if info.id.fits(certificate)]
        if not fitting:
            raise CmsError(ReasonCode.KEY_NOT_FOUND, "the content is encrypted to none of the keys")
        failure: CmsError | None = None
        for info, key in fitting[:MAX_ATTEMPTS]:
            try:
                return self._open(info, key, content.row)
            except CmsError as error:
                failure = error
        raise failure or CmsError(ReasonCode.DECRYPTION_FAILED, _FAILED)

    def _open(self, info: RecipientInfo, key: PrivateKey, row: CipherRow) -> bytes:
        # Made before the key is used, so that success and failure take the same way.
        substitute = os.urandom(row.key_octets)
        content_key = info.unwrap(key, substitute)
        if content_key is None or len(content_key) != row.key_octets:
            raise CmsError(ReasonCode.DECRYPTION_FAILED, _FAILED)
        return self._content.decrypt(content_key, row)


@dataclass(frozen=True, slots=True)
class EncryptedContent:
    """EncryptedContentInfo with what authenticates it."""

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
            raise CmsError(ReasonCode.DECRYPTION_FAILED, _FAILED) from None
        return plain

    def _cbc(self, key: bytes, row: CipherRow) -> bytes:
        if self.parameters is None:
            raise malformed("the initialisation vector is missing")
        vector = CBC(ber.octets(self.parameters))
        cipher = TripleDES(key) if row.mode is Mode.TRIPLE_DES_CBC else AES(key)
        block_octets, size = cipher.block_size // 8, self.size
        if not size or size % block_octets:
            raise CmsError(ReasonCode.DECRYPTION_FAILED, _FAILED)
        decryptor = Primitive(cipher, vector).decryptor()
        plain = _joined([decryptor.update(piece) for piece in self.pieces])
        decryptor.finalize()  # whole blocks went in, so none is left
        padding = plain[-1]
        if not 1 <= padding <= block_octets or not plain.endswith(bytes((padding,)) * padding):
            raise CmsError(ReasonCode.DECRYPTION_FAILED, _FAILED)
        return plain[:-padding]


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


@only_cms_errors
def read_enveloped(octets: Octets) -> Enveloped:
    """Read a ContentInfo with EnvelopedData or AuthEnvelopedData, BER or DER; raises CmsError."""
    outer = Fields(ber.read(octets))
    kind = ber.oid(outer.take())
    if kind not in (algorithms.ENVELOPED_DATA, algorithms.AUTH_ENVELOPED_DATA):
        raise malformed("this is not an encrypted message")
    authenticated = kind == algorithms.AUTH_ENVELOPED_DATA
    fields = Fields(ber.only_child(outer.take(0xA0)))
    fields.take(ber.INTEGER)  # version
    fields.optional(0xA0)  # originatorInfo: the sender's certificates
    infos = tuple(read_recipients(fields.take(ber.SET)))
    content = _encrypted_content(Fields(fields.take(ber.SEQUENCE)), fields, authenticated=authenticated)
    return Enveloped(
        recipients=tuple(info.id for info in infos),
        algorithm=content.row.name if content.row is not None else UNKNOWN,
        integrity="authenticated" if authenticated else "none",
        _infos=infos,
        _content=content,
    )


def _encrypted_content(info: Fields, behind: Fields, *, authenticated: bool) -> EncryptedContent:
    info.take(ber.OID)  # content type
    kind, parameters = algorithm_identifier(info.take(ber.SEQUENCE))
    encrypted = info.optional(0x80, 0xA0)
    pieces = tuple(ber.string_pieces(encrypted)) if encrypted is not None else ()
    row = algorithms.CIPHERS.get(kind)
    if row is not None and (row.mode is Mode.GCM) is not authenticated:
        # GCM in EnvelopedData has no tag; CBC in AuthEnvelopedData authenticates nothing, whatever its name says.
        row = None
    if not authenticated:
        return EncryptedContent(row, parameters, pieces)
    attributes = behind.optional(0xA1)
    aad = der.normalised(attributes, tag=ber.SET) if attributes is not None else b""
    return EncryptedContent(row, parameters, pieces, ber.octets(behind.take()), aad)
