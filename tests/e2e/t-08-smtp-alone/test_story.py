"""Without Postfix: plain SMTP with its one reply for all. Who is authorised is decided by the client's network."""

import time

from harness import openssl
from harness.client import Client, send
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink
from harness.site import INSIDE, people
from harness.waiting import PATIENCE_SECONDS, wait_until

ANNA, BERT, OLGA, NORA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "nora@out.example"
SARA, NILS = "sara@secret.example", "nils@secret.example"
OUTSIDE = "127.0.0.9"

Smtp = tuple[Gateway, int, Sink, Sink]


def test_outgoing(smtp: Smtp) -> None:
    _, port, _, outside = smtp

    reply = send(port, ANNA, [OLGA], mail(ANNA, OLGA))

    assert reply.end[0].startswith("250")
    [got] = outside.wait(1)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)


def test_incoming(smtp: Smtp) -> None:
    _, port, inside, _ = smtp
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(openssl.sign(entity(), people().olga), [people().anna])

    reply = send(port, OLGA, [ANNA], wire, source=OUTSIDE)

    assert reply.end[0].startswith("250")
    [got] = inside.wait(1)
    assert CANARY in got.body
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]


def test_another_network_can_neither_sign_as_anna_nor_use_us_as_a_relay(smtp: Smtp) -> None:
    _, port, inside, outside = smtp

    reply = send(port, ANNA, [NORA], mail(ANNA, NORA), source=OUTSIDE)

    assert reply.end[0].startswith("550 5.7.1"), reply
    assert not inside.mails + outside.mails


def test_all_refused_is_that_5xx(smtp: Smtp) -> None:
    _, port, inside, outside = smtp

    reply = send(port, ANNA, [NILS], mail(ANNA, NILS))

    assert reply.end[0].startswith("550 5.7.1")
    assert "must be encrypted" in reply.end[0]
    assert not inside.mails + outside.mails


def test_some_refused_is_250_and_one_report_without_the_body(smtp: Smtp) -> None:
    _, port, inside, outside = smtp

    reply = send(port, ANNA, [SARA, NILS, BERT], mail(ANNA, f"{SARA}, {NILS}, {BERT}"))

    assert reply.end[0].startswith("250")
    assert [one.recipients for one in outside.wait(1)] == [(SARA,)]
    got = {one.recipients: one for one in inside.wait(2)}
    assert set(got) == {(BERT,), (ANNA,)}
    report = got[ANNA,]
    assert report.sender == ""
    assert NILS.encode() in report.body
    assert "multipart/report" in report.fields("Content-Type")[0]
    assert CANARY not in report.octets


def test_no_report_to_the_null_sender(smtp: Smtp) -> None:
    _, port, inside, _ = smtp
    # Two domains that refuse differently: the null sender gets 250 for what went, and nothing comes back.
    reply = send(port, "", [BERT, NILS], mail("", f"{BERT}, {NILS}"))

    assert reply.end[0].startswith("250")
    assert [one.recipients for one in inside.wait(1)] == [(BERT,)]
    assert not [one for one in inside.mails if one.recipients == ("",)]


def test_any_deferred_is_451_and_what_was_settled_is_not_repeated(smtp: Smtp) -> None:
    _, port, inside, outside = smtp
    octets = mail(ANNA, f"{BERT}, {OLGA}")
    outside.down()

    first = send(port, ANNA, [BERT, OLGA], octets)
    outside.up()
    second = send(port, ANNA, [BERT, OLGA], octets)

    assert first.end[0].startswith("451")
    assert second.end[0].startswith("250")
    assert [one.recipients for one in outside.wait(1)] == [(OLGA,)]
    assert [one.recipients for one in inside.mails] == [(BERT,)]


def test_a_next_hop_slower_than_the_deadline_is_451() -> None:
    octets, port = mail(ANNA, f"{BERT}, {OLGA}"), free_port()
    with short_folder("hurried") as folder, Sink() as inside, Sink() as outside:
        tables = {
            "listen": {"smtp": f"127.0.0.1:{port}", "smtp_authorised_networks": ["127.0.0.1/32"]},
            "relay": {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"},
            "limits": {"deadline_seconds": 3},
        }
        with Gateway(folder / "mailseal", **tables) as gateway:
            gateway.init(INSIDE)
            gateway.start()
            outside.data_delay_seconds = PATIENCE_SECONDS
            began = time.monotonic()

            reply = send(port, ANNA, [BERT, OLGA], octets)

            assert reply.end[0].startswith("451"), reply
            assert time.monotonic() - began < PATIENCE_SECONDS
            outside.data_delay_seconds = 0.0
            wait_until(lambda: send(port, ANNA, [BERT, OLGA], octets).end[0].startswith("250"))
            assert [one.recipients for one in inside.mails] == [(BERT,)]
            outside.clear()  # it still waits


def test_an_identical_later_mail_is_a_new_mail(smtp: Smtp) -> None:
    _, port, inside, outside = smtp
    octets = mail(ANNA, f"{BERT}, {OLGA}")

    for _ in range(2):
        assert send(port, ANNA, [BERT, OLGA], octets).end[0].startswith("250")

    assert len(inside.mails) == 2
    assert len(outside.mails) == 2


def test_no_smuggling(smtp: Smtp) -> None:
    """Only CRLF.CRLF ends the data; bare line feeds are refused."""
    _, port, inside, outside = smtp
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n"):
        smuggled = (
            mail(OLGA, BERT) + end + b"MAIL FROM:<ceo@alpha.example>\r\nRCPT TO:<bert@alpha.example>\r\nDATA\r\nx\r\n"
        )
        with Client(port, source=OUTSIDE) as client:
            for command in (f"MAIL FROM:<{OLGA}>", f"RCPT TO:<{BERT}>", "DATA"):
                client.command(command)
            client.socket.sendall(smuggled + b".\r\n")
            assert client.reply().startswith("550 5.5.2")
            assert client.command("NOOP").startswith("250")
    assert not inside.mails + outside.mails
