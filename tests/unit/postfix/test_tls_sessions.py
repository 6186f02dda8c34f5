"""What Postfix 3.7.11 has really said of TLS (tests/vectors/postfix), and how its sessions count in a report."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.tls_report import PolicyType
from mailseal.postfix.tls_choice import Choice, Source, StsFacts, StsMode
from mailseal.postfix.tls_policy import Level, TlsPolicy
from mailseal.postfix.tls_results import Result, result_of
from mailseal.postfix.tls_sessions import (
    MAX_BEGUN,
    MAX_PROCESSES,
    Fault,
    Grade,
    SessionReader,
    TlsSession,
    Trouble,
)

LOG = (Path(__file__).parents[2] / "vectors" / "postfix" / "smtp-3.7.11.log").read_text()
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
HEAD = "Nov 30 02:56:59 send postfix/smtp[{pid}]: "


def read(*lines: str, reader: SessionReader | None = None, pid: int = 7) -> list[TlsSession]:
    reader = reader or SessionReader()
    return [one for line in lines for one in reader.read(HEAD.format(pid=pid) + line, NOW)]


SENT, RELAY = "sent (250 2.0.0 kept)", "mx.b.example[192.0.2.1]:25"


def delivery(to="bob@b.example", relay=RELAY, status=SENT, queue_id="4jd7wC5y"):
    return f"{queue_id}: to=<{to}>, relay={relay}, delay=0.13, delays=0.01/0.03/0.05/0.05, dsn=2.0.0, status={status}"


def established(grade="Verified", host="mx.b.example[192.0.2.1]"):
    return f"{grade} TLS connection established to {host}:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"


# ---- the real log


def test_each_session_of_a_real_log_once():
    reader = SessionReader()
    found = [one for line in LOG.splitlines() for one in reader.read(line, NOW)]
    assert {(one.domain, one.host, one.grade, one.fault, one.trouble) for one in found} == {
        ("good.test", "good.test", Grade.VERIFIED, None, None),
        ("wrong.test", "wrong.test", Grade.UNTRUSTED, Fault.OTHER_NAME, Trouble.UNPROVEN),
        ("self.test", "self.test", Grade.UNTRUSTED, Fault.UNTRUSTED, Trouble.UNPROVEN),
        ("expired.test", "expired.test", Grade.UNTRUSTED, Fault.EXPIRED, Trouble.UNPROVEN),
        ("notls.test", "notls.test", None, None, Trouble.NOT_OFFERED),
        ("old.test", "old.test", None, None, Trouble.HANDSHAKE),
        ("broken.test", "broken.test", None, None, Trouble.REFUSED),
        ("refuse.test", "refuse.test", None, None, Trouble.REFUSED),
        ("goodtlsa.test", "goodtlsa.test", Grade.VERIFIED, None, None),
        ("bogustlsa.test", "bogustlsa.test", Grade.UNTRUSTED, Fault.NO_TLSA_MATCH, Trouble.UNPROVEN),
        ("notlstlsa.test", "notlstlsa.test", None, None, Trouble.NOT_OFFERED),
        ("unusable.test", "", None, None, Trouble.TLSA_UNUSABLE),
        ("good.plain", "", None, None, Trouble.NO_DNSSEC),
        ("wrong.plain", "wrong.plain", Grade.TRUSTED, None, None),
        ("self.plain", "self.plain", Grade.UNTRUSTED, Fault.NO_TLSA_MATCH, Trouble.UNPROVEN),
        ("expired.plain", "expired.plain", Grade.UNTRUSTED, None, None),
        ("notls.plain", "notls.plain", None, None, None),
        ("old.plain", "old.plain", None, None, Trouble.HANDSHAKE),
        ("two.test", "self.test", Grade.UNTRUSTED, Fault.UNTRUSTED, Trouble.UNPROVEN),
        ("two.test", "good.test", Grade.VERIFIED, None, None),
        ("sts.test", "good.test", Grade.VERIFIED, None, None),
        ("stsbad.test", "wrong.test", Grade.UNTRUSTED, Fault.OTHER_NAME, Trouble.UNPROVEN),
    }
    assert len(found) == 22
    assert next(one.address for one in found if one.domain == "wrong.test") == "10.9.0.2"


@given(st.integers(0, LOG.count("\n")))
def test_the_log_may_be_read_in_any_two_pieces(cut):
    lines = LOG.splitlines()
    whole = SessionReader()
    expected = [one for line in lines for one in whole.read(line, NOW)]
    first = SessionReader()
    found = [one for line in lines[:cut] for one in first.read(line, NOW)]
    second = SessionReader(json.loads(json.dumps(first.state)))
    # What was said of a certificate on the very last line is forgotten: a reason less.
    found += [one for line in lines[cut:] for one in second.read(line, NOW)]
    assert [(one.domain, one.host, one.grade, one.trouble) for one in found] == [
        (one.domain, one.host, one.grade, one.trouble) for one in expected
    ]


# ---- single lines


def test_the_recipients_of_one_delivery_had_one_session():
    assert len(read(established(), delivery(), delivery(to="eve@b.example"))) == 1


def test_two_deliveries_over_a_session_each():
    assert len(read(established(), delivery(), established(), delivery(queue_id="4jd7wC5z"))) == 2


def test_a_mail_that_is_tried_again_had_another_session():
    refused = delivery(status="deferred (Server certificate not verified)")
    reader = SessionReader()
    found = [one for _ in range(3) for one in read(established("Untrusted"), refused, refused, reader=reader)]
    assert [one.trouble for one in found] == [Trouble.UNPROVEN] * 3
    offered = delivery(status="deferred (TLS is required, but was not offered by host mx.b.example[192.0.2.1])")
    for second in (10, 11, 30, 31, 59):
        line = f"2026-11-30T02:57:{second:02}Z send postfix/smtp[7]: {offered}"
        found += reader.read(line, NOW)
    assert [one.trouble for one in found[3:]] == [Trouble.NOT_OFFERED] * 3


def test_processes_are_kept_apart():
    reader = SessionReader()
    assert not read(established(), reader=reader, pid=1)
    assert not read(established("Untrusted", "mx.c.example[192.0.2.9]"), reader=reader, pid=2)
    [one] = read(delivery(), reader=reader, pid=1)
    assert (one.domain, one.grade) == ("b.example", Grade.VERIFIED)
    [other] = read(delivery(to="x@c.example", relay="mx.c.example[192.0.2.9]:25"), reader=reader, pid=2)
    assert (other.domain, other.grade) == ("c.example", Grade.UNTRUSTED)


def test_without_tls_only_where_the_log_speaks_of_tls_at_all():
    assert not read(delivery())
    assert read(delivery(), reader=SessionReader(says_tls=True))
    reader = SessionReader()
    read(established("Trusted"), delivery(queue_id="4jd7wC5a"), reader=reader)
    [one] = read(delivery(), reader=reader)
    assert (one.grade, one.trouble) == (None, None)


@pytest.mark.parametrize(
    ("relay", "status"),
    [
        ("none", "deferred (connect to mx.b.example[192.0.2.1]:25: Connection refused)"),
        (RELAY, "deferred (lost connection with mx.b.example[192.0.2.1] while receiving the greeting)"),
        ("mx.b.example[private/lmtp]", "sent (250 2.0.0 kept)"),
    ],
)  # fmt: skip
def test_what_was_no_session(relay, status):
    reader = SessionReader()
    read(established(), delivery(queue_id="4jd7wC5a"), reader=reader)
    assert not read(delivery(relay=relay, status=status), reader=reader)


def test_refused_mail_had_a_session_all_the_same():
    said = "bounced (host mx.b.example[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command))"
    [one] = read(established("Trusted"), delivery(status=said))
    assert one.grade is Grade.TRUSTED


@pytest.mark.parametrize(
    "said",
    [
        "sent (250 ok TLS is required, but was not offered by host evil.example[192.0.2.66])",
        "bounced (host mx.b.example[192.0.2.1] said: 550 Server certificate not verified)",
        "deferred (host mx.b.example[192.0.2.1] said: 450 TLSA records unusable)",
    ],
)
def test_a_server_does_not_write_our_reasons(said):
    [one] = read(established("Trusted"), delivery(status=said))
    assert one.trouble is None


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-30T02:56:59.123456+01:00", datetime(2026, 11, 30, 1, 56, 59, 123456, tzinfo=UTC)),
        ("2026-11-30T02:56:59Z", datetime(2026, 11, 30, 2, 56, 59, tzinfo=UTC)),
        ("Nov 30 02:56:59", datetime(2026, 11, 30, 2, 56, 59)),
        ("Nov  3 02:56:59", datetime(2026, 11, 3, 2, 56, 59)),
        ("Jan  1 00:00:01", datetime(2027, 1, 1, 0, 0, 1)),
        ("Dec 31 23:59:60", datetime(2026, 12, 31, 23, 59, 59)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_when(monkeypatch, stamp, expected, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        lines = [f"{stamp} send postfix/relay/smtp[7]: {one}" for one in (established(), delivery())]
        reader = SessionReader()
        [one] = [found for line in lines for found in reader.read(line, NOW)]
        assert one.at == (expected if expected.tzinfo else expected.astimezone(UTC))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("stamp", ["Foo 30 02:56:59", "Nov 31 02:56:59", "Nov 30 25:56:59", "2026-13-30T02:56:59Z"])
def test_when_nobody_knows_when(stamp):
    reader = SessionReader()
    for line in (established(), delivery()):
        assert not reader.read(f"{stamp} send postfix/smtp[7]: {line}", NOW)


@pytest.mark.parametrize("program", ["postfix/lmtp[7]", "postfix/qmgr[7]", "mailseal[7]", "smtp[7]"])
def test_lines_of_others(program):
    reader = SessionReader()
    for line in (established(), delivery()):
        assert not reader.read(f"Nov 30 02:56:59 send {program}: {line}", NOW)


def test_what_is_remembered_is_bounded():
    reader = SessionReader()
    for pid in range(MAX_PROCESSES + 50):
        read(established(), reader=reader, pid=pid)
    for _ in range(MAX_BEGUN + 50):
        read(established(), reader=reader, pid=MAX_PROCESSES)
    assert len(reader.state["processes"]) == MAX_PROCESSES
    assert len(read(delivery(), reader=reader, pid=MAX_PROCESSES)) == MAX_BEGUN


pieces = st.sampled_from(
    [
        "Nov 30 02:56:59", "2026-11-30T02:56:59Z", " send ", "postfix/smtp[7]", ": ", "4jd7wC5y: ", "to=<b@c.example>",
        ", relay=", "mx.b.example[192.0.2.1]:25", ", status=", "sent (", ")", "Verified TLS connection established to ",
        "certificate verification failed for ", "host ", "\0", "\udcff", "[", "(", "x" * 300,
    ]
)  # fmt: skip
lines = st.one_of(st.text(max_size=100), st.lists(pieces, max_size=14).map("".join))


@given(st.lists(lines, max_size=8))
def test_any_lines(found):
    reader = SessionReader()
    for line in found:
        reader.read(line, NOW)
    json.dumps(reader.state)


states = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["processes", "says_tls", "7"]), inner),
)


@given(st.dictionaries(st.sampled_from(["processes", "says_tls"]), states))
def test_any_state_of_another_release(state):
    reader = SessionReader(state)
    assert len(read(established(), delivery(), reader=reader)) >= 1


# ---- how they count


def session(grade=None, trouble=None, fault=None, host="mx.b.example"):
    return TlsSession(NOW, "bob@b.example", host, "192.0.2.1", grade, fault, trouble, "in words")


def choice(level, source=Source.DEFAULT):
    names = ("mx.b.example",) if level is Level.SECURE else ()
    prints = ("0" * 64,) if level is Level.FINGERPRINT else ()
    return Choice(TlsPolicy(level, names, prints), source)


ENFORCE, TESTING = (StsFacts(mode, ("mx.b.example", "*.c.example")) for mode in (StsMode.ENFORCE, StsMode.TESTING))
BY_STS = choice(Level.SECURE, Source.STS)
STS, TLSA, NONE = PolicyType.STS, PolicyType.TLSA, PolicyType.NONE
UNTRUSTED, UNPROVEN = Grade.UNTRUSTED, Trouble.UNPROVEN


@pytest.mark.parametrize(
    ("given", "sts", "told", "kind", "failure"),
    [
        (session(Grade.VERIFIED), ENFORCE, BY_STS, STS, None),
        (session(UNTRUSTED, UNPROVEN, Fault.EXPIRED), ENFORCE, BY_STS, STS, "certificate-expired"),
        (session(UNTRUSTED, UNPROVEN, Fault.UNTRUSTED), ENFORCE, BY_STS, STS, "certificate-not-trusted"),
        (session(UNTRUSTED, UNPROVEN, Fault.OTHER_NAME), ENFORCE, BY_STS, STS, "certificate-host-mismatch"),
        (session(UNTRUSTED, UNPROVEN, Fault.OTHER), ENFORCE, BY_STS, STS, "validation-failure"),
        (session(UNTRUSTED, UNPROVEN), ENFORCE, BY_STS, STS, "validation-failure"),
        (session(None, Trouble.NOT_OFFERED), ENFORCE, BY_STS, STS, "starttls-not-supported"),
        (session(None, Trouble.HANDSHAKE), ENFORCE, BY_STS, STS, "validation-failure"),
        (session(UNTRUSTED), ENFORCE, BY_STS, NONE, None),
        (session(None), ENFORCE, BY_STS, NONE, "starttls-not-supported"),
        (session(Grade.TRUSTED), TESTING, choice(Level.MAY), STS, None),
        (session(Grade.TRUSTED, host="MX.c.example"), TESTING, choice(Level.MAY), STS, None),
        (session(Grade.TRUSTED, host="a.mx.c.example"), TESTING, choice(Level.MAY), STS, "validation-failure"),
        (session(Grade.TRUSTED, host="mx.d.example"), TESTING, choice(Level.MAY), STS, "validation-failure"),
        (session(UNTRUSTED), TESTING, choice(Level.MAY), STS, "certificate-not-trusted"),
        (session(None), TESTING, choice(Level.DANE), STS, "starttls-not-supported"),
        (session(Grade.VERIFIED), TESTING, choice(Level.DANE), TLSA, None),
        (session(Grade.VERIFIED), None, choice(Level.DANE), TLSA, None),
        (session(UNTRUSTED, UNPROVEN, Fault.NO_TLSA_MATCH), None, choice(Level.DANE), TLSA, "validation-failure"),
        (session(None, Trouble.NOT_OFFERED), None, choice(Level.DANE), TLSA, "starttls-not-supported"),
        (session(None, Trouble.TLSA_UNUSABLE), None, choice(Level.DANE_ONLY), TLSA, "tlsa-invalid"),
        (session(None, Trouble.TLSA_UNKNOWN), None, choice(Level.DANE), TLSA, "dnssec-invalid"),
        (session(None, Trouble.NO_DNSSEC), None, choice(Level.DANE_ONLY), TLSA, "dane-required"),
        (session(None, Trouble.NO_TLSA), ENFORCE, choice(Level.DANE_ONLY, Source.STS), TLSA, "dane-required"),
        (session(UNTRUSTED), None, choice(Level.DANE), NONE, None),
        (session(Grade.ANONYMOUS), None, choice(Level.MAY), NONE, None),
        (session(None), None, choice(Level.DANE), NONE, "starttls-not-supported"),
        (session(None, Trouble.HANDSHAKE), StsFacts(StsMode.NONE), choice(Level.MAY), NONE, "validation-failure"),
        (session(UNTRUSTED, UNPROVEN), None, choice(Level.FINGERPRINT, Source.RULE), NONE, None),
        (session(UNTRUSTED, UNPROVEN, Fault.OTHER_NAME), ENFORCE, choice(Level.SECURE, Source.RULE), NONE, None),
        (session(None, Trouble.NOT_OFFERED), None, choice(Level.ENCRYPT, Source.RULE), NONE, "starttls-not-supported"),
    ],
)  # fmt: skip
def test_how_a_session_counts(given, sts, told, kind, failure):
    found = result_of(given, sts, told)
    assert (found.type, found.failure) == (kind, failure)


def test_every_kind_of_session_counts_in_some_way():
    for grade in (None, *Grade):
        for trouble in (None, *Trouble):
            for fault in (None, *Fault):
                for sts in (None, ENFORCE, TESTING):
                    for level in Level:
                        found = result_of(session(grade, trouble, fault), sts, choice(level))
                        assert isinstance(found, Result)


def test_a_day_is_one_of_utc():
    assert read(established(), delivery())[0].at.utcoffset() == timedelta(0)
