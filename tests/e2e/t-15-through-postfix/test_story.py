"""As it is run: Postfix in front and behind. Retries, bounces and DSN are Postfix's; none of them quotes a body."""

import contextlib
from collections.abc import Iterator

import pytest

from harness import openssl
from harness.client import Client, send
from harness.mail import CANARY, entity, envelope_header, mail
from harness.site import Site, people, private_site
from harness.waiting import wait_until

ANNA, OLGA = "anna@alpha.example", "olga@out.example"


@pytest.fixture(scope="module")
def loop(need_postfix: None) -> Iterator[Site]:
    with private_site("loop") as made:
        yield made


@pytest.fixture
def alpha(loop: Site) -> Site:
    loop.clear()
    return loop


def test_out(alpha: Site) -> None:
    send(alpha.postfix.submission, ANNA, [OLGA], mail(ANNA, OLGA))

    [got] = alpha.outside.wait(1)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)
    received = got.fields("Received")
    assert len(received) == 3
    assert "Mailseal" in received[1]


def test_in(alpha: Site) -> None:
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(openssl.sign(entity(), people().olga), [people().anna])

    send(alpha.postfix.mx, OLGA, [ANNA], wire)

    [got] = alpha.inside.wait(1)
    assert CANARY in got.body
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]


def test_a_refusal_behind_us_bounces_to_anna_without_the_body(alpha: Site) -> None:
    alpha.outside.rcpt_replies[OLGA] = "550 5.1.1 no such user"

    send(alpha.postfix.submission, ANNA, [OLGA], mail(ANNA, OLGA), parameters="RET=FULL")

    [bounce] = alpha.inside.wait(1)
    assert (bounce.sender, bounce.recipients) == ("", (ANNA,))
    assert OLGA.encode() in bounce.body
    assert CANARY not in bounce.octets
    assert b"text/rfc822-headers" in bounce.body


def test_opened_mail_that_bounces_does_not_take_its_text_outside(alpha: Site) -> None:
    """Covert content: what we opened for Anna must not come back to Olga, or to who pretends to be her."""
    alpha.inside.rcpt_replies[ANNA] = "550 5.2.2 mailbox full"
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])

    send(alpha.postfix.mx, OLGA, [ANNA], wire, parameters="RET=FULL")

    [bounce] = alpha.outside.wait(1)
    assert (bounce.sender, bounce.recipients) == ("", (OLGA,))
    assert CANARY not in bounce.octets


def test_a_success_report_comes_once_and_from_the_end(alpha: Site) -> None:
    """DSN goes through us to Postfix behind: no success report while the mail is still on its way.

    The gateway was up before Postfix, so it asked for DSN in vain at first, and asks again.
    """
    _wait_until_dsn_is_announced(alpha)
    with Client(alpha.postfix.submission) as client:
        client.send(ANNA, [OLGA], mail(ANNA, OLGA), recipient_parameters="NOTIFY=SUCCESS")

    [got] = alpha.outside.wait(1)
    assert "NOTIFY=SUCCESS" in got.recipient_parameters[0]
    alpha.postfix.wait_until_empty()
    assert not alpha.inside.mails, "the last hop takes DSN, so the report is its to make"


def _wait_until_dsn_is_announced(alpha: Site) -> None:
    def do_all_announce_it() -> bool:
        with contextlib.ExitStack() as stack:  # who has more connections leaves new ones to the other: each has some
            clients = [stack.enter_context(Client(path=alpha.postfix.lmtp_authorised, lmtp=True)) for _ in range(8)]
            return all(any(line[4:] == "DSN" for line in client.features) for client in clients)

    wait_until(do_all_announce_it, lambda: "DSN is not announced", every=0.2)
