"""OpenPGP protection that a mail brings along counts by its packets, never by an armor line."""

from base64 import encodebytes

import pytest

from mailseal.methods.openpgp_write import Shape
from mailseal.openpgp.form import EncryptionForm as PgpForm
from mailseal.openpgp.inner import write_literal
from mailseal.openpgp.message import encrypt_message
from mailseal.openpgp.packet import Tag, read_packets, write_packet
from mailseal.policy.model import Fate
from mailseal.policy.reason import ReasonCode
from pgp_mails import (
    TEXT,
    armored,
    as_mail,
    encrypted_mail,
    literal_message,
    made_signed,
    multipart,
    sealed,
    signed_mail,
    text,
)
from pgp_outgoing import HEAD, MUST, X, codes, go
from stage import (
    PGP_PARTNER,
    PGP_SENDER,
    Stage,
)


def coded(content: bytes, behind: bytes = b"", kind: bytes = b"application/octet-stream") -> bytes:
    """A part in base64 that ends with padding, and words behind that, which readers of base64 pass over."""
    octets = encodebytes(content + b"\n" * (2 - len(content) % 3)).replace(b"\n", b"\r\n")
    assert octets.endswith(b"=\r\n")
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b%b" % (kind, octets, behind)


CANARY = b"The canary sings.\r\n"
BLOCK = armored(sealed(literal_message(), PGP_PARTNER))
VERSION = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
PGP = b'encrypted; protocol="application/pgp-encrypted"'


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        (multipart(PGP, VERSION, coded(BLOCK)), ReasonCode.ALREADY_ENCRYPTED),
        (multipart(PGP, VERSION, coded(BLOCK, CANARY)), None),
        (multipart(PGP, coded(b"Version: 1", CANARY), coded(BLOCK)), None),
        (coded(BLOCK, kind=b"text/plain"), ReasonCode.ALREADY_ENCRYPTED),
        (coded(BLOCK, CANARY, kind=b"text/plain"), None),
        (encrypted_mail(TEXT, PGP_PARTNER), ReasonCode.ALREADY_ENCRYPTED),
        (signed_mail(encrypted_mail(TEXT, PGP_PARTNER), by=PGP_SENDER), ReasonCode.ALREADY_ENCRYPTED),
        (text(armored(sealed(literal_message(), PGP_PARTNER))), ReasonCode.ALREADY_ENCRYPTED),
        (signed_mail(TEXT, by=PGP_SENDER), ReasonCode.ALREADY_SIGNED),
        (b"".join(made_signed(TEXT, PGP_SENDER, Shape.CLEARTEXT).entity), ReasonCode.ALREADY_SIGNED),
        (text(b"See:\r\n" + armored(sealed(literal_message(), PGP_PARTNER))), None),
        (text(armored(sealed(literal_message(), PGP_PARTNER)) + b"and more\r\n"), None),
        (text(b"> " + armored(sealed(literal_message(), PGP_PARTNER))), None),
        (text(armored(literal_message(by=PGP_SENDER))), None),
        (text(b"-----BEGIN PGP MESSAGE-----\r\n\r\nThe canary sings.\r\n-----END PGP MESSAGE-----\r\n"), None),
        (multipart(b'encrypted; protocol="application/pgp-encrypted"', text(b"Version: 1\r\n"), TEXT), None),
        (encrypted_mail(TEXT, PGP_PARTNER) + b"The canary sings.\r\n", None),
        (multipart(b"mixed", encrypted_mail(TEXT, PGP_PARTNER), text(b"The canary sings.\r\n")), None),
    ],
)
def test_what_came_protected_is_judged_by_its_packets(entity, expected):
    on = Stage(settings={X: MUST}).own_pgp(PGP_SENDER)
    outcome, other = go(on, HEAD + entity, X, "y@elsewhere.example")
    protected = {ReasonCode.ALREADY_ENCRYPTED, ReasonCode.ALREADY_SIGNED} & set(codes(other))
    assert protected == ({expected} if expected else set())
    assert outcome.fate is (Fate.RELAYED if expected is ReasonCode.ALREADY_ENCRYPTED else Fate.REFUSED)
    if expected:
        assert on.sent[0].chunks[1] == HEAD + entity


def test_a_mail_encrypted_to_a_password_only_or_to_nobody_does_not_count_as_encrypted():

    by_password = b"".join(encrypt_message(write_literal([TEXT]), [], PgpForm(), ["hunter2"]))
    packets = sealed(literal_message(), PGP_PARTNER)
    nobody = b"".join(write_packet(one.tag, one.octets) for one in read_packets(packets) if one.tag != Tag.PKESK)
    for message in (by_password, nobody):
        on = Stage(settings={X: MUST})
        assert go(on, HEAD + as_mail(message), X)[0].fate is Fate.REFUSED
