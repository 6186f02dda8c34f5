"""Whoever has to know is told, by a mail of Mailseal's own that openssl and dkimpy believe, and that says no secret."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim
import pytest
from django.db import connections

from harness import openssl
from harness.client import send
from harness.folder import free_port
from harness.gateway import Gateway
from harness.mail import CANARY, mail, without_trace
from harness.name_server import NameServer
from harness.sink import Sink, Transaction
from harness.site import people, smtp_site
from harness.waiting import PATIENCE_SECONDS, wait_until
from mailseal.cli import run
from mailseal.cli.checks.notices import notices as checked
from mailseal.config import load
from mailseal.store import setup

ANNA, CARL, OLGA, NORA = "anna@alpha.example", "carl@alpha.example", "olga@out.example", "nora@out.example"
MANAGER, AUTHOR = "dlp@alpha.example", "notices@alpha.example"
CARD = "5105 1051 0510 5100"
"""One of the numbers that are for tests."""


@dataclass
class Place:
    """A gateway with patterns, and a name server that has the record of its key."""

    gateway: Gateway
    port: int
    inside: Sink
    outside: Sink
    names: NameServer

    def hand_in(self, text: str, to: Sequence[str] = (OLGA,), sender: str = ANNA) -> str:
        """The Message-ID of a mail with this text."""
        octets = mail(sender, to[0], body=f"{text}\r\n".encode() + CANARY + b"\r\n")
        send(self.port, sender, list(to), octets)
        return octets.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()

    def notice(self, reader: str, *words: str) -> Transaction:
        """The notice to somebody that has these words in its text; fails if it does not come, or if there are two."""

        def found(mails: Sequence[Transaction]) -> list[Transaction]:
            return [one for one in mails if reader in one.recipients and all(word in text_of(one) for word in words)]

        mails = self.inside.wait_for(lambda kept: bool(found(kept)), f"a notice to {reader} with {words}")
        [one] = found(mails)
        assert (one.sender, one.fields("To")) == ("", [reader])
        for secret in (CARD.encode(), CARD.replace(" ", "").encode(), CANARY, b"Quarterly"):
            assert secret not in one.octets
            assert secret.decode() not in text_of(one)
        return one

    def settled(self, message_id: str, fate: str) -> list[str]:
        """The reasons in the log of a mail that all recipients had the same fate of."""
        rows = self.gateway.wait_for_log(1, "--message-id", message_id)
        assert {one["fate"] for one in rows} == {fate}
        return [reason for one in rows for reason in one["reasons"]]

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.gateway.data / "mailseal.db", timeout=PATIENCE_SECONDS)) as database:
            rows = database.execute(statement, values).fetchall()
            database.commit()
        return rows

    def type(self, *words: str, status: int = 0) -> str:
        """What `mailseal …` says, in this process: a new one takes half a second."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ended = run(["--config", str(self.gateway.config), *words])
        connections.close_all()
        assert ended == status, f"mailseal {' '.join(words)}: status {ended}\n{said.getvalue()}"
        return said.getvalue()

    def check(self) -> str:
        """What `mailseal check` says of notices."""
        config = load(self.gateway.config, {})
        setup(config)
        told = [str(one.as_row()) for one in checked(config)]
        connections.close_all()
        return "\n".join(told)

    def dns(self, name: bytes, timeout: int = 5) -> bytes:
        """As dkimpy asks."""
        [text] = self.names.records[name.decode().rstrip("."), "TXT"]
        return "".join(one.strip('"') for one in text.split('" "')).encode()


def read(got: Transaction) -> EmailMessage:
    return message_from_bytes(got.octets, policy=policy.default)


def text_of(got: Transaction) -> str:
    found = read(got).get_body(("plain",))
    return "" if found is None else found.get_content()


@pytest.fixture(scope="module")
def running() -> Iterator[Place]:
    with (
        NameServer() as names,
        smtp_site(
            "notices",
            dns={"servers": [names.place], "timeout_seconds": 6},
            metrics={"listen": f"127.0.0.1:{free_port()}"},
        ) as (gateway, port, inside, outside),
    ):
        row = gateway.rows("dkim", "generate", "alpha.example", "--selector", "s1")
        names.txt(row["name"], row["value"])
        gateway.import_certificates([people().issuing], own=[people().issue(AUTHOR, key="p256")])
        gateway.type(
            "dkim enable alpha.example s1",
            "dlp pattern add merger --keyword merger --action warn",
            "dlp pattern add card --expression \\d(?:[\\s-]?\\d){12,18} --validator card --action quarantine",
            "dlp pattern add blueprint --keyword blueprint --action block",
            "dlp assign merger card blueprint --global",
            f"settings set dlp_managers {MANAGER}",
            f"settings set notice_from {AUTHOR}",
            "settings set notices_per_hour 100",
            f"settings set notice_language de --address {MANAGER}",
        )
        gateway.wait_until_noticed()
        yield Place(gateway, port, inside, outside, names)


@pytest.fixture
def place(running: Place) -> Place:
    for sink in (running.inside, running.outside):
        sink.up()
    left = "SELECT COUNT(*) FROM store_job WHERE kind = 'notice' AND state IN (0, 1)"
    wait_until(lambda: running.ask(left) == [(0,)], running.gateway.said)  # what an earlier test has set off
    for sink in (running.inside, running.outside):
        sink.clear()
    return running


def test_a_warning_is_told_to_the_sender_and_the_manager_each_in_his_language(place: Place) -> None:
    message_id = place.hand_in("The merger is near.", [OLGA, NORA])
    place.outside.wait(2)
    to_anna, to_manager = place.notice(ANNA, "sensitive"), place.notice(MANAGER, "vertraulich")
    for text in (text_of(to_anna), text_of(to_manager)):
        assert "merger (1)" in text
        assert OLGA in text
        assert NORA in text, "one notice about both recipients"
    assert to_anna.fields("In-Reply-To") == [message_id]
    assert (to_anna.fields("Auto-Submitted"), to_manager.fields("Auto-Submitted")) == (
        ["auto-replied"],
        ["auto-generated"],
    )
    assert to_anna.fields("From") == [f"Mailseal <{AUTHOR}>"]


def test_openssl_and_dkimpy_believe_it(place: Place) -> None:
    place.hand_in("Another merger is near.")
    got = place.notice(ANNA, "sensitive")
    assert b"multipart/alternative" in openssl.verify(got.octets, people().root)
    octets = without_trace(got.octets)
    assert dkim.DKIM(octets).verify(dnsfunc=place.dns)
    assert not dkim.DKIM(octets.replace(b"Subject: ", b"Subject: not ", 1)).verify(dnsfunc=place.dns)


def test_held_and_released(place: Place) -> None:
    message_id = place.hand_in(f"My card: {CARD}")
    place.settled(message_id, "held")
    [held] = place.gateway.rows("quarantine", "list", "--recipient", OLGA)
    for reader, words in ((ANNA, "held in the quarantine"), (MANAGER, "Quarantäne")):
        text = text_of(place.notice(reader, words))
        assert "card (1)" in text
        assert held["id"] in text
    assert not place.outside.mails

    place.type("quarantine", "release", held["id"])
    place.outside.wait(1)
    assert message_id in text_of(place.notice(ANNA, "has been released"))


def test_refused_and_the_notice_comes_back(place: Place) -> None:
    place.settled(place.hand_in("The blueprint is here."), "refused")
    got = place.notice(MANAGER, "blueprint (1)")

    # It says the word itself, and its mark counts only on the way to whom it was written to.
    assert send(place.port, MANAGER, [NORA], got.octets).end[0].startswith("550")
    # With something more in the header, or in the body, it is a mail like any other.
    for more in (b"Comments: blueprint\r\n" + got.octets, got.octets + b"blueprint\r\n"):
        assert send(place.port, MANAGER, [NORA], more).end[0].startswith("550")
    place.inside.wait_for(
        lambda kept: any("blueprint (1)" in text_of(one) and NORA in text_of(one) for one in kept), "a notice of that"
    )
    assert not place.outside.mails


def test_a_template_of_ones_own_and_a_broken_one(place: Place) -> None:
    file = place.gateway.file("text", b"Dear {{ reader }}: {{ found | size }} pattern.\n{{ secret }}\n")
    refused = place.type("notice", "set", "dlp-warn", "text", file, "--domain", "alpha.example", status=1)
    assert "text line 2: there is no variable 'secret'" in refused
    file = place.gateway.file("text", b"Dear {{ reader }}: {{ found | size }} pattern.\n")
    place.type("notice", "set", "dlp-warn", "text", file, "--domain", "alpha.example")
    place.hand_in("The merger is off.")
    assert text_of(place.notice(ANNA, "Dear")).strip() == f"Dear {ANNA}: 1 pattern."

    place.inside.clear()
    place.ask("UPDATE store_notice_template SET text = '{{ found | of_an_older_release }}'")
    assert "dlp-warn (en) of alpha.example cannot be used" in place.check()
    place.settled(place.hand_in("The merger is on."), "relayed")
    assert "looks sensitive" in text_of(place.notice(ANNA, "merger (1)"))
    place.type("notice", "unset", "dlp-warn", "text", "--domain", "alpha.example")
    assert "cannot be used" not in place.check()


def test_a_next_hop_that_is_down_delays_the_notice_and_nothing_else(place: Place) -> None:
    place.inside.down()
    message_id = place.hand_in("The merger is late.", [NORA])
    place.outside.wait(1)
    assert any("merger" in one for one in place.settled(message_id, "relayed"))
    waiting = "SELECT COUNT(*) FROM store_job WHERE kind = 'notice' AND state = 0 AND error <> ''"
    wait_until(lambda: place.ask(waiting) == [(2,)], place.gateway.said)
    place.inside.up()
    place.ask("UPDATE store_job SET run_at = '2000-01-01 00:00:00' WHERE kind = 'notice' AND state = 0")
    assert NORA in text_of(place.notice(ANNA, "merger (1)"))
    place.notice(MANAGER, "merger (1)")


def test_who_is_not_ours_is_told_nothing(place: Place) -> None:
    message_id = place.hand_in(f"The card {CARD} of somebody", [NORA], sender="eve@else.example")
    place.settled(message_id, "held")
    place.notice(MANAGER, "eve@else.example")
    assert {to for one in place.inside.mails + place.outside.mails for to in one.recipients} == {MANAGER}


def test_what_the_command_shows(place: Place) -> None:
    assert "Deutsch" in place.type("notice", "languages")
    assert "a held mail was released" in place.type("notice", "kinds")
    page = place.gateway.folder / "page.html"
    shown = place.type("notice", "preview", "dlp-quarantine", "--language", "de", "--html", str(page))
    assert shown.startswith("Subject: Nachricht wegen ihres Inhalts zurückgehalten")
    assert '<html lang="de">' in page.read_text("utf-8")
    assert "for managers" not in place.type("notice", "preview", "expires-soon", "--role", "manager")
    place.type("notice", "preview", "dlp-warn", "--role", "recipient", status=2)
    assert "{{ event }}" in place.type("notice", "show", "released", "subject")
    assert "nothing is set" in place.type("notice", "list")
    bad = place.gateway.file("fr.toml", b'[released]\nsubject = "a"\ntext = "{{ b }}"\n')
    assert "[released] text line 1: there is no variable 'b'" in place.type("notice", "check", bad, status=1)
    good = place.gateway.file("fr.toml", b'[released]\nsubject = "a"\ntext = "{{ sender }}"\n')
    assert "English stands in for [encrypted]" in place.type("notice", "check", good)
    assert "can be used" in place.type("notice", "check", page.as_posix(), "--kind", "released", "--part", "html")
