"""What a mail says decides whether it goes, goes encrypted, is held or comes back; through Postfix, per recipient."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from harness import openssl
from harness.client import Client, send
from harness.folder import free_port
from harness.mail import CANARY, mail
from harness.sink import Transaction
from harness.site import Site, people, private_site
from harness.waiting import wait_until

ANNA, BERT, OLGA, NORA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "nora@out.example"
MANAGER = "dlp@alpha.example"
CARD = "5105 1051 0510 5100"
"""One of the numbers that are for tests."""


@pytest.fixture(scope="module")
def running(need_postfix: None) -> Iterator[Site]:
    with private_site("dlp", metrics={"listen": f"127.0.0.1:{free_port()}"}) as made:
        made.gateway.type(
            "dlp pattern add merger --keyword merger --action warn",
            "dlp pattern add salary --keyword salar* --action must-encrypt",
            "dlp pattern add card --expression \\d(?:[\\s-]?\\d){12,18} --validator card --action quarantine",
            "dlp pattern add blueprint --keyword blueprint --action block",
            "dlp pattern add address --keyword address --action quarantine --delayed",
            "dlp pattern add competitor --keyword competitor --action block",
            "dlp assign merger salary card blueprint address --global",
            "dlp assign competitor --address nora@out.example",
            f"settings set dlp_managers {MANAGER}",
        )
        made.gateway.wait_until_noticed()
        yield made


@pytest.fixture
def site(running: Site) -> Site:
    running.clear()
    return running


def hand_in(site: Site, to: list[str], text: str, *, subject: str = "News", fields: str = "", body: bytes = b"") -> str:
    """From Anna; the Message-ID."""
    octets = mail(ANNA, to[0], subject=subject, body=f"{text}\r\n".encode() + CANARY + b"\r\n")
    if body:
        octets = octets.partition(b"MIME-Version")[0] + fields.encode() + b"MIME-Version: 1.0\r\n" + body
    send(site.postfix.submission, ANNA, to, octets)
    return octets.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()


def log(site: Site, message_id: str, count: int = 1) -> list[dict[str, Any]]:
    return site.gateway.wait_for_log(count, "--message-id", message_id)


def bounce(site: Site, failed: str) -> Transaction:
    """What Postfix tells Anna of a recipient; never what the mail says, nor what was found."""

    def reports(mails: Sequence[Transaction]) -> list[Transaction]:
        # Notices have the null sender, too.
        return [one for one in mails if one.sender == "" and failed.encode() in one.body and b"X-Postfix" in one.body]

    [got] = reports(site.inside.wait_for(lambda mails: bool(reports(mails)), f"a bounce of {failed}"))
    assert CANARY not in got.octets
    assert not any(word in got.octets for word in (b"blueprint", b"competitor", b"salar"))
    return got


def test_a_warning_lets_it_go(site: Site) -> None:
    message_id = hand_in(site, [NORA], "The merger is near.")
    [got] = site.outside.wait(1)
    assert CANARY in got.body
    [row] = log(site, message_id)
    assert row["fate"] == "relayed"
    assert "DLP: merger (1), warn" in json.dumps(row["reasons"])


def test_what_must_be_encrypted_is_or_comes_back(site: Site) -> None:
    message_id = hand_in(site, [OLGA, NORA], "The salaries of all.")
    [got] = site.outside.wait(1)
    assert got.recipients == (OLGA,)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)
    assert b"must be encrypted" in bounce(site, NORA).body
    assert {row["recipient"]: row["fate"] for row in log(site, message_id, 2)} == {OLGA: "relayed", NORA: "refused"}


def test_what_is_held_leaves_when_somebody_says_so(site: Site) -> None:
    message_id = hand_in(site, [OLGA, BERT], f"Take my card: {CARD}.")
    [to_bert] = site.inside.wait_for(lambda mails: any(BERT in one.recipients for one in mails), "the copy for Bert")[
        :1
    ]
    assert CANARY in to_bert.body, "DLP is for what leaves"
    rows = {row["recipient"]: row for row in log(site, message_id, 2)}
    assert rows[OLGA]["fate"] == "held"
    assert CARD not in json.dumps(rows)
    [held] = site.gateway.rows("quarantine", "list", "--recipient", OLGA)
    assert not site.outside.mails
    site.gateway.cli("quarantine", "release", held["id"])
    [got] = site.outside.wait(1)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)


def test_what_is_blocked_comes_back(site: Site) -> None:
    message_id = hand_in(site, [OLGA], "The blueprint is attached.")
    assert b"may not be sent" in bounce(site, OLGA).body
    [row] = log(site, message_id)
    assert row["fate"] == "refused"
    assert not site.outside.mails


def test_what_only_counts_in_clear(site: Site) -> None:
    message_id = hand_in(site, [OLGA, NORA], "My address is below.")
    [got] = site.outside.wait(1)
    assert got.recipients == (OLGA,)
    assert {row["recipient"]: row["fate"] for row in log(site, message_id, 2)} == {OLGA: "relayed", NORA: "held"}


def test_each_recipient_has_patterns_of_its_own(site: Site) -> None:
    to = [OLGA, NORA, "otto@out.example", BERT]
    message_id = hand_in(site, to, "Our competitor wants a merger.")
    site.outside.wait(2)
    assert {to for one in site.outside.mails for to in one.recipients} == {OLGA, "otto@out.example"}
    assert CANARY not in b"".join(one.octets for one in site.outside.mails)
    assert b"may not be sent" in bounce(site, NORA).body
    fates = {row["recipient"]: row["fate"] for row in log(site, message_id, 4)}
    assert fates == {OLGA: "relayed", NORA: "refused", "otto@out.example": "relayed", BERT: "relayed"}


def test_a_number_in_a_document_in_an_archive(site: Site) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"<w:document><w:t>{CARD[:9]}</w:t><w:t>{CARD[9:]}</w:t></w:document>")
        archive.writestr("[Content_Types].xml", "<Types/>")
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("cards.docx", inner.getvalue())
    part = b'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the file.\r\n--b\r\n"
    body += part + b64encode(outer.getvalue()) + b"\r\n--b--\r\n"
    message_id = hand_in(site, [NORA], "", body=body)
    [row] = log(site, message_id)
    assert row["fate"] == "held"
    assert "DLP: card (1), quarantine" in json.dumps(row["reasons"])
    assert not site.outside.mails


def test_whoever_asks_is_told_the_same(site: Site) -> None:
    octets = mail(ANNA, OLGA, body=f"{CARD} of the blueprint\r\n".encode())
    path = site.gateway.file("asked.eml", octets)
    [row] = site.gateway.rows("message", "explain", path, "--from", ANNA, "--to", OLGA)
    assert row["fate"] == "refused"
    assert "DLP: blueprint (1), block" in row["reasons"]
    assert "DLP: card (1), quarantine" in row["reasons"]
    assert CARD not in json.dumps(row)


def test_one_who_is_not_ours_is_looked_through_and_told_nothing(site: Site) -> None:
    """Forwarded by a client of ours, for a sender of the world: the null sender, too."""
    for sender in ("eve@else.example", ""):
        octets = mail("eve@else.example", OLGA, body=f"My card {CARD}\r\n".encode())
        with Client(site.postfix.submission) as client:
            client.send(sender, [OLGA], octets)
        message_id = octets.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()
        [row] = log(site, message_id)
        assert row["fate"] == "held"
    assert not site.outside.mails

    def told() -> set[str]:
        # What an earlier mail is told about may still come.
        return {to for one in site.inside.mails for to in one.recipients if b"eve@else.example" in one.octets}

    wait_until(told)
    assert told() == {MANAGER}
