"""Journal addresses: who is believed, what is kept, where the archive may be, and nothing else gets opened mail."""

import ipaddress
from dataclasses import replace

import pytest

from journal_stage import (
    ARCHIVE,
    CANARY,
    DORA,
    EMIL,
    JOURNAL,
    Shelf,
    about,
    shelf,
    smime,
    stage,
    take,
)
from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Origin, Protocol
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.ports import Hop, Journal, OnUnopened
from mailseal.wiring.memory import NoKeeping
from stage import READER, Interrupter, envelope


def test_what_is_not_opened_is_kept_where_that_is_set():
    raw = about(smime(EMIL))
    outcome, transfers = take(raw, journals := shelf(on_unopened=OnUnopened.KEEP))
    assert not transfers
    assert (outcome.fate, outcome.reply.code) == (Fate.KEPT, 250)
    [(told, octets)] = journals.kept
    assert octets == raw
    assert told.message_id == "<5e2f1c0b@journal.report.generator>"
    assert told.reasons == outcome.reasons[:-1]
    assert outcome.reasons[-1].code is ReasonCode.JOURNAL_KEPT


def test_what_is_kept_does_not_leave_when_it_comes_again_and_could_be_opened():
    raw, journals = about(smime(EMIL)), shelf(on_unopened=OnUnopened.KEEP)
    take(raw, journals)
    on = stage(journals)
    on.keys_of[DORA] += on.keys_of["emil@inside.example"]
    outcome, transfers = take(raw, journals, on)
    assert not transfers
    assert outcome.fate is Fate.KEPT
    assert [reason.code for reason in outcome.reasons] == [ReasonCode.JOURNAL_REPORT, ReasonCode.JOURNAL_KEPT_BEFORE]
    assert len(journals.kept) == 1


@pytest.mark.parametrize("on_unopened", OnUnopened)
def test_what_cannot_be_committed_is_deferred(on_unopened):
    journals = shelf(on_unopened=on_unopened)
    name = "keep" if on_unopened is OnUnopened.KEEP else "note"

    def fail(called):
        if called == name:
            raise TransientError("the database is away")

    journals.interrupt = fail
    outcome, transfers = take(about(smime(EMIL)), journals)
    assert not transfers
    assert outcome.fate is Fate.DEFERRED


# ---- who is believed


def test_a_stranger_has_nothing_opened():
    outcome, transfers = take(about(smime(READER)), journals := shelf(), origin=Origin.OUTSIDE)
    assert (outcome.fate, outcome.reply.code) == (Fate.REFUSED, 550)
    assert [reason.code for reason in outcome.reasons] == [ReasonCode.JOURNAL_DENIED]
    assert not transfers
    assert not journals.noted


@pytest.mark.parametrize(
    ("client", "fate"),
    [
        ("40.92.0.9", Fate.RELAYED),
        ("40.93.0.1", Fate.REFUSED),
        ("unknown", Fate.REFUSED),
        ("2001:db8::1", Fate.RELAYED),
    ],
)
def test_a_client_of_a_network_that_the_journal_names_is_believed(client, fate):
    networks = tuple(map(ipaddress.ip_network, ("40.92.0.0/16", "2001:db8::/32")))
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse(ARCHIVE), networks=networks))
    given = replace(envelope(JOURNAL, sender=None, origin=Origin.OUTSIDE), client=Client(client))
    [outcome] = process(given, Message(about(smime(READER))), stage(journals).gateway())
    assert outcome.fate is fate


@pytest.mark.parametrize(("network", "fate"), [("192.0.2.0/24", Fate.REFUSED), ("198.51.100.0/24", Fate.RELAYED)])
def test_a_user_who_has_logged_in_is_no_mail_server(network, fate):
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse(ARCHIVE), networks=(ipaddress.ip_network(network),)))
    given = replace(envelope(JOURNAL, sender=None), client=Client("198.51.100.7"), submission=True)
    [outcome] = process(given, Message(about(smime(READER))), stage(journals).gateway())
    assert outcome.fate is fate


def test_by_smtp_a_stranger_is_refused_too():
    outcome, transfers = take(about(smime(READER)), shelf(), origin=Origin.OUTSIDE, protocol=Protocol.ESMTP)
    assert outcome.fate is Fate.REFUSED
    assert not transfers


# ---- the archive


def test_an_archive_that_is_not_internal_any_more_waits():
    on = stage(journals := Shelf(Journal(Address.parse(JOURNAL), Address.parse("archive@gone.example"))))
    outcome, transfers = take(about(smime(READER)), journals, on)
    assert outcome.fate is Fate.DEFERRED
    assert not transfers


def test_an_archive_outside_where_that_is_said():
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse("us@archive.example"), outside=True))
    _, [transfer] = take(about(smime(READER)), journals)
    assert transfer.hop is Hop.OUTSIDE
    assert [str(one.address) for one in transfer.recipients] == ["us@archive.example"]


def test_other_recipients_of_the_same_mail_get_it_as_ever():
    on = stage(shelf())
    raw = about(smime(READER))
    outcomes = process(envelope(JOURNAL, DORA, "bob@outside.example", JOURNAL), Message(raw), on.gateway())
    assert [one.fate for one in outcomes] == [Fate.RELAYED] * 4
    got = {str(one.recipients[0].address): b"".join(one.chunks) for one in on.sent}
    assert got.keys() == {ARCHIVE, DORA, "bob@outside.example"}
    assert CANARY in got[ARCHIVE]
    assert CANARY not in got[DORA]
    assert CANARY not in got["bob@outside.example"]


def test_nothing_is_kept_for_an_explanation():
    on = stage(journals := shelf(on_unopened=OnUnopened.KEEP))
    gateway = replace(on.gateway(), journals=NoKeeping(journals))
    [found] = explain(envelope(JOURNAL), Message(about(smime(EMIL))), gateway)
    assert found.fate is Fate.KEPT
    assert not journals.kept
    [found] = explain(envelope(JOURNAL), Message(about(smime(READER))), gateway)
    assert found.treatment is Treatment.OPENED


def test_whatever_port_fails_the_report_is_deferred_and_nothing_is_decrypted_elsewhere():
    raw = about(smime(READER))
    calls = 0
    while True:
        calls += 1
        interrupt = Interrupter(calls)
        journals = shelf(on_unopened=OnUnopened.KEEP)
        journals.interrupt = interrupt
        on = stage(journals, interrupt=interrupt)
        [outcome] = process(envelope(JOURNAL, sender=None), Message(raw), on.gateway())
        if interrupt.calls < calls:
            break
        for transfer in on.sent:
            assert [str(one.address) for one in transfer.recipients] == [ARCHIVE]
        assert outcome.fate in (Fate.DEFERRED, Fate.RELAYED)
        assert not journals.kept
    assert calls > 8
