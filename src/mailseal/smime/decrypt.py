"""Read and open EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083, RFC 5084)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.algorithms import CipherRow, Mode
from mailseal.smime.ber import Element, Fields
from mailseal.smime.certificate import Certificate
from mailseal.smime.content import FAILED, MAX_SLOW_OCTETS, EncryptedContent, is_slow, sized
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.recipient import BY_CERTIFICATE, KeyTransport, RecipientId, RecipientInfo
from mailseal.smime.recipients import read_recipients
from mailseal.smime.rsa_parameters import algorithm_identifier
from mailseal.smime.secret import Secret

MAX_ATTEMPTS = 8
"""Unwrapped content keys tried for one message: each costs a private-key operation and a pass over the content."""
MIN_SECRET_OCTETS = 16
UNKNOWN = "unknown"
"""The `algorithm` of content that we cannot decrypt."""


@dataclass(frozen=True, slots=True)
class Enveloped:
    """Encrypted content and its recipients. `integrity` is "authenticated" or "none"; `algorithm` like "aes256-cbc".

    `weak`: by a cipher of old mail, "3des-cbc", "rc2-40-cbc", "des-cbc" or "cast5-cbc".
    """

    recipients: tuple[RecipientId, ...]
    algorithm: str
    integrity: str
    weak: bool
    _infos: tuple[RecipientInfo, ...] = field(repr=False)
    _content: EncryptedContent = field(repr=False)

    @property
    def keeps_secret(self) -> bool:
        """Whether it counts as encrypted: by a key of 128 bits or more, to somebody's certificate."""
        row = self._content.row
        kinds = {one.kind for one in self.recipients}
        return row is not None and row.key_octets >= MIN_SECRET_OCTETS and bool(kinds & BY_CERTIFICATE)

    def fits(self, certificate: Certificate) -> bool:
        """Whether it is encrypted to this certificate."""
        return any(one.fits(certificate) for one in self.recipients)

    def fits_secret(self, secret: Secret) -> bool:
        """Whether it is encrypted to somebody with a secret like this: to that key, or to any password."""
        return any(one.fits_secret(secret) for one in self.recipients)

    def decrypt(self, keys: Sequence[tuple[Certificate, PrivateKey]], limit_bytes: int) -> bytes:
        """The content. Raises CmsError (KEY_NOT_FOUND, DECRYPTION_FAILED, TOO_LARGE, UNSUPPORTED_ALGORITHM).

        What a key raises besides, a TransientError, passes unchanged.
        """
        fitting = [(info, key) for certificate, key in keys for info in self._infos if _is_for(info, certificate)]
        return self._first(fitting, limit_bytes)

    def decrypt_with_secrets(self, secrets: Sequence[Secret], limit_bytes: int) -> bytes:
        """The content, by keys agreed beforehand or passwords. Raises CmsError like `decrypt`."""
        fitting = [(info, one) for one in secrets for info in self._infos if info.id.fits_secret(one)]
        return self._first(fitting, limit_bytes)

    def _first(self, fitting: Sequence[tuple[RecipientInfo, PrivateKey | Secret]], limit_bytes: int) -> bytes:
        content = self._content
        if content.row is None:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the content encryption algorithm is not supported")
        if content.size > limit_bytes:
            raise CmsError(ReasonCode.TOO_LARGE, "the encrypted content is too large")
        if not fitting:
            raise CmsError(ReasonCode.KEY_NOT_FOUND, "the content is encrypted to none of the keys")
        failure: CmsError | None = None
        attempts = MAX_ATTEMPTS
        if is_slow(content.row):
            attempts = min(attempts, max(1, MAX_SLOW_OCTETS // max(1, content.size)))
        for info, secret in fitting[:attempts]:
            try:
                return self._open(info, secret, content.row)
            except CmsError as error:
                failure = error
        raise failure or CmsError(ReasonCode.DECRYPTION_FAILED, FAILED)

    def _open(self, info: RecipientInfo, secret: PrivateKey | Secret, row: CipherRow) -> bytes:
        # Made before the key is used, so that success and failure take the same way.
        substitute = os.urandom(row.key_octets)
        content_key = info.unwrap(secret, substitute)
        if content_key is None or len(content_key) != row.key_octets:
            raise CmsError(ReasonCode.DECRYPTION_FAILED, FAILED)
        return self._content.decrypt(content_key, row)


def _is_for(info: RecipientInfo, certificate: Certificate) -> bool:
    """Whether it names the certificate; a key for RSASSA-PSS or RSAES-OAEP only does nothing else (RFC 4055 §1.2)."""
    if not info.id.fits(certificate):
        return False
    if not isinstance(info, KeyTransport):
        return True
    barred = ("rsa-pss-",) if info.by_oaep else ("rsa-pss-", "rsa-oaep-")
    return not certificate.key_algorithm.startswith(barred)


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
        weak=content.row is not None and content.row.weak,
        _infos=infos,
        _content=content,
    )


def _encrypted_content(info: Fields, behind: Fields, *, authenticated: bool) -> EncryptedContent:
    info.take(ber.OID)  # content type
    kind, parameters = algorithm_identifier(info.take(ber.SEQUENCE))
    encrypted = info.optional(0x80, 0xA0)
    pieces = tuple(ber.string_pieces(encrypted)) if encrypted is not None else ()
    row = _cipher(kind, parameters)
    if row is not None and (row.mode is Mode.GCM) is not authenticated:
        # GCM in EnvelopedData has no tag; CBC in AuthEnvelopedData authenticates nothing, whatever its name says.
        row = None
    if not authenticated:
        return EncryptedContent(row, parameters, pieces)
    attributes = behind.optional(0xA1)
    aad = der.normalised(attributes, tag=ber.SET) if attributes is not None else b""
    return EncryptedContent(row, parameters, pieces, ber.octets(behind.take()), aad)


def _cipher(kind: bytes, parameters: Element | None) -> CipherRow | None:
    row = algorithms.CIPHERS.get(kind)
    if row is None:
        return None
    try:
        return sized(row, parameters)
    except CmsError:
        return None
