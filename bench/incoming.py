"""Mails to open: signed and encrypted by people outside for people inside, made while their keys are, kept in a file.

Each has a reader of his own, so that a run in which each mail is sent once finds nothing in a cache.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from load import Mail, content_of, dot_stuffed

from mailseal.methods.openpgp_write import SigningKey
from mailseal.openpgp import mime
from mailseal.openpgp.armor import MESSAGE, write_armor
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.generate import GeneratedKey
from mailseal.openpgp.inner import write_literal, write_signed
from mailseal.openpgp.message import encrypt_message
from mailseal.smime import message
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.encrypt import EncryptionForm as SmimeForm
from mailseal.smime.sign import SignatureForm, SigningIdentity

MAILS = 4_000
_ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + content_of(10_000).partition(b"\r\n\r\n")[2]
_HEAD = b"Subject: load\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"


def smime_mail(signer: bytes, key: rsa.RSAPrivateKey, reader: bytes) -> bytes:
    """`signer` and `reader` are certificates in DER."""
    identity = SigningIdentity(parse_certificate(signer), key, ())
    signed = message.signed_entity(_ENTITY, identity, SignatureForm(), datetime.now(UTC))
    return _HEAD + b"".join(message.encrypted_entity(signed, [parse_certificate(reader)], SmimeForm()))


def openpgp_mail(signer: GeneratedKey, reader: GeneratedKey) -> bytes:
    """Both from the primary key of the one to the subkey of the other."""
    signature = SigningKey(*signer.keys[0]).signature(_ENTITY, datetime.now(UTC))
    inside = write_signed(write_literal([_ENTITY]), [signature])
    encrypted = encrypt_message(inside, [Reader(reader.keys[1][0])], EncryptionForm())
    return _HEAD + b"".join(mime.encrypted_entity(write_armor(MESSAGE, encrypted)))


def write(path: Path, mails: Iterable[tuple[str, str, bytes]]) -> None:
    """Sender, recipient, mail."""
    with path.open("w", encoding="ascii") as file:
        for sender, recipient, octets in mails:
            file.write(json.dumps([sender, recipient, octets.decode("ascii")]) + "\n")


def read(path: Path) -> list[Mail]:
    """As they are sent."""
    with path.open(encoding="ascii") as file:
        rows = map(json.loads, file)
        return [
            Mail(sender.encode(), recipient.encode(), dot_stuffed(text.encode())) for sender, recipient, text in rows
        ]
