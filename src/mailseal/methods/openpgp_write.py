"""Write mail by OpenPGP: around its MIME entity (RFC 3156), or into its text and files (inline)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from mailseal.errors import TransientError
from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.mail.mime import MimeError, parse
from mailseal.methods.made import Made, Signed
from mailseal.openpgp import armor, inline_write, mime
from mailseal.openpgp.algorithms import CompressionId, HashId
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.openpgp.component import Features
from mailseal.openpgp.form import EncryptionForm, Reader, form_for
from mailseal.openpgp.inline_write import Piece
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.message import encrypt_message
from mailseal.openpgp.select import encryption_components
from mailseal.openpgp.sign import digest_for, sign_document
from mailseal.openpgp.validity import features, stated
from mailseal.policy.settings import PgpCompression, PgpFormat, Settings

_COMPRESSIONS = {
    PgpCompression.NONE: CompressionId.UNCOMPRESSED,
    PgpCompression.ZIP: CompressionId.ZIP,
    PgpCompression.ZLIB: CompressionId.ZLIB,
}
_NOTHING: tuple[int, ...] = ()
_NO_SUITES: tuple[tuple[int, int], ...] = ()


class Shape(Enum):
    """Where a signature goes: beside the entity, round a text, or into the message of each part."""

    MIME = auto()
    CLEARTEXT = auto()
    PIECES = auto()


def shape_for(form: PgpFormat, readers: Sequence[str]) -> Shape:
    """The shape for a form, of a mail in clear if there are no readers."""
    if form is PgpFormat.MIME:
        return Shape.MIME
    return Shape.PIECES if readers else Shape.CLEARTEXT


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs, with its public half."""

    public: PublicKey
    private: PrivateKey = field(repr=False)

    @property
    def digest(self) -> HashId:
        """The one it signs by."""
        return digest_for(self.public)

    def signature(self, content: bytes, at: datetime, *, text: bool = False) -> bytes:
        """The packet of a signature over the content."""
        return sign_document(self.private, self.public, content, at=at, text=text)


def signed(entity: bytes, key: SigningKey, shape: Shape, at: datetime) -> Signed:
    """The entity signed; beside it where its structure does not allow the shape. Raises what `sign_document` raises.

    In the shape PIECES it is only good to be encrypted: `entity` of the result is empty.
    """
    digest = key.digest.name.lower()
    algorithm = f"{key.public.name} {digest}"
    pieces = None if shape is Shape.MIME else _pieces([entity])
    if pieces is not None and shape is Shape.PIECES:
        return Signed((), algorithm, entity, tuple(key.signature(one.content, at) for one in pieces))
    if pieces is not None and len(pieces) == 1 and _is_plain(pieces[0]):
        signature = key.signature(armor.canonical_text(pieces[0].content), at, text=True)
        made = inline_write.cleartext_entity(pieces[0], signature, key.digest.name)
        return Signed(tuple(made), algorithm, entity, (signature,))
    signature = key.signature(entity, at)
    return Signed(mime.signed_entity(entity, signature, f"pgp-{digest}"), algorithm, entity, (signature,))


def _pieces(entity: Iterable[Octets]) -> tuple[Piece, ...] | None:
    try:
        parsed = parse(b"".join(entity))
    except MimeError:
        return None
    return None if parsed.fault is not None else inline_write.pieces_of(parsed.root)


def _is_plain(piece: Piece) -> bool:
    """Whether the cleartext framework can hold it: lines of text, in whose octets ASCII stands for itself."""
    content = piece.content
    return piece.is_text and b"\0" not in content and content.count(b"\r") == content.count(b"\r\n")


def encrypted(
    what: Sequence[Octets] | Signed, readers: Sequence[StoredPgpCertificate], policy: Settings, at: datetime
) -> Made:
    """An entity, or what was signed, encrypted to the readers; raises what `encrypt_message` raises."""
    to = _To.all_of(readers, policy, at)
    content = [what.content] if isinstance(what, Signed) else what
    signatures = what.signatures if isinstance(what, Signed) else ()
    if policy.pgp_format is PgpFormat.INLINE and not (isinstance(what, Signed) and what.entity):
        pieces = _pieces(content)
        if pieces is not None:
            parts = [
                to.piece(one, signatures[number : number + 1] if signatures else ())
                for number, one in enumerate(pieces)
            ]
            return Made(tuple(inline_write.joined(parts)), to.algorithm)
    return Made(mime.encrypted_entity(to.armored(write_literal(content), signatures)), to.algorithm)


@dataclass(frozen=True, slots=True)
class _To:
    """The readers of one ciphertext, and its form."""

    readers: tuple[Reader, ...]
    form: EncryptionForm

    @staticmethod
    def all_of(stored: Sequence[StoredPgpCertificate], policy: Settings, at: datetime) -> "_To":
        readers = tuple(reader for one in stored for reader in _readers(one, at))
        wanted = _COMPRESSIONS[policy.pgp_compression]
        allowed = all(wanted in _compressions(one, at) for one in stored)
        return _To(readers, form_for(readers, wanted if allowed else CompressionId.UNCOMPRESSED))

    @property
    def algorithm(self) -> str:
        return " ".join((self.form.name, *sorted({one.key.name for one in self.readers})))

    def message(self, literal: Sequence[Octets], signatures: Sequence[bytes]) -> Iterable[bytes]:
        content = write_signed(literal, signatures) if signatures else literal
        return encrypt_message(content, self.readers, self.form)

    def armored(self, literal: Sequence[Octets], signatures: Sequence[bytes]) -> list[bytes]:
        # RFC 9580 §6.1: no checksum round what only programs of today read.
        return armor.write_armor(armor.MESSAGE, self.message(literal, signatures), checksum=self.form.aead is None)

    def piece(self, piece: Piece, signatures: Sequence[bytes]) -> list[bytes]:
        if piece.is_text:
            return inline_write.sealed_text(self.armored(write_literal([piece.content]), signatures), piece.charset)
        literal = write_literal([piece.content], filename=piece.filename)
        content = b"".join(self.message(literal, signatures))
        return inline_write.file_entity(content, f"{piece.filename}.pgp")


def _compressions(stored: StoredPgpCertificate, at: datetime) -> tuple[int, ...]:
    return stated(stored.certificate, at, lambda says: says.compressions, _NOTHING)


def _readers(stored: StoredPgpCertificate, at: datetime) -> list[Reader]:
    certificate = stored.certificate
    components = encryption_components(stored, at)
    if not components:
        raise TransientError("an OpenPGP key that could be encrypted to a moment ago no longer can")
    reads_v2 = bool(features(certificate, at) & Features.SEIPD_V2)
    suites = stated(certificate, at, lambda says: says.aeads, _NO_SUITES)
    return [Reader(one.public, reads_v2, suites) for one in components]
