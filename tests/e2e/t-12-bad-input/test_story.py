"""Input that is broken, hostile or too much: a clear reply or a delivery as it came, and the gateway goes on."""

import pytest

from harness import openssl
from harness.client import Client
from harness.mail import CANARY, entity, envelope_header, mail, without_trace
from harness.site import Site, people

OLGA, ANNA, NILS, SARA = "olga@out.example", "anna@alpha.example", "nils@secret.example", "sara@secret.example"


def test_a_bare_line_feed_is_refused(alpha: Site, outsider: Client) -> None:
    reply = outsider.send(OLGA, [ANNA], mail(OLGA, ANNA, body=b"one\ntwo\r\n"))

    assert reply.end[0].startswith("550 5.5.2")
    assert not alpha.inside.mails


def test_nul_octets(alpha: Site, outsider: Client) -> None:
    octets = mail(OLGA, ANNA, body=b"a\0b\r\n")

    reply = outsider.send(OLGA, [ANNA], octets)

    assert reply.end[0][:3] in {"250", "554"}
    if reply.end[0].startswith("250"):
        assert without_trace(alpha.inside.wait(1)[0].octets) == octets


def test_a_header_without_end_is_refused_in_words(outsider: Client) -> None:
    octets = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 900) for number in range(600)) + b"\r\nbody\r\n"

    reply = outsider.send(OLGA, [ANNA], octets)

    assert reply.end[0].startswith("554 5.6.0")


def test_unreadable_structure_that_must_be_protected_is_never_sent_in_clear(alpha: Site, authorised: Client) -> None:
    octets = mail(ANNA, SARA, fields="Content-Type: multipart/mixed; boundary=a\r\n")

    reply = authorised.send(ANNA, [SARA], octets)

    assert reply.end[0][:3] in {"250", "550", "554"}
    for copy in alpha.outside.mails:
        assert CANARY not in copy.octets


@pytest.mark.parametrize("harm", ["cut", "flip", "not base64", "empty", "not CMS"])
def test_corrupt_cms_is_delivered_as_it_came_with_a_reason(alpha: Site, outsider: Client, harm: str) -> None:
    good = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])
    head, _, body = good.partition(b"\r\n\r\n")
    octets = head + b"\r\n\r\n" + {
        "cut": body[: len(body) // 2 // 66 * 66],
        "flip": body[:900].replace(b"A", b"B") + body[900:],
        "not base64": b"%%%% this is not base64 %%%%\r\n",
        "empty": b"",
        "not CMS": b"aGVsbG8gd29ybGQ=\r\n",
    }[harm]  # fmt: skip

    reply = outsider.send(OLGA, [ANNA], octets)

    assert reply.end[0].startswith("250"), reply
    [got] = alpha.inside.wait(1)
    assert got.body == octets.partition(b"\r\n\r\n")[2]
    assert got.fields("X-Mailseal-Decrypted") == ["no"]
    assert "reason=" in got.fields("X-Mailseal-Layer-1")[0]


def test_too_many_layers(alpha: Site, outsider: Client) -> None:
    content = entity()
    for _ in range(14):
        content = openssl.sign(content, people().olga, opaque=True)
    octets = envelope_header(OLGA, ANNA) + content

    reply = outsider.send(OLGA, [ANNA], octets)

    assert reply.end[0].startswith("250"), reply
    [got] = alpha.inside.wait(1)
    assert b"too-deep" in got.header


def test_a_mail_that_goes_round_in_a_loop_is_refused(outsider: Client) -> None:
    octets = b"Received: from a by b; Mon, 02 Mar 2026 10:00:00 +0000\r\n" * 60 + mail(OLGA, ANNA)

    assert outsider.send(OLGA, [ANNA], octets).end[0].startswith("554 5.4.6")


def test_wrong_password_of_a_pkcs12_file(alpha: Site) -> None:
    p12 = alpha.folder / "x.p12"
    p12.write_bytes(people().stranger.p12(b"right"))
    password = alpha.folder / "x.password"
    password.write_text("wrong")

    done = alpha.gateway.run("cert", "import", str(p12), "--password-file", str(password))

    assert done.returncode != 0
    assert "password" in done.stderr
    assert "Traceback" not in done.stderr
