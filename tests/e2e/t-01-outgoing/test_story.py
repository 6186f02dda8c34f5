"""Anna writes to people outside. Who has a certificate gets ciphertext; openssl opens it."""

from harness import openssl
from harness.client import Client, send
from harness.mail import CANARY, entity, mail
from harness.site import Site, people

ANNA = "anna@alpha.example"


def test_mail_to_an_rsa_recipient_is_signed_and_encrypted(alpha: Site) -> None:
    sent = mail(ANNA, "olga@out.example", subject="Offer")

    reply = send(alpha.postfix.submission, ANNA, ["olga@out.example"], sent)

    assert reply.end[0].startswith("250")
    [got] = alpha.outside.wait(1)
    assert got.sender == ANNA
    assert got.recipients == ("olga@out.example",)
    assert CANARY not in got.octets
    assert got.fields("Subject") == ["Offer"]
    assert got.fields("From") == [ANNA]
    assert "enveloped-data" in got.fields("Content-Type")[0]
    signed = openssl.decrypt(got.octets, people().olga)
    assert CANARY in openssl.verify(signed, people().root)
    assert not openssl.can_decrypt(got.octets, people().stranger)


def test_mail_to_an_elliptic_curve_recipient(alpha: Site) -> None:
    send(
        alpha.postfix.submission,
        "bert@alpha.example",
        ["otto@out.example"],
        mail("bert@alpha.example", "otto@out.example"),
    )

    [got] = alpha.outside.wait(1)
    assert CANARY not in got.octets
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().otto), people().root)


def test_an_attachment_comes_out_octet_for_octet(alpha: Site) -> None:
    blob = bytes(range(256)) * 40
    part = (
        b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n'
        b"--=_b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + openssl.crlf(
            openssl.run("base64", given=blob)
        ) + b"--=_b--\r\n"
    )  # fmt: skip
    header = f"From: {ANNA}\r\nTo: olga@out.example\r\nSubject: file\r\nMIME-Version: 1.0\r\n".encode()

    send(alpha.postfix.submission, ANNA, ["olga@out.example"], header + part)

    [got] = alpha.outside.wait(1)
    inner = openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)
    assert inner.strip() == part.strip()


def test_without_a_certificate_it_is_only_signed(alpha: Site) -> None:
    send(alpha.postfix.submission, ANNA, ["nora@out.example"], mail(ANNA, "nora@out.example"))

    [got] = alpha.outside.wait(1)
    assert "multipart/signed" in got.fields("Content-Type")[0]
    assert CANARY in openssl.verify(got.octets, people().root)


def test_the_subject_trigger_makes_encryption_mandatory_and_goes(alpha: Site) -> None:
    send(
        alpha.postfix.submission, ANNA, ["olga@out.example"], mail(ANNA, "olga@out.example", subject="[encrypt] Offer")
    )

    [got] = alpha.outside.wait(1)
    assert got.fields("Subject") == ["Offer"]
    assert CANARY not in got.octets


def test_encrypted_mail_is_left_alone(alpha: Site) -> None:
    inner = openssl.encrypt(entity(), [people().stranger])
    sent = f"From: {ANNA}\r\nTo: olga@out.example\r\nSubject: own\r\n".encode() + inner

    send(alpha.postfix.submission, ANNA, ["olga@out.example"], sent)

    [got] = alpha.outside.wait(1)
    assert got.body == sent.partition(b"\r\n\r\n")[2]


def test_mail_from_outside_is_never_signed_as_anna(alpha: Site, outsider: Client) -> None:
    """The outside listener hands in mail with an inside From: nothing of hers may be done for it."""
    outsider.send(ANNA, ["nora@out.example"], mail(ANNA, "nora@out.example"))

    [got] = alpha.outside.wait(1)
    assert "multipart/signed" not in got.header.decode()


def test_the_log_tells_what_happened(alpha: Site) -> None:
    sent = mail(ANNA, "olga@out.example", subject="Logged")

    send(alpha.postfix.submission, ANNA, ["olga@out.example"], sent)

    alpha.outside.wait(1)
    rows = alpha.gateway.wait_for_log(1, "--recipient", "olga@out.example")
    assert "signed+encrypted" in str(rows)
