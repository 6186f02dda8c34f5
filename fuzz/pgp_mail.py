"""Fuzz what finds and reads OpenPGP in a mail: `python fuzz/pgp_mail.py [--seconds N]`. Prints the count of inputs.

PGP/MIME and its mangled forms, inline texts and files, attached keys, Autocrypt fields; the whole method, with a key
that fits. Starts from real mails. Anything raised but the typed errors stops the run with the input that did it.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import atheris
from driver import fuzz

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["mailseal.openpgp", "mailseal.methods"]):
    from mailseal.mail.address import Address
    from mailseal.mail.mime import MimeError, parse
    from mailseal.methods import METHODS
    from mailseal.methods.layer import Opening
    from mailseal.methods.openpgp_write import Shape
    from mailseal.openpgp import inline_write
    from mailseal.openpgp.autocrypt import write_autocrypt
    from mailseal.openpgp.work import Work
    from mailseal.policy.model import MethodName, Party
    from mailseal.policy.settings import Settings
    from pgp_mails import (
        TEXT,
        armored,
        encrypted_mail,
        literal_message,
        made_signed,
        multipart,
        sealed,
        signed_mail,
        text,
    )
    from pki import NOW
    from stage import PGP_PARTNER, PGP_READER, Stage

HEAD = b"From: bob@outside.example\r\nMIME-Version: 1.0\r\n"
SETTINGS = Settings(pgp_open_inline=True, pgp_remove_key_attachments=True)
METHOD = METHODS[MethodName.PGP]
STAGE = Stage().own_pgp(PGP_READER).know_pgp(PGP_PARTNER)
READER = Address.parse("dora@inside.example")
OPENING = Opening(
    Party(READER, internal=True, settings=SETTINGS),
    {MethodName.PGP: (PGP_READER.fingerprint,)},
    STAGE,
    STAGE.pgp,
    NOW,
    (Address.parse("bob@outside.example"),),
    max_bytes=1_000_000,
)


def one_input(octets: bytes) -> None:
    """Everything that the method does with a mail, on the way in and on the way out."""
    STAGE.interrupt.names.clear()
    try:
        parsed = parse(octets)
    except MimeError:
        return
    root = parsed.root
    METHOD.already(root)
    METHOD.harvest(root, root, SETTINGS)
    METHOD.tidy(root, SETTINGS)
    inline_write.pieces_of(root)
    opening = replace(OPENING, work=Work())
    for entity in root.walk():
        kind = METHOD.recognise(entity, SETTINGS)
        if kind is None:
            continue
        peeled = METHOD.peel(entity, kind, opening, 0)
        if peeled.inner is not None:
            with suppress(MimeError):
                METHOD.recognise(peeled.inner, SETTINGS)


def seeds() -> dict[str, bytes]:
    """A mail of each kind."""
    message = sealed(literal_message(by=PGP_PARTNER), PGP_READER)
    version = text(b"Version: 1\r\n", b"application/pgp-encrypted")
    data = text(armored(message), b'application/octet-stream; name="encrypted.asc"')
    keys = text(armored(PGP_PARTNER.octets, "PUBLIC KEY BLOCK"), b"application/pgp-keys")
    inline = b"".join(inline_write.joined([inline_write.sealed_text([armored(message)], "utf-8"), [data]]))
    autocrypt = write_autocrypt(Address.parse("bob@outside.example"), PGP_PARTNER.octets)
    assert autocrypt is not None
    entities = {
        "encrypted": encrypted_mail(TEXT, PGP_READER, by=PGP_PARTNER),
        "signed": signed_mail(by=PGP_PARTNER),
        "mangled": multipart(b"mixed", text(b"\r\n"), version, data),
        "file": data,
        "inline": text(armored(message)),
        "inline-files": inline,
        "cleartext": b"".join(made_signed(TEXT, PGP_PARTNER, Shape.CLEARTEXT).entity),
        "keys": multipart(b"mixed", TEXT, keys),
        "autocrypt": b"Autocrypt: " + autocrypt.encode() + b"\r\n" + TEXT,
    }
    return {name: HEAD + entity for name, entity in entities.items()}


if __name__ == "__main__":
    fuzz("pgp_mail", __doc__, one_input, seeds())
