"""Postfix in front and behind, and everything that can go wrong around it: nothing is lost, nothing gets out in clear.

Back-off is two seconds here, so what waits comes by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from harness import openssl
from harness.client import Client, send
from harness.folder import free_port
from harness.mail import CANARY, entity, envelope_header, mail
from harness.routes import set_routes
from harness.site import Site, people, site

ANNA, OLGA, SARA, NILS = "anna@alpha.example", "olga@out.example", "sara@secret.example", "nils@secret.example"
LATER, NORA = "lars@later.example", "nora@out.example"
SECONDS = 90
MAILS = 24

NDR = """\
From: Microsoft Exchange <postmaster@alpha.example>\r
To: {to}\r
Subject: Undeliverable: Quarterly numbers\r
Message-ID: <ndr.{number}@exchange.alpha.example>\r
Content-Language: en-US\r
X-MS-Exchange-Message-Is-Ndr:\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="_outer_"\r
\r
--_outer_\r
Content-Type: multipart/alternative; differences=Content-Type; boundary="_inner_"\r
\r
--_inner_\r
Content-Type: text/plain; charset="us-ascii"\r
\r
Delivery has failed to these recipients: anna@alpha.example\r
--_inner_\r
Content-Type: text/html; charset="us-ascii"\r
\r
<html><body>Delivery has failed</body></html>\r
--_inner_--\r
--_outer_\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns;exchange.alpha.example\r
\r
Final-recipient: RFC822;anna@alpha.example\r
Action: failed\r
Status: 5.2.2\r
\r
--_outer_\r
Content-Type: message/rfc822\r
\r
{original}\r
--_outer_--\r
"""


@pytest.fixture(scope="module")
def between(need_postfix: None) -> Iterator[Site]:
    with site("between", through_postfix=True) as made:
        set_routes(made.gateway, {"later.example": [f"smtp://127.0.0.1:{free_port()}"]})  # nobody listens there
        yield made


@pytest.fixture
def alpha(between: Site) -> Site:
    between.clear()
    return between


def sealed(sender: str = OLGA) -> bytes:
    return envelope_header(sender, ANNA) + openssl.encrypt(entity(), [people().anna])


def test_each_recipient_is_sent_deferred_or_bounced_alone(alpha: Site) -> None:
    alpha.postfix.forget_log()
    send(alpha.postfix.submission, ANNA, [SARA, NILS, LATER], mail(ANNA, f"{SARA}, {NILS}, {LATER}"))

    for recipient, status in ((SARA, "sent"), (NILS, "bounced"), (LATER, "deferred")):
        line = alpha.postfix.wait_for_log(f"to=<{recipient}>, relay=postfix.test", seconds=SECONDS)
        assert f"status={status}" in line, line
    [got] = alpha.outside.wait(1, seconds=SECONDS)
    assert (got.recipients, CANARY in got.octets) == ((SARA,), False)
    [bounce] = alpha.inside.wait(1, seconds=SECONDS)
    assert NILS.encode() in bounce.body
    assert f"Final-Recipient: rfc822; {SARA}".encode() not in bounce.body
    assert CANARY not in bounce.octets

    set_routes(alpha.gateway, {"later.example": [f"smtp://127.0.0.1:{alpha.outside.port}"]})
    got = alpha.outside.wait(2, seconds=SECONDS)[1]
    assert got.recipients == (LATER,), "who has it already does not get it again"
    alpha.postfix.wait_until_empty(seconds=SECONDS)
    assert len(alpha.outside.mails) == 2
    assert len(alpha.inside.mails) == 1


@pytest.mark.parametrize("stage", ["rcpt", "end of data"])
def test_opened_mail_that_the_inner_server_refuses(alpha: Site, stage: str) -> None:
    if stage == "rcpt":
        alpha.inside.rcpt_replies[ANNA] = "550 5.2.2 mailbox full"
    else:
        alpha.inside.data_reply = "554 5.7.1 content refused"
    send(alpha.postfix.mx, OLGA, [ANNA], sealed(), parameters="RET=FULL ENVID=x")

    [bounce] = alpha.outside.wait(1, seconds=SECONDS)
    assert (bounce.sender, bounce.recipients) == ("", (OLGA,))
    assert CANARY not in bounce.octets
    assert b"For your eyes" not in bounce.octets


@pytest.mark.parametrize("encoding", ["as it is", "base64"])
def test_a_report_by_the_inner_server_that_quotes_opened_mail(alpha: Site, encoding: str) -> None:
    """Exchange accepts a mail and reports later, with all of the mail in its report; Nora has no certificate."""
    send(alpha.postfix.mx, NORA, [ANNA], sealed(NORA))
    [opened] = alpha.inside.wait(1, seconds=SECONDS)
    assert CANARY in opened.body
    original = opened.octets.decode()
    report = NDR.format(to=NORA, number=encoding[0], original=original)
    if encoding == "base64":  # RFC 6533 §3: a message may be carried so
        text = base64.encodebytes(opened.octets).decode().replace("\n", "\r\n")
        kind = "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        report = report.replace(f"Content-Type: message/rfc822\r\n\r\n{original}", kind + text)
    send(alpha.postfix.submission, "", [NORA], report.encode())

    [got] = alpha.outside.wait(1, seconds=SECONDS)
    assert got.sender == ""
    assert CANARY not in got.octets
    if encoding == "base64":
        assert text[:400].encode() not in got.octets
    assert b"Delivery has failed to these recipients" in got.octets, "what the report itself says goes on"


def test_a_null_sender_from_outside_reaches_anna(alpha: Site) -> None:
    send(alpha.postfix.mx, "", [ANNA], mail("mailer-daemon@out.example", ANNA, subject="Returned mail"))

    [got] = alpha.inside.wait(1, seconds=SECONDS)
    assert (got.sender, got.recipients) == ("", (ANNA,))


def test_mail_waits_while_mailseal_is_down(alpha: Site) -> None:
    alpha.gateway.stop()
    said = send(alpha.postfix.submission, ANNA, [SARA], mail(ANNA, SARA))
    assert said.end[0].startswith("250"), "Postfix keeps it"
    send(alpha.postfix.mx, OLGA, [ANNA], sealed())
    alpha.postfix.forget_log()
    alpha.postfix.wait_for_log(f"to=<{SARA}>", seconds=SECONDS)
    assert not alpha.outside.mails
    assert not alpha.inside.mails

    alpha.gateway.start(seconds=SECONDS)
    [out] = alpha.outside.wait(1, seconds=SECONDS)
    [into] = alpha.inside.wait(1, seconds=SECONDS)
    assert CANARY not in out.octets
    assert CANARY in into.body


def test_postfix_restarts_while_mail_flows(alpha: Site) -> None:
    """Twice, in the middle; what a client was not told 250 of it sends again."""
    wanted = set()
    for number in range(MAILS):
        if number in (MAILS // 3, 2 * MAILS // 3):
            alpha.postfix.stop()
            alpha.postfix.start()
        subject = f"number {number}."
        wanted.add(subject)
        with Client(alpha.postfix.submission) as client:
            said = client.send(ANNA, [SARA], mail(ANNA, SARA, subject=subject))
        assert said.end[0].startswith("250"), said

    def complete(kept: list[object]) -> bool:
        return {one.fields("Subject")[0] for one in kept} == wanted

    kept = alpha.outside.wait_for(complete, "every mail", seconds=SECONDS)
    assert not any(CANARY in one.octets for one in kept)
    alpha.postfix.wait_until_empty(seconds=SECONDS)
    assert not alpha.inside.mails, "nobody is told of a failure"
