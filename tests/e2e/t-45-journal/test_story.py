"""Exchange journals what Anna and Carl get; the archive has it readable, and what cannot be opened is not lost.

Reports come through Postfix, as from a server of the own networks; the archive is a mailbox behind the inner server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import openssl, pgp_mime
from harness.client import Client, send
from harness.gateway import P12_PASSWORD
from harness.gpg import Gpg
from harness.mail import CANARY, entity, envelope_header, without_trace
from harness.sink import Transaction
from harness.site import Site, people, site
from harness.waiting import wait_until
from journal_mails import facts, report, returned
from pgp_keys import PgpIdentity, pgp_key

EXCHANGE = "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e@alpha.example"
ANNA, BERT, CARL, OLGA = "anna@alpha.example", "bert@alpha.example", "carl@alpha.example", "olga@out.example"
JOURNAL, KEEP, ARCHIVE = "journal@alpha.example", "keep@alpha.example", "archive@alpha.example"
PASSWORD = P12_PASSWORD.decode()


@pytest.fixture(scope="module")
def annas_key() -> PgpIdentity:
    return pgp_key(f"Anna <{ANNA}>", expires_after=None)


@pytest.fixture(scope="module")
def running(need_postfix: None, annas_key: PgpIdentity) -> Iterator[Site]:
    with site("journal", start=False) as made:
        gateway = made.gateway
        gateway.type(
            f"pgp import {gateway.file('anna.pgp', annas_key.locked(PASSWORD))}"
            f" --password-file {gateway.file('password', P12_PASSWORD)}",
            f"journal add {JOURNAL} --archive {ARCHIVE}",
            f"journal add {KEEP} --archive {ARCHIVE} --on-failure keep",
        )
        gateway.start()
        yield made


@pytest.fixture
def alpha(running: Site) -> Site:
    running.clear()
    return running


def smime(to: str, *readers: object) -> bytes:
    return envelope_header(OLGA, to) + openssl.encrypt(openssl.sign(entity(), people().olga), list(readers))


def about(inner: bytes, *recipients: str) -> bytes:
    return report(facts(OLGA, *recipients), inner, to=JOURNAL)


def journalled(alpha: Site, raw: bytes, to: str = JOURNAL, sender: str = "") -> Transaction:
    """Exchange hands the report in, from a network that is authorised; what the archive gets."""
    send(alpha.postfix.submission, sender, [to], raw)
    [got] = alpha.inside.wait(1)
    assert got.recipients == (ARCHIVE,)
    return got


def body_of(octets: bytes) -> tuple[bytes, bytes]:
    """What stands before the mail in a report, and the mail with what comes behind it."""
    before, mark, after = without_trace(octets).partition(b"Content-Type: message/rfc822\r\n\r\n")
    assert mark
    return before, after


def test_smime_is_opened_and_what_exchange_wrote_stays(alpha: Site) -> None:
    raw = about(smime(ANNA, people().anna), ANNA, "Bcc: team-member@alpha.example, Expanded: team@alpha.example")
    got = journalled(alpha, raw, sender=EXCHANGE)

    assert got.sender == EXCHANGE
    assert "RET=HDRS" in got.parameters
    before, mail = body_of(got.octets)
    assert before == body_of(raw)[0], "header and envelope part, octet by octet"
    assert CANARY in mail
    assert b"X-Mailseal-Decrypted: yes\r\n" in mail
    assert b"X-Mailseal-Signed-By-Sender: yes\r\n" in mail
    assert CANARY in openssl.verify(mail.partition(b"\r\n--_000_")[0], people().root), "the signature is there still"
    [row] = alpha.gateway.wait_for_log(1, "--recipient", JOURNAL)
    assert (row["fate"], row["treatment"], row["direction"]) == ("relayed", "opened", "in")
    assert f"for the archive {ARCHIVE}" in row["reasons"][0]


def test_openpgp_is_opened(alpha: Site, annas_key: PgpIdentity) -> None:
    with Gpg(at=None) as gpg:
        gpg.run("--import", given=annas_key.octets)
        armored = gpg.encrypt(entity(), ANNA, options=("--armor",))
    inner = pgp_mime.mail(OLGA, ANNA, pgp_mime.encrypted(armored))
    raw = about(inner, f"Recipient: {ANNA}")
    assert CANARY not in raw

    got = journalled(alpha, raw)

    before, mail = body_of(got.octets)
    assert before == body_of(raw)[0]
    assert CANARY in mail
    assert got.sender == ""


def test_a_report_that_came_back_to_the_alternate_mailbox(alpha: Site) -> None:
    got = journalled(alpha, returned(about(smime(ANNA, people().anna), ANNA)))
    assert CANARY in got.octets
    assert b"Action: failed\r\n" in got.octets


def test_clear_mail_comes_as_it_was(alpha: Site) -> None:
    raw = about(envelope_header(OLGA, ANNA) + b"MIME-Version: 1.0\r\n" + entity(), ANNA)
    assert without_trace(journalled(alpha, raw).octets) == raw


def test_by_the_keys_of_those_whom_the_report_names_only(alpha: Site) -> None:
    """Anna's captured mail in a report about mail of Bert."""
    raw = about(smime(ANNA, people().anna), BERT)
    got = journalled(alpha, raw)
    assert without_trace(got.octets) == raw
    [failure, *_] = alpha.gateway.rows("journal", "failures", "--journal", JOURNAL)
    assert failure["state"] == "passed on"
    assert "none of the keys" in " ".join(failure["why"])


def test_a_report_from_outside_is_not_opened(alpha: Site) -> None:
    raw = about(smime(ANNA, people().anna), ANNA)
    with Client(path=alpha.postfix.lmtp_outside, lmtp=True) as stranger:
        answer = stranger.send("mallory@evil.example", [JOURNAL], raw)
    assert answer.end[0].startswith("550 5.7.1"), answer

    send(alpha.postfix.mx, "mallory@evil.example", [JOURNAL], raw)

    [bounce] = alpha.outside.wait(1)
    assert bounce.recipients == ("mallory@evil.example",)
    assert CANARY not in bounce.octets
    assert not alpha.inside.mails


def test_what_cannot_be_opened_is_kept_until_the_key_is_there(alpha: Site) -> None:
    carl = people().issue(CARL, key="p256")
    raw = about(smime(CARL, carl), CARL)
    with Client(path=alpha.postfix.lmtp_authorised, lmtp=True) as exchange:
        assert exchange.send("", [KEEP], raw).end == ("250 2.0.0 accepted; kept here",)
    gateway = alpha.gateway
    [kept] = gateway.rows("journal", "failures", "--kept")
    assert (kept["journal"], kept["state"], kept["tries"]) == (KEEP, "kept", 0)
    assert gateway.run("journal", "remove", KEEP, "--yes").returncode == 1
    refused = gateway.run("journal", "add", "j@alpha.example", "--archive", "us@archive.example")
    assert (refused.returncode, "--outside" in refused.stderr) == (1, True)
    assert "journaling" in gateway.run("check").stdout
    [row] = gateway.wait_for_log(1, "--recipient", KEEP)
    assert row["fate"] == "kept"

    assert gateway.rows("journal", "retry", kept["id"]) == {"reports": 1, "to_be_tried": 1}
    wait_until(lambda: gateway.rows("journal", "show", kept["id"])["tries"] == 1)
    assert not alpha.inside.mails

    gateway.import_certificates([people().issuing], own=[carl])
    gateway.cli("journal", "retry", "--all")

    [got] = alpha.inside.wait(1)
    assert got.recipients == (ARCHIVE,)
    before, mail = body_of(got.octets)
    assert before == body_of(raw)[0]
    assert CANARY in mail
    wait_until(lambda: gateway.rows("journal", "show", kept["id"])["state"] == "sent on")
    assert gateway.rows("journal", "failures", "--kept") == []


def test_what_nobody_can_open_goes_to_the_archive_as_it_came(alpha: Site) -> None:
    raw = about(smime(ANNA, people().stranger), ANNA)
    with Client(path=alpha.postfix.lmtp_authorised, lmtp=True) as exchange:
        exchange.send("", [KEEP], raw)
    [kept] = alpha.gateway.rows("journal", "failures", "--kept")
    alpha.gateway.cli("journal", "retry", kept["id"], "--as-it-came")

    [got] = alpha.inside.wait(1)
    assert without_trace(got.octets) == raw
