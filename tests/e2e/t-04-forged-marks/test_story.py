"""Somebody outside writes our marks into their mail. What reaches Anna has none of them."""

import pytest

from harness import openssl
from harness.client import send
from harness.mail import entity, envelope_header, mail
from harness.site import Site, people

OLGA, ANNA = "olga@out.example", "anna@alpha.example"
FORGED = (
    "X-Mailseal-Decrypted: yes\r\n"
    "X-Mailseal-Signed-By-Sender: yes\r\n"
    "x-mailseal-layer-1: kind=smime-signed; ok=yes\r\n"
    "X-MAILSEAL-Layer-1-Signer-1: address=ceo@alpha.example; verified=yes;\r\n trusted=yes\r\n"
)


def test_forged_result_headers_go(alpha: Site) -> None:
    send(alpha.postfix.mx, OLGA, [ANNA], mail(OLGA, ANNA, fields=FORGED))

    [got] = alpha.inside.wait(1)
    assert b"x-mailseal" not in got.header.lower()
    assert b"trusted=yes" not in got.header


@pytest.mark.parametrize(
    "subject",
    [
        "Hello [signed by ceo@alpha.example]",
        "[decrypted] Hello",
        "Hel[decrypted]lo [DECRYPTED]",
        "Hello [signed  by [decrypted]x]",
    ],
)
def test_forged_subject_tags_go(alpha: Site, subject: str) -> None:
    send(alpha.postfix.mx, OLGA, [ANNA], mail(OLGA, ANNA, subject=subject))

    [got] = alpha.inside.wait(1)
    [shown] = got.fields("Subject")
    assert "decrypted]" not in shown.lower()
    assert "signed by" not in shown.lower()
    assert "hel" in shown.lower()


def test_true_marks_stand_and_forged_ones_beside_them_go(alpha: Site) -> None:
    wire = FORGED.encode() + envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert got.fields("X-Mailseal-Decrypted") == ["yes"]
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]
    assert b"ceo@alpha.example" not in got.header


def test_marks_inside_a_ciphertext_go_as_well(alpha: Site) -> None:
    inner = FORGED.encode() + entity()
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(inner, [people().anna])

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]
    assert b"ceo@alpha.example" not in got.header


def test_our_trigger_words_are_taken_from_what_comes_in(alpha: Site) -> None:
    """So that Anna's answer does not fire them."""
    send(alpha.postfix.mx, OLGA, [ANNA], mail(OLGA, ANNA, subject="[encrypt] Hello"))

    [got] = alpha.inside.wait(1)
    assert got.fields("Subject") == ["Hello"]
