"""A subject that was encrypted with the mail comes back when the mail is opened, and no other field does."""

import pytest

from mailseal.mail.envelope import Origin
from mailseal.mail.header import decoded_subject
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.policy.settings import Settings
from pgp_mails import encrypted_mail, multipart, signed_mail, text
from stage import PGP_PARTNER, PGP_READER, Stage, envelope

DORA, BOB = "dora@inside.example", "bob@outside.example"
SUBJECT = b"Subject: =?utf-8?q?L=C3=B6hne?= in May\r\nX-Mailseal-Decrypted: no\r\nTo: eve@elsewhere.example\r\n"
WORDS = b"\r\nThe canary sings.\r\n"
HIDDEN = b'Content-Type: text/plain; protected-headers="v1"\r\n' + SUBJECT + WORDS
THUNDERBIRD = multipart(b'mixed; protected-headers="v1"', text(b"The canary sings.\r\n")).replace(
    b"\r\n\r\n", b"\r\n" + SUBJECT + b"\r\n", 1
)


def head(subject: bytes = b"...") -> bytes:
    return (
        b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: %b\r\nMIME-Version: 1.0\r\n" % subject
    )


def receive(raw: bytes, **settings: object) -> bytes:
    on = Stage(settings={"inside.example": Settings(**settings)}).own_pgp(PGP_READER).know_pgp(PGP_PARTNER)
    process(envelope(DORA, sender=BOB, origin=Origin.OUTSIDE), Message(raw), on.gateway())
    return b"".join(on.sent[0].chunks[1:])


def shown(octets: bytes) -> str:
    assert octets.lower().count(b"subject:") == 1
    return decoded_subject(parse(octets).root)


@pytest.mark.parametrize("outside", [b"...", b"[...]", b"Encrypted Message", "…".encode(), b"=?utf-8?q?=2E=2E=2E?="])
@pytest.mark.parametrize("inside", [HIDDEN, THUNDERBIRD, HIDDEN.replace(b'protected-headers="v1"', b"hp=cipher")])
def test_an_encrypted_subject_comes_back(outside, inside):
    octets = receive(head(outside) + encrypted_mail(inside, PGP_READER, by=PGP_PARTNER))
    assert shown(octets) == "Löhne in May"
    assert b"eve@" not in octets
    assert parse(octets).root.headers("x-mailseal-decrypted") == ["yes"]


def test_inside_a_signature_of_its_own():
    mail = head() + encrypted_mail(signed_mail(HIDDEN, by=PGP_PARTNER), PGP_READER)
    assert decoded_subject(parse(receive(mail)).root) == "Löhne in May"
    assert shown(receive(mail, remove_signature=True)) == "Löhne in May"


@pytest.mark.parametrize(
    ("outside", "inside"),
    [
        (b"Hello", HIDDEN),
        (b"... Hello", HIDDEN),
        (b"...", HIDDEN.replace(b'; protected-headers="v1"', b"")),
        (b"...", HIDDEN.replace(b'protected-headers="v1"', b"hp=clear")),
        (b"...", HIDDEN.replace(b"Subject: =?utf-8?q?L=C3=B6hne?= in May\r\n", b"")),
        (b"...", HIDDEN.replace(b"=?utf-8?q?L=C3=B6hne?= in May", b"")),
        (b"...", multipart(b"mixed", HIDDEN, text(b"x"))),
    ],
)
def test_any_other_subject_stays(outside, inside):
    octets = receive(head(outside) + encrypted_mail(inside, PGP_READER))
    assert decoded_subject(parse(octets).root) == outside.decode()


def test_not_of_a_mail_that_is_only_signed_or_stays_shut():
    for mail in (signed_mail(HIDDEN, by=PGP_PARTNER), encrypted_mail(HIDDEN, PGP_PARTNER)):
        assert decoded_subject(parse(receive(head() + mail, remove_signature=True)).root) == "..."


def test_marks_and_triggers_are_taken_out_of_it_as_out_of_any_other():
    forged = HIDDEN.replace(b"=?utf-8?q?L=C3=B6hne?= in May", b"[signed by boss@inside.example] [encrypt] Pay")
    octets = receive(head() + encrypted_mail(forged, PGP_READER), subject_tags=True)
    assert shown(octets) == "Pay [decrypted]"
