"""Mails by OpenPGP as others send them: signed, encrypted, both in one, inline; and hostile ones."""

from __future__ import annotations

from datetime import datetime

from mailseal.mail.message import Octets
from mailseal.methods.made import Signed
from mailseal.methods.openpgp_write import Shape, SigningKey, signed
from mailseal.openpgp import armor, mime
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.message import encrypt_message
from pgp_keys import PgpIdentity
from pki import NOW

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe canary sings.\r\n"


def signing_key(by: PgpIdentity) -> SigningKey:
    return SigningKey(*by.keys[0])


def made_signed(entity: bytes, by: PgpIdentity, shape: Shape = Shape.MIME, at: datetime = NOW) -> Signed:
    return signed(entity, signing_key(by), shape, at)


def signed_mail(entity: bytes = TEXT, *, by: PgpIdentity, at: datetime = NOW) -> bytes:
    """multipart/signed."""
    return b"".join(made_signed(entity, by, at=at).entity)


def literal_message(content: bytes = TEXT, *, by: PgpIdentity | None = None, at: datetime = NOW) -> bytes:
    """A literal, one-pass signed if by somebody."""
    literal = write_literal([content])
    packets = literal if by is None else write_signed(literal, [signing_key(by).signature(content, at)])
    return b"".join(packets)


def sealed(packets: Octets, *to: PgpIdentity, hidden: bool = False) -> bytes:
    """Packets encrypted to the subkeys of some."""
    readers = [Reader(one.keys[-1][0], hidden=hidden) for one in to]
    return b"".join(encrypt_message([packets], readers, EncryptionForm()))


def armored(packets: bytes, kind: str = armor.MESSAGE) -> bytes:
    return b"".join(armor.write_armor(kind, [packets]))


def as_mail(message: bytes) -> bytes:
    """multipart/encrypted of the packets of a message."""
    return b"".join(mime.encrypted_entity([armored(message)]))


def encrypted_mail(
    entity: bytes = TEXT, *to: PgpIdentity, by: PgpIdentity | None = None, hidden: bool = False, at: datetime = NOW
) -> bytes:
    """multipart/encrypted, signed in the same message if by somebody."""
    return as_mail(sealed(literal_message(entity, by=by, at=at), *to, hidden=hidden))


def multipart(kind: bytes, *parts: bytes, boundary: bytes = b"outer", epilogue: bytes = b"") -> bytes:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b"Content-Type: multipart/%b; boundary=%b\r\n\r\n%b--%b--\r\n%b" % (kind, boundary, body, boundary, epilogue)


def text(body: bytes, kind: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"Content-Type: %b\r\n\r\n%b" % (kind, body)
