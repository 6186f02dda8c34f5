"""The mail entities of S/MIME (RFC 8551 §3): find them, read them, write them."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from mailseal.mail import base64_lines
from mailseal.mail.entity import NEUTRAL_TYPES
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, MimeError
from mailseal.policy.model import Already
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms
from mailseal.smime.algorithms import Mode
from mailseal.smime.certificate import Certificate
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypted
from mailseal.smime.errors import CmsError, malformed
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity, digest_for, signed
from mailseal.smime.verify import read_signed


class LayerKind(StrEnum):
    """The kinds of S/MIME entity."""

    ENCRYPTED = "smime-encrypted"
    SIGNED = "smime-signed"
    COMPRESSED = "smime-compressed"
    CERTS_ONLY = "smime-certs-only"


PKCS7_MIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
PKCS7_SIGNATURE = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})

_BY_CONTENT_TYPE = {
    algorithms.ENVELOPED_DATA: LayerKind.ENCRYPTED,
    algorithms.AUTH_ENVELOPED_DATA: LayerKind.ENCRYPTED,
    algorithms.SIGNED_DATA: LayerKind.SIGNED,
    algorithms.COMPRESSED_DATA: LayerKind.COMPRESSED,
}
_BY_SMIME_TYPE = {
    "enveloped-data": LayerKind.ENCRYPTED,
    "authenveloped-data": LayerKind.ENCRYPTED,
    "signed-data": LayerKind.SIGNED,
    "signed-receipt": LayerKind.SIGNED,
    "compressed-data": LayerKind.COMPRESSED,
    "certs-only": LayerKind.CERTS_ONLY,
}
_BY_EXTENSION = {".p7m": LayerKind.ENCRYPTED, ".p7z": LayerKind.COMPRESSED, ".p7c": LayerKind.CERTS_ONLY}
_PEEK_OCTETS = 256

_SIGNATURE_HEADER = (
    b'\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME signature\r\n\r\n"
)
_MIME_TYPE = b'Content-Type: application/pkcs7-mime; name="smime.p7m";\r\n smime-type='
_OPAQUE_HEADER = (
    b"\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\r\n'
    b"Content-Description: S/MIME signed message\r\n\r\n"
)
_ENCRYPTED_HEADER = (
    b"\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\r\n'
    b"Content-Description: S/MIME encrypted message\r\n\r\n"
)


def classify(entity: Entity) -> LayerKind | None:
    """The kind of S/MIME entity, or None. The structure counts for more than what labels say.

    A detached signature alone is None: its multipart/signed is the entity.
    """
    kind = entity.content_type.type
    if kind in PKCS7_MIME:
        return _classify_pkcs7(entity)
    if kind == "multipart/signed":
        return LayerKind.SIGNED if _is_smime_signed(entity) else None
    if kind in NEUTRAL_TYPES:
        extension = _extension(entity)
        return _peek(entity) if extension in _BY_EXTENSION else None
    return None


def _classify_pkcs7(entity: Entity) -> LayerKind:
    label = _BY_SMIME_TYPE.get(entity.content_type.parameters.get("smime-type", "").strip().lower())
    found = _peek(entity)
    if found is LayerKind.SIGNED and (
        label is LayerKind.CERTS_ONLY or (label is None and _extension(entity) == ".p7c")
    ):
        return LayerKind.CERTS_ONLY
    return found or label or _BY_EXTENSION.get(_extension(entity), LayerKind.ENCRYPTED)


def _is_smime_signed(entity: Entity) -> bool:
    protocol = entity.content_type.parameters.get("protocol", "").strip().lower()
    if protocol in PKCS7_SIGNATURE:
        return True
    # Some programs leave the protocol out, or call the signature a file.
    return not protocol and len(entity.children) == 2 and is_detached_signature(entity.children[1])


def is_detached_signature(entity: Entity) -> bool:
    """Whether the entity is the second part of a multipart/signed, by type or by file name."""
    kind = entity.content_type.type
    return kind in PKCS7_SIGNATURE or (kind in NEUTRAL_TYPES and _extension(entity) == ".p7s")


def _extension(entity: Entity) -> str:
    return (entity.filename or "")[-4:].lower()


def _peek(entity: Entity) -> LayerKind | None:
    """The content type of the CMS structure, from its first octets."""
    start = entity.decoded_start(_PEEK_OCTETS)
    # ContentInfo: SEQUENCE, its length in up to 5 octets, then the object identifier of the content.
    if start[:1] != b"\x30" or len(start) < 2:
        return None
    behind = 2 + (start[1] & 0x7F if start[1] > 0x80 else 0)
    for content_type, kind in _BY_CONTENT_TYPE.items():
        if start.startswith(content_type, behind):
            return kind
    return None


def read_cms(entity: Entity) -> bytes:
    """The CMS structure of an entity, transfer encoding removed; raises CmsError."""
    try:
        return entity.decoded_body(len(entity.body))
    except MimeError as error:
        raise malformed(str(error)) from error


def signed_parts(entity: Entity) -> tuple[memoryview, bytes]:
    """The signed octets and the signature of a multipart/signed of two parts (RFC 1847 §2.1); raises CmsError."""
    if len(entity.children) != 2 or not entity.closed:
        raise malformed("a signed multipart has two parts and a closing delimiter")
    content, signature = entity.children
    if not is_detached_signature(signature):
        raise malformed("the second part is no S/MIME signature")
    return content.octets, read_cms(signature)


def signed_entity(entity: bytes, identity: SigningIdentity, form: SignatureForm, at: datetime) -> tuple[Octets, ...]:
    """The octets of `entity`, kept as they are, signed: multipart/signed (RFC 8551 §3.5.3) or opaque (§3.5.2).

    In pieces to send one after the other. Raises what `sign` raises.
    """
    signature = base64_lines.encode_all(signed(entity, identity, form, at=at))
    if form.opaque:
        return _MIME_TYPE, b"signed-data", _OPAQUE_HEADER, *signature
    # 128 random bits: nobody can have put them into the content, so that it need not be searched.
    boundary = b"----" + secrets.token_hex(16).encode()
    micalg = algorithms.WRITTEN_DIGESTS[digest_for(identity.certificate, form)].row.micalg.encode()
    start = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=%b; boundary="%b"\r\n\r\n'
        b"This is an S/MIME signed message\r\n\r\n--%b\r\n" % (micalg, boundary, boundary)
    )
    middle = b"\r\n--%b%b" % (boundary, _SIGNATURE_HEADER)
    return start, entity, middle, *signature, b"--%b--\r\n" % boundary


def encrypted_entity(
    entity: Sequence[Octets], recipients: Sequence[Certificate], form: EncryptionForm
) -> tuple[Octets, ...]:
    """An application/pkcs7-mime (RFC 8551 §3.3, §3.4) with the octets of `entity` encrypted to the recipients.

    In pieces to send one after the other. Raises what `encrypt` raises.
    """
    gcm = algorithms.WRITTEN_CIPHERS[form.cipher].mode is Mode.GCM
    kind = b"authEnveloped-data" if gcm else b"enveloped-data"
    return _MIME_TYPE, kind, _ENCRYPTED_HEADER, *base64_lines.encode_all(encrypted(entity, recipients, form))


def already(root: Entity) -> Already:
    """The protection that a whole message brings along: by its CMS structure, never by its labels alone."""
    kind = classify(root)
    if kind is None:
        return Already.NOTHING
    try:
        if kind is LayerKind.ENCRYPTED:
            return Already.ENCRYPTED if read_enveloped(read_cms(root)).keeps_secret else Already.NOTHING
        if kind is LayerKind.SIGNED:
            return _already_signed(root)
    except CmsError:
        return Already.NOTHING
    return Already.NOTHING


def _already_signed(root: Entity) -> Already:
    detached = root.content_type.type == "multipart/signed"
    signed = read_signed(signed_parts(root)[1] if detached else read_cms(root))
    if not signed.signers:
        return Already.NOTHING
    if detached and classify(root.children[0]) is LayerKind.ENCRYPTED:
        return already(root.children[0])
    if not detached and signed.econtent is None:
        raise CmsError(ReasonCode.MALFORMED, "the signed content is missing")
    return Already.SIGNED
