"""Somebody holds the database: mail that must write waits (451), none is lost or in clear."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from harness import openssl
from harness.client import send
from harness.mail import CANARY, mail
from harness.site import Site, people

ANNA, BERT, SARA, OLGA = "anna@alpha.example", "bert@alpha.example", "sara@secret.example", "olga@out.example"


@contextmanager
def locked(alpha: Site) -> Iterator[None]:
    with closing(sqlite3.connect(alpha.gateway.data / "mailseal.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def test_a_mail_with_several_effects_waits_and_is_not_doubled(alpha: Site) -> None:
    with locked(alpha):
        send(alpha.postfix.submission, ANNA, [BERT, OLGA, SARA], mail(ANNA, f"{BERT}, {OLGA}", subject="held"))
        line = alpha.postfix.wait_for_log("status=deferred")
    assert " 451 " in line

    copies = alpha.outside.wait_for(
        lambda kept: {one for copy in kept for one in copy.recipients} >= {OLGA, SARA}, "both copies"
    )
    alpha.postfix.wait_until_empty()
    assert all(CANARY not in copy.octets for copy in copies)
    assert openssl.can_decrypt(next(copy for copy in copies if copy.recipients == (SARA,)).octets, people().sara)
    assert len(alpha.inside.mails) == 1


def test_log_rows_wait_in_the_journal(alpha: Site) -> None:
    before = len(alpha.gateway.log("--recipient", OLGA))
    with locked(alpha):
        send(alpha.postfix.submission, ANNA, [OLGA], mail(ANNA, OLGA))
        alpha.outside.wait(1)

    alpha.gateway.wait_for_log(before + 1, "--recipient", OLGA)
