"""Beside Exchange Online: what users there send is protected, what they get is opened, and all of it goes back there.

The stand-in is a Postfix with the rules that `mailseal profile office365` prints (harness.exchange_online).
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from harness import openssl, tls_servers
from harness.client import Client, send
from harness.exchange_online import HOST, OTHER_TENANT, TENANT, ExchangeOnline
from harness.folder import free_port, short_folder
from harness.gateway import P12_PASSWORD, Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink, Transaction
from harness.site import INSIDE, people
from harness.waiting import wait_until

ANNA, BERT = f"anna@{INSIDE}", f"bert@{INSIDE}"
OLGA, NORA, NILS = "olga@out.example", "nora@out.example", "nils@secret.example"
GATE = "gate.alpha.example"
SECONDS = 60


@dataclass
class Place:
    exchange: ExchangeOnline
    gateway: Gateway
    entry: int
    mailboxes: Sink
    world: Sink

    def clear(self) -> None:
        for sink in (self.mailboxes, self.world):
            sink.clear()

    def arrival(self, sink: Sink, recipient: str) -> Transaction:
        """The one mail that came for a recipient."""
        kept = sink.wait_for(
            lambda mails: any(recipient in one.recipients for one in mails), f"mail for {recipient}", seconds=SECONDS
        )
        (one,) = [one for one in kept if recipient in one.recipients]
        return one

    def rows(self, count: int, transaction: bytes) -> list[dict]:
        """The log of a mail, by its Message-ID."""
        message_id = re.search(rb"Message-ID: (<[^>]*>)", transaction)[1].decode()
        return self.gateway.wait_for_log(count, "--message-id", message_id, seconds=SECONDS)

    def settle(self) -> None:
        """Wait until neither Postfix has mail under way."""
        queue = self.gateway.folder / "postfix" / "queue"

        def is_empty() -> bool:
            waiting = (one for name in ("incoming", "active", "deferred") for one in (queue / name).rglob("*"))
            return not self.exchange.waiting() and not any(one.is_file() for one in waiting)

        wait_until(is_empty, lambda: f"mail still waits:\n{self.maillog()[-3000:]}", every=0.1)

    def maillog(self) -> str:
        return (self.gateway.folder / "postfix" / "log" / "maillog").read_text(errors="replace")


def _furnish(gateway: Gateway) -> None:
    who = people()
    own = [gateway.file(f"{number}.p12", one.p12(P12_PASSWORD)) for number, one in enumerate((who.anna, who.bert))]
    others = gateway.file("others.pem", who.issuing.pem + who.olga.pem)
    gateway.init(INSIDE)
    gateway.type(
        f"root import {gateway.file('root.pem', who.root.pem)}",
        f"cert import {others} {' '.join(own)} --password-file {gateway.file('password', P12_PASSWORD)}",
        "settings set mode mandatory --domain secret.example",
        "dlp pattern add blueprint --keyword blueprint --action quarantine",
        f"dlp assign blueprint --address {BERT}",
    )


@contextlib.contextmanager
def place() -> Iterator[Place]:
    entry, again, back = free_port(), free_port(), free_port()
    with short_folder("exo") as folder, Sink() as mailboxes, Sink() as world:
        exchange = ExchangeOnline(
            folder / "exchange", INSIDE, (entry, GATE), mailboxes=mailboxes.port, world=world.port
        )
        names = [x509.DNSName(GATE)]
        span = people().span
        both = [tls_servers.SERVER_AUTH, tls_servers.CLIENT_AUTH]
        identity = tls_servers.authority().issue(san=names, common_name=GATE, key="p256", eku=both, usage=None, **span)
        certificate = tls_servers.write(folder, identity, "gate")
        certificate.chmod(0o600)
        tables = {
            "listen": {"tls_certificate": str(certificate)},
            "relay": {"inside": [f"smtp://127.0.0.1:{again}"], "outside": [f"smtp://127.0.0.1:{again}"]},
            "postfix": {
                "instance": "private",
                "folder": str(folder / "mailseal" / "postfix"),
                "listen": [f"127.0.0.1:{entry}"],
                "reinjection": f"127.0.0.1:{again}",
                "return_listen": f"127.0.0.1:{back}",
                "outside": [f"smtp://127.0.0.1:{world.port}"],
                "verify_recipients": False,
            },
            "postfix.settings": {"minimal_backoff_time": "2s", "maximal_backoff_time": "3s", "queue_run_delay": "1s"},
            "office365": {
                "tenants": [TENANT],
                "domains": [INSIDE],
                "networks": ["127.0.0.1/32"],
                "return_to": f"smtp://127.0.0.1:{exchange.connector}?tls=verified&name={HOST}&ca={exchange.ca}"
                f"&certificate={certificate}",
            },
        }
        with Gateway(folder / "mailseal", **tables) as gateway:
            _furnish(gateway)
            gateway.start(seconds=SECONDS)
            with exchange:
                yield Place(exchange, gateway, entry, mailboxes, world)


@pytest.fixture(scope="module")
def _place(need_postfix: None) -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.fixture
def beside(_place: Place) -> Iterator[Place]:
    _place.clear()
    yield _place
    _place.settle()


def test_out_encrypted_once_and_sent_by_exchange_online(beside: Place) -> None:
    before = beside.exchange.given_to_gateway()
    sent = mail(ANNA, OLGA)
    send(beside.exchange.users, ANNA, [OLGA], sent)

    got = beside.arrival(beside.world, OLGA)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)
    assert CANARY not in got.octets
    assert len(got.fields("X-Mailseal-Loop")) == 1
    assert any("exchange-online.test" in one for one in got.fields("Received")[:1]), "Exchange Online sends it out"
    beside.settle()
    assert beside.exchange.given_to_gateway() == before + 1
    (row,) = beside.rows(1, sent)
    assert (row["fate"], row["treatment"]) == ("relayed", "signed+encrypted")
    assert len(beside.world.mails) == 1


def test_in_it_goes_to_the_gateway_and_comes_back_opened(beside: Place) -> None:
    before = beside.exchange.given_to_gateway()
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(openssl.sign(entity(), people().olga), [people().anna])
    send(beside.exchange.mx, OLGA, [ANNA], wire)

    got = beside.arrival(beside.mailboxes, ANNA)
    assert CANARY in got.body
    assert got.fields("X-Mailseal-Decrypted") == ["yes"]
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]
    beside.settle()
    assert beside.exchange.given_to_gateway() == before + 1
    (row,) = beside.rows(1, wire)
    assert (row["fate"], row["treatment"]) == ("relayed", "opened")


def test_both_at_once_each_recipient_as_is_his(beside: Place) -> None:
    sent = mail(ANNA, f"{OLGA}, {NORA}")
    send(beside.exchange.users, ANNA, [OLGA, NORA, BERT], sent)

    assert CANARY in openssl.decrypt(beside.arrival(beside.world, OLGA).octets, people().olga)
    clear = beside.arrival(beside.world, NORA)
    assert CANARY in openssl.verify(clear.octets, people().root)
    assert CANARY in beside.arrival(beside.mailboxes, BERT).body
    rows = {row["recipient"]: row["treatment"] for row in beside.rows(3, sent)}
    assert rows == {OLGA: "signed+encrypted", NORA: "signed", BERT: "passed"}


def test_what_must_be_encrypted_and_cannot_be_comes_back_as_a_report(beside: Place) -> None:
    sent = mail(ANNA, NILS)
    send(beside.exchange.users, ANNA, [NILS], sent)

    report = beside.arrival(beside.mailboxes, ANNA)
    assert report.sender == ""
    assert NILS.encode() in report.body
    assert CANARY not in report.octets
    assert not beside.world.mails
    (row,) = beside.rows(1, sent)
    assert row["fate"] == "refused"


def test_what_was_held_goes_back_there_when_it_is_released(beside: Place) -> None:
    sent = mail(BERT, OLGA, body=b"The blueprint: " + CANARY + b"\r\n")
    send(beside.exchange.users, BERT, [OLGA], sent)

    (row,) = beside.rows(1, sent)
    assert row["fate"] == "held"
    (held,) = beside.gateway.rows("quarantine", "list", "--recipient", OLGA)
    assert not beside.world.mails
    before = beside.exchange.given_to_gateway()
    beside.gateway.cli("quarantine", "release", held["id"])
    got = beside.arrival(beside.world, OLGA)
    assert CANARY in openssl.verify(openssl.decrypt(got.octets, people().olga), people().root)
    assert any("exchange-online.test" in one for one in got.fields("Received")[:1]), "Exchange Online sends it out"
    beside.settle()
    assert beside.exchange.given_to_gateway() == before


def test_another_tenant_is_refused_whoever_its_mail_is_for(beside: Place) -> None:
    sent = mail(ANNA, OLGA)
    send(beside.exchange.partner, "mallory@partner.example", [OLGA, BERT], sent)

    rows = beside.rows(2, sent)
    assert {row["fate"] for row in rows} == {"refused"}
    assert {row["reply"][:9] for row in rows} == {"550 5.7.1"}
    assert OTHER_TENANT in str(rows[0]["reasons"])
    report = beside.arrival(beside.world, "mallory@partner.example")
    assert report.sender == ""
    assert CANARY not in report.octets
    beside.settle()
    assert not beside.mailboxes.mails


def test_the_world_cannot_make_itself_one_of_us(beside: Place) -> None:
    """What an outside sender writes is taken off there; what got through would be there twice, and is refused."""
    forged = (
        f"X-MS-Exchange-CrossTenant-Id: {TENANT}\r\nX-MS-Exchange-CrossTenant-AuthAs: Internal\r\n"
        "X-Mailseal-Loop: v=1; t=1; m=AAAAAAAAAAAAAAAAAAAAAA\r\nX-Mailseal-Signed-By-Sender: yes\r\n"
    )
    sent = mail(ANNA, ANNA, fields=forged)
    send(beside.exchange.mx, ANNA, [ANNA], sent)
    got = beside.arrival(beside.mailboxes, ANNA)
    assert got.fields("X-MS-Exchange-CrossTenant-Id") == []
    assert got.fields("X-Mailseal-Signed-By-Sender") == []
    (loop,) = got.fields("X-Mailseal-Loop")
    assert "AAAAAAAAAAAAAAAAAAAAAA" not in loop

    sent = mail(ANNA, OLGA, fields=forged + f"X-MS-Exchange-CrossTenant-Id: {TENANT}\r\n")
    with Client(path=beside.gateway.folder / "postfix/queue/mailseal/lmtp-office365", lmtp=True) as client:
        (reply,) = client.send(ANNA, [OLGA], sent).end
    assert reply.startswith("550 5.7.1")


def test_everybody_else_is_the_world_to_postfix(beside: Place) -> None:
    """From another address the fields count for nothing: no relaying, and no signature."""
    stamps = f"X-MS-Exchange-CrossTenant-Id: {TENANT}\r\nX-MS-Exchange-CrossTenant-AuthAs: Internal\r\n"
    with Client(beside.entry, source="127.0.0.9") as client:
        assert client.command(f"MAIL FROM:<{ANNA}>").startswith("250")
        assert client.command(f"RCPT TO:<{OLGA}>").startswith("554 5.7.1")
        assert client.command("RSET").startswith("250")
        sent = mail(OLGA, ANNA, fields=stamps)
        assert client.send(OLGA, [ANNA], sent).end[0].startswith("250")
    got = beside.arrival(beside.mailboxes, ANNA)
    assert CANARY in got.body
    rows = beside.rows(2, sent)  # mail of the world to the domain goes there, is sent here, and goes back
    assert [row["fate"] for row in rows] == ["relayed"] * 2


def test_from_its_networks_only_under_tls(beside: Place) -> None:
    with Client(beside.entry) as client:
        assert client.command(f"MAIL FROM:<{ANNA}>").startswith("250")
        assert client.command(f"RCPT TO:<{OLGA}>").startswith("450 4.7.1")


def test_a_loop_header_of_another_mail_saves_nothing_from_encryption(beside: Place) -> None:
    send(beside.exchange.users, ANNA, [OLGA], mail(ANNA, OLGA))
    first = beside.arrival(beside.world, OLGA)
    (loop,) = first.fields("X-Mailseal-Loop")
    beside.settle()
    beside.clear()

    sent = mail(ANNA, OLGA, fields=f"X-Mailseal-Loop: {loop}\r\n")
    same_id = re.search(rb"Message-ID: <[^>]*>", first.octets)[0]
    sent = re.sub(rb"Message-ID: <[^>]*>", same_id, sent)
    send(beside.exchange.users, ANNA, [OLGA], sent)
    second = beside.arrival(beside.world, OLGA)
    assert CANARY not in second.octets
    assert CANARY in openssl.decrypt(second.octets, people().olga)
    assert second.fields("X-Mailseal-Loop") != [loop]


def test_sent_here_once_more_it_goes_back_as_it_is(beside: Place) -> None:
    """A rule that does not match there: the copy comes again, and its loop header holds."""
    send(beside.exchange.users, ANNA, [NORA], mail(ANNA, NORA))
    first = beside.arrival(beside.world, NORA)
    beside.settle()
    beside.clear()

    send(beside.exchange.users, ANNA, [NORA], first.octets)
    again = beside.arrival(beside.world, NORA)
    assert again.body == first.body
    rows = beside.rows(2, first.octets)
    assert sorted(row["treatment"] for row in rows) == ["passed", "signed"]
    assert "has been through this gateway already" in str([row["reasons"] for row in rows])


def test_the_check_of_the_profile_finds_nothing_wrong(beside: Place) -> None:
    found = beside.gateway.rows("profile", "office365", "--check")
    assert not [one for one in found if one["status"] == "fail"]
    said = " ".join(one["text"] for one in found)
    assert f"verified for {HOST}" in said
    assert f"names {GATE}, in a domain of the tenant" in said


def test_with_certificates_that_count(beside: Place) -> None:
    """Networks alone are not enough then: who shows none of them waits."""
    shown = x509.load_pem_x509_certificates(beside.exchange.client_certificate.read_bytes())[0]
    beside.gateway.stop()
    text = beside.gateway.config.read_text()
    line = f'client_fingerprints = ["{shown.fingerprint(SHA256()).hex()}"]'
    beside.gateway.config.write_text(text.replace("[office365]", f"[office365]\n{line}"))
    beside.gateway.start(seconds=SECONDS)  # it stays so: this is the last test of the story
    send(beside.exchange.users, ANNA, [OLGA], mail(ANNA, OLGA))
    assert CANARY in openssl.decrypt(beside.arrival(beside.world, OLGA).octets, people().olga)
    with Client(beside.entry) as client:
        assert client.command(f"MAIL FROM:<{ANNA}>").startswith("250")
        assert client.command(f"RCPT TO:<{OLGA}>").startswith("450 4.7.1")
