"""TLS reports that come by mail: taken only if they are about us, never lost, with what their signatures say."""

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from dkim_keys import rsa_key
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey, sign
from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate
from mailseal.policy.reason import ReasonCode
from mailseal.ports import ReceivedTlsReport, Signed
from mailseal.wiring.memory import NoInbox
from pki import NOW
from stage import Stage, envelope
from tls_reports import EXAMPLE, mail

ADDRESS = "tls@inside.example"
SENDER = "company-x.example"
KEY = DkimKey(SENDER, "s1", rsa_key())


@dataclass
class Inbox:
    """ports.TlsReportInbox that keeps a list."""

    deliver: bool = False
    address: Address = field(default_factory=lambda: Address.parse(ADDRESS))
    kept: list[ReceivedTlsReport] = field(default_factory=list)
    full: bool = False
    away: bool = False

    def keep(self, received):
        if self.away:
            raise TransientError("the database is away")
        if not self.full:
            self.kept.append(received)
        return not self.full


def about(*domains: str) -> dict:
    value = deepcopy(EXAMPLE)
    [policy] = value["policies"]
    value["policies"] = []
    for domain in domains:
        one = deepcopy(policy)
        one["policy"]["policy-domain"] = domain
        value["policies"].append(one)
    return value


def take(raw: bytes, inbox: Inbox, *, keys=(), to=ADDRESS, **published):
    on = Stage(gateway_settings={"tls_reports": inbox})
    on.sign_for_domains(*keys)
    on.domain_keys.published |= published.get("published", {})
    given = envelope(to, sender="noreply@company-x.example", origin=Origin.OUTSIDE)
    [outcome] = process(given, Message(raw), on.gateway())
    return outcome, on.sent


def signed(raw: bytes, key: DkimKey = KEY) -> bytes:
    return b"".join(sign(Mail.of_chunks([raw]), [key], NOW)) + raw


def test_a_report_about_us_is_kept_and_goes_nowhere():
    outcome, sent = take(mail(about("inside.example")), inbox := Inbox())
    assert (outcome.fate, outcome.reply.code) == (Fate.KEPT, 250)
    assert [one.code for one in outcome.reasons] == [ReasonCode.TLS_REPORT_TAKEN]
    assert not sent
    [kept] = inbox.kept
    assert (kept.report.organization, kept.sender) == ("Company-X", "noreply@company-x.example")
    assert kept.report.begins == datetime(2016, 4, 1, tzinfo=UTC)
    assert kept.report.policies[0].failed == 303


def test_it_is_delivered_too_where_that_is_set():
    outcome, sent = take(mail(about("inside.example")), inbox := Inbox(deliver=True))
    assert outcome.fate is Fate.RELAYED
    assert len(sent) == len(inbox.kept) == 1


def test_what_it_says_of_others_is_left_out():
    take(mail(about("inside.example", "other.example")), inbox := Inbox())
    [kept] = inbox.kept
    assert [one.policy.domain for one in kept.report.policies] == ["inside.example"]


@pytest.mark.parametrize(
    "raw",
    [
        mail(about("other.example")),
        mail(b"no gzip"),
        mail(json.dumps(about("inside.example")).encode()),
        b"From: a@b.example\r\nSubject: Hello\r\n\r\nAre you there?\r\n",
        mail(about("inside.example")).replace(b"\r\nMIME-Version", b"\r\nContent-Type: text/plain\r\nMIME-Version", 1),
    ],
    ids=["about others", "no gzip", "not packed", "a mail", "two types"],
)
def test_all_other_mail_to_the_address_goes_on(raw):
    outcome, sent = take(raw, inbox := Inbox())
    assert outcome.fate is Fate.RELAYED
    assert len(sent) == 1
    assert not inbox.kept


def test_a_report_to_another_address_is_a_mail():
    outcome, sent = take(mail(about("inside.example")), inbox := Inbox(), to="anna@inside.example")
    assert outcome.fate is Fate.RELAYED
    assert not inbox.kept
    assert len(sent) == 1


def test_when_there_are_too_many_they_are_mail():
    outcome, sent = take(mail(about("inside.example")), Inbox(full=True))
    assert outcome.fate is Fate.RELAYED
    assert len(sent) == 1


def test_what_cannot_be_committed_is_deferred():
    outcome, sent = take(mail(about("inside.example")), Inbox(away=True))
    assert outcome.fate is Fate.DEFERRED
    assert not sent


def test_for_an_explanation_nothing_is_kept():
    inbox = Inbox()
    gateway = replace(Stage().gateway(), tls_reports=NoInbox(inbox))
    given = envelope(ADDRESS, sender=None, origin=Origin.OUTSIDE)
    [found] = explain(given, Message(mail(about("inside.example"))), gateway)
    assert found.fate is Fate.KEPT
    assert not inbox.kept


# ---- who says so


def worth(raw: bytes, **more) -> tuple[Signed, str]:
    take(raw, inbox := Inbox(), **more)
    [kept] = inbox.kept
    return kept.signed, kept.signer


REPORT = mail(about("inside.example"))


def test_signed_by_the_domain_of_its_sender():
    assert worth(signed(REPORT), keys=[KEY]) == (Signed.BY_SENDER, SENDER)


def test_signed_by_a_domain_above_or_below():
    below = DkimKey(f"mail.{SENDER}", "s1", rsa_key())
    assert worth(signed(REPORT, below), keys=[below]) == (Signed.BY_SENDER, f"mail.{SENDER}")
    raw = REPORT.replace(b"From: noreply@company-x", b"From: noreply@mail.company-x")
    assert worth(signed(raw), keys=[KEY]) == (Signed.BY_SENDER, SENDER)


@pytest.mark.parametrize("domain", ["evil.example", "evilcompany-x.example", "example"])
def test_signed_by_somebody_else(domain):
    other = DkimKey(domain, "s1", rsa_key())
    assert worth(signed(REPORT, other), keys=[other])[0] is Signed.BY_OTHERS


def test_not_signed():
    assert worth(REPORT) == (Signed.NO, "")


def test_signed_and_changed():
    assert worth(signed(REPORT).replace(b"aggregate", b"aggravate"), keys=[KEY]) == (Signed.BADLY, SENDER)


def test_when_nobody_can_say():
    silent = {f"s1._domainkey.{SENDER}": None}
    assert worth(signed(REPORT), published=silent) == (Signed.UNKNOWN, SENDER)


def test_two_authors_are_none():
    raw = REPORT.replace(b"From: noreply@company-x.example", b"From: noreply@company-x.example, a@b.example")
    take(signed(raw), inbox := Inbox(), keys=[KEY])
    [kept] = inbox.kept
    assert (kept.signed, kept.sender) == (Signed.BY_OTHERS, "")
