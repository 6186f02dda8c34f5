"""The next hop is down, slow, refuses one of three, or drops the line after DATA. Nothing is lost, nothing leaks."""

from harness import openssl
from harness.client import Client, send
from harness.mail import CANARY, mail
from harness.site import Site, people

ANNA = "anna@alpha.example"
BERT, OLGA, OTTO, SARA = "bert@alpha.example", "olga@out.example", "otto@out.example", "sara@secret.example"


def test_down_means_later_not_lost(alpha: Site, authorised: Client) -> None:
    alpha.outside.down()
    reply = authorised.send(ANNA, [BERT, OLGA], mail(ANNA, f"{BERT}, {OLGA}"))
    assert reply.end[0].startswith("250")
    assert reply.end[1].startswith("451")

    send(alpha.postfix.submission, ANNA, [OLGA], mail(ANNA, OLGA, subject="waits"))
    alpha.postfix.wait_for_log("status=deferred")
    alpha.outside.up()

    [got] = alpha.outside.wait(1)
    assert got.fields("Subject") == ["waits"]
    assert CANARY not in got.octets


def test_it_refuses_one_of_three(alpha: Site, authorised: Client) -> None:
    alpha.outside.rcpt_replies[OTTO] = "550 5.1.1 no such user"

    reply = authorised.send(ANNA, [OLGA, OTTO, SARA], mail(ANNA, f"{OLGA}, {OTTO}, {SARA}"))

    assert [one[:3] for one in reply.end] == ["250", "550", "250"]
    assert "5.1.1" in reply.end[1]
    assert {one for copy in alpha.outside.wait(1) for one in copy.recipients} == {OLGA, SARA}


def test_it_defers_one_of_two_and_takes_it_later(alpha: Site) -> None:
    alpha.outside.rcpt_replies[OTTO] = "450 4.2.0 mailbox busy"

    send(alpha.postfix.submission, ANNA, [OLGA, OTTO], mail(ANNA, f"{OLGA}, {OTTO}"))
    alpha.postfix.wait_for_log(f"to=<{OTTO}>, relay=postfix.test[mailseal/lmtp-authorised]")
    assert [copy.recipients for copy in alpha.outside.wait(1)] == [(OLGA,)]
    alpha.outside.rcpt_replies.clear()

    copies = alpha.outside.wait(2)
    assert sorted(copy.recipients for copy in copies) == [(OLGA,), (OTTO,)]
    assert openssl.can_decrypt(copies[-1].octets, people().otto)


def test_it_refuses_the_content(alpha: Site, authorised: Client) -> None:
    alpha.outside.data_reply = "554 5.7.1 we do not like this"

    reply = authorised.send(ANNA, [BERT, OLGA], mail(ANNA, f"{BERT}, {OLGA}"))

    assert reply.end[0].startswith("250")
    assert reply.end[1].startswith("554 5.7.1")


def test_it_drops_the_line_after_data(alpha: Site) -> None:
    """Whether it has the mail is unknown, so Postfix tries again: one more copy, never none."""
    alpha.outside.drops_after_data = 1

    send(alpha.postfix.submission, ANNA, [BERT, OLGA], mail(ANNA, f"{BERT}, {OLGA}"))

    copies = alpha.outside.wait(2)
    assert [copy.recipients for copy in copies] == [(OLGA,), (OLGA,)]
    assert all(CANARY not in copy.octets for copy in copies)
    alpha.postfix.wait_until_empty()
    assert len(alpha.inside.mails) == 1, "what was settled is not done again"


def test_it_is_slow(alpha: Site, authorised: Client) -> None:
    alpha.outside.data_delay_seconds = 2.0

    reply = authorised.send(ANNA, [BERT, OLGA], mail(ANNA, f"{BERT}, {OLGA}"))

    assert [one[:3] for one in reply.end] == ["250", "250"]
    assert len(alpha.outside.mails) == 1
