"""Mail leaves signed for its domain and comes in checked, with dkimpy and opendkim as the servers that look at it.

Mailseal hands everything back to Postfix, so each mail passes a real one before and after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkim_keys import Records, ed25519_key, rsa_key
from harness import opendkim, openssl
from harness.client import send
from harness.mail import CANARY, entity, envelope_header, mail
from harness.name_server import NameServer
from harness.sink import Transaction
from harness.site import Site, people, site
from harness.waiting import wait_until
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey, sign

ANNA, CARL, OLGA, NORA = "anna@alpha.example", "carl@alpha.example", "olga@out.example", "nora@out.example"
THEIRS = DkimKey("out.example", "o", ed25519_key())
LIST = DkimKey("list.example", "l", rsa_key())
OURS = ("rsa", "ed25519")
FORGED = b"Authentication-Results: (a;b) GATE.alpha.example/1; dkim=pass header.d=bank.example\r\n"
BORDER = b"Authentication-Results: border.example; spf=pass smtp.mailfrom=out.example\r\n"


@dataclass
class Place:
    """A site whose Mailseal asks the name server of the test."""

    site: Site
    names: NameServer

    def dns(self, name: bytes, timeout: int = 5) -> bytes:
        """As dkimpy asks."""
        return "".join(self.texts().get(name.decode().rstrip("."), [])).encode()

    def texts(self) -> dict[str, list[str]]:
        found = {name: self.names.records[name, kind] for name, kind in self.names.records if kind == "TXT"}
        return {name: ["".join(one.strip('"') for one in value.split('" "')) for value in values]
                for name, values in found.items()}  # fmt: skip

    def send_out(self, to: str, sender: str = ANNA, **options: str) -> Transaction:
        send(self.site.postfix.submission, sender, [to], mail(sender, to, **options))
        [got] = self.site.outside.wait(1)
        return got

    def send_in(self, raw: bytes, to: str = ANNA) -> Transaction:
        send(self.site.postfix.mx, OLGA, [to], raw)
        [got] = self.site.inside.wait(1)
        return got


@pytest.fixture(scope="module")
def _place(need_postfix: None) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(NameServer())
        made = stack.enter_context(
            site(
                "dkim",
                start=False,
                through_postfix=True,
                dns={"servers": [names.place], "timeout_seconds": 6},
                authentication={"believed": ["border.example"]},
            )
        )
        place = Place(made, names)
        for name, texts in Records(THEIRS, LIST).texts.items():
            names.txt(name, *texts)
        gateway = made.gateway
        for kind in OURS:
            row = gateway.rows("dkim", "generate", "alpha.example", "--selector", kind, "--algorithm", kind)
            names.txt(row["name"], row["value"])
        gateway.type(*(f"dkim enable alpha.example {kind}" for kind in OURS),
                     "settings set on_failure notify --domain alpha.example")  # fmt: skip
        gateway.start()
        yield place


@pytest.fixture
def place(_place: Place) -> Iterator[Place]:
    _place.site.clear()
    yield _place
    _place.names.silent.clear()


def assert_signed(place: Place, octets: bytes, folder: Path) -> None:
    """Both referees believe both signatures, and notice a change."""
    for index in range(len(OURS)):
        assert dkim.DKIM(octets).verify(index, dnsfunc=place.dns)
    assert not dkim.DKIM(octets.replace(b"Subject: ", b"Subject: not ", 1)).verify(dnsfunc=place.dns)
    if opendkim.why_not() is None:
        assert opendkim.results(folder, octets, place.texts()) == ["pass"] * len(OURS)


def from_outside(raw: bytes) -> bytes:
    return b"".join(sign(Mail.of_chunks([raw]), [THEIRS], datetime.now(UTC))) + raw


@pytest.mark.parametrize(("to", "sender"), [(OLGA, ANNA), (NORA, ANNA), (NORA, CARL)])
def test_encrypted_signed_and_plain_mail_leaves_signed(place: Place, tmp_path: Path, to: str, sender: str) -> None:
    got = place.send_out(to, sender)
    assert (CANARY in got.octets) is (to == NORA)
    assert_signed(place, got.octets, tmp_path)


def test_the_rest_of_the_mail_is_as_it_was_sent(place: Place) -> None:
    raw = mail(CARL, NORA, body=b"Gr\xc3\xbc\xc3\x9fe \r\n\tx\r\n\r\n\r\n", fields="X-Odd:  a\r\n\tb \r\n")
    send(place.site.postfix.submission, CARL, [NORA], raw)
    [got] = place.site.outside.wait(1)
    assert got.octets.endswith(raw)
    assert dkim.DKIM(got.octets).verify(dnsfunc=place.dns)


def test_mail_that_is_not_from_us_is_not_signed(place: Place) -> None:
    got = place.send_out(NORA, "somebody@elsewhere.example")
    assert got.fields("DKIM-Signature") == []


def test_a_report_of_the_gateway_is_signed(place: Place, tmp_path: Path) -> None:
    to = "nils@secret.example"
    send(place.site.postfix.submission, ANNA, [to], mail(ANNA, to))
    [got] = place.site.inside.wait(1)
    assert got.fields("From") == ["Mail Delivery System <MAILER-DAEMON@gate.alpha.example>"]
    assert_signed(place, got.octets, tmp_path)


def test_opened_mail_was_checked_before_and_is_sealed(place: Place) -> None:
    raw = from_outside(envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna]))
    got = place.send_in(FORGED + BORDER + raw)
    assert CANARY in got.body
    assert b"bank.example" not in got.octets
    ours, theirs = got.fields("Authentication-Results")
    assert ours.startswith("gate.alpha.example; dkim=pass header.d=out.example header.s=o")
    assert theirs.startswith("border.example;")
    state, results, reason = dkim.ARC(got.octets).verify(dnsfunc=place.dns)
    assert (state, len(results)) == (dkim.CV_Pass, 1), reason
    said = got.fields("ARC-Authentication-Results")[0]
    assert "dkim=pass" in said
    assert "spf" not in said, "a forged field stood above it, so it was not at the top"


def test_who_is_believed_is_sealed_along(place: Place) -> None:
    raw = from_outside(envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna]))
    got = place.send_in(BORDER + raw)
    assert "spf=pass smtp.mailfrom=out.example" in got.fields("ARC-Authentication-Results")[0]
    assert dkim.ARC(got.octets).verify(dnsfunc=place.dns)[0] == dkim.CV_Pass


def test_a_chain_of_others_is_gone_on_with(place: Place) -> None:
    raw = from_outside(envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna]))
    told = b"Authentication-Results: list.example; arc=none\r\n" + raw  # dkimpy reads the state there
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    got = place.send_in(b"".join(dkim.ARC(told).sign(b"l", b"list.example", pem, b"list.example")) + raw)
    assert "arc=pass" in got.fields("Authentication-Results")[0]
    state, results, reason = dkim.ARC(got.octets).verify(dnsfunc=place.dns)
    assert (state, len(results)) == (dkim.CV_Pass, 2), reason


def test_mail_that_is_not_opened_keeps_its_signature_and_its_octets(place: Place) -> None:
    raw = from_outside(mail(OLGA, ANNA))
    got = place.send_in(raw)
    assert got.octets.endswith(raw)
    assert got.fields("Authentication-Results") == []
    assert got.fields("ARC-Seal") == []
    assert dkim.DKIM(got.octets).verify(dnsfunc=place.dns)


def test_a_signed_mail_has_marks_above_and_keeps_its_signature(place: Place) -> None:
    raw = from_outside(envelope_header(OLGA, CARL) + openssl.sign(entity(), people().olga))
    got = place.send_in(raw, CARL)
    assert got.fields("X-Mailseal-Signed-By-Sender") == ["yes"]
    assert dkim.DKIM(got.octets).verify(dnsfunc=place.dns)


def test_a_silent_name_server_holds_no_mail_up(place: Place) -> None:
    key = DkimKey("silent.example", "s", ed25519_key())
    place.names.silent.add("s._domainkey.silent.example")
    raw = envelope_header(OLGA, ANNA) + openssl.encrypt(entity(), [people().anna])
    got = place.send_in(b"".join(sign(Mail.of_chunks([raw]), [key], datetime.now(UTC))) + raw)
    assert CANARY in got.body
    assert "dkim=temperror" in got.fields("Authentication-Results")[0]


def test_the_log_tells_of_signatures(place: Place) -> None:
    place.send_out(NORA, CARL)

    def told() -> str:
        return place.site.gateway.cli("log", "--recipient", NORA, "--json")

    wait_until(lambda: "alpha.example rsa rsa-sha256" in told(), told, every=0.2)


def test_a_key_that_is_switched_off_signs_no_more(place: Place) -> None:
    place.site.gateway.cli("dkim", "disable", "alpha.example", "ed25519")

    def signatures() -> int:
        place.site.clear()
        return len(place.send_out(NORA, CARL).fields("DKIM-Signature"))

    wait_until(lambda: signatures() == 1, every=0.2)
    place.site.gateway.cli("dkim", "enable", "alpha.example", "ed25519")
