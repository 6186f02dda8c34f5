"""The log of Postfix becomes counts: each session once, whatever happens to the file and to whoever reads it."""

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mailseal.config import from_values
from mailseal.mail.tls_report import AppliedPolicy
from mailseal.postfix.tls_choice import StsMode, StsPolicy, TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy
from mailseal.roles import tls_log
from mailseal.roles.tls_log import TlsLog, log_of
from mailseal.store import domains, sts_policies, tls_policies, tls_sessions
from mailseal.store.pace import Turn
from mailseal.store.sts_policies import Looked
from mailseal.store.tls_report_models import TlsSessionRow
from mailseal.store.tls_sessions import Kind

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TODAY = date(2026, 11, 30)
REAL = (Path(__file__).parents[1] / "vectors" / "postfix" / "smtp-3.7.11.log").read_text()


def line(text: str, pid: int = 7, at: str = "2026-11-30T02:56:59+00:00") -> str:
    return f"{at} send postfix/smtp[{pid}]: {text}\n"


def session(domain="b.example", grade="Trusted", said="sent (250 kept)", queue_id="4jd7wC5y", **more) -> str:
    host = f"mx.{domain}[192.0.2.1]:25"
    return line(f"{grade} TLS connection established to {host}: TLSv1.3", **more) + line(
        f"{queue_id}: to=<bob@{domain}>, relay={host}, delay=1, delays=1/0/0/0, dsn=2.0.0, status={said}", **more
    )


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "maillog"


@pytest.fixture
def config(log):
    return {"tls_reports": {"contact": "tls@alpha.example", "maillog": str(log), "sending_address": "192.0.2.9"}}


@pytest.fixture
def reader(store, config, directory):
    domains.add("alpha.example")
    return lambda **more: TlsLog(from_values(config | more), directory, now=lambda: NOW)


def read(reader, **more) -> None:
    reader(**more).read(Turn())


def counted(domain="b.example") -> dict[str, int]:
    """Sessions by result."""
    return {row.result: row.sessions for row in TlsSessionRow.objects.filter(domain=domain)}


def test_a_real_log_becomes_a_report(reader, log):
    log.write_text(REAL)

    sts_policies.looked("sts.test", looked(StsMode.ENFORCE, "good.test"), NOW)
    sts_policies.looked("stsbad.test", looked(StsMode.ENFORCE, "good.test"), NOW)
    tls_policies.set_rule(TlsRule(read_destination("two.test"), TlsPolicy(Level.SECURE, ("good.test",))))
    read(reader)

    found = {one.domain: (one.succeeded, one.failed) for one in tls_sessions.days(since=date(2026, 11, 1))}
    assert found["sts.test"] == (1, 0)
    assert found["stsbad.test"] == (0, 1)
    assert found["goodtlsa.test"] == (1, 0)
    assert found["bogustlsa.test"] == (0, 1)
    assert found["two.test"] == (2, 0)
    assert found["notls.plain"] == (0, 1)
    assert len(found) == 21
    day = tls_sessions.days(since=date(2026, 11, 1), domain="stsbad.test")[0].day
    [one] = tls_sessions.policies_of(day, "stsbad.test")
    assert one.policy == AppliedPolicy(
        "sts",
        "stsbad.test",
        ("version: STSv1", "mode: enforce", "mx: good.test", "max_age: 86400"),
        ("good.test",),
    )
    [failures] = one.failures
    assert (failures.result, failures.mx, failures.mx_address, failures.sending_address) == (
        "certificate-host-mismatch", "wrong.test", "10.9.0.2", "192.0.2.9",
    )  # fmt: skip
    assert "hostname mismatch" in failures.reason
    [bogus] = tls_sessions.policies_of(day, "bogustlsa.test")
    assert (bogus.policy.type, bogus.failures[0].result) == ("tlsa", "validation-failure")


def looked(mode: StsMode, *names: str) -> Looked:
    return Looked("1", StsPolicy(mode, names, 86400))


def test_each_line_counts_once_however_often_it_is_read(reader, log):
    log.write_text(session())
    for _ in range(3):
        read(reader)
    with log.open("a") as more:
        more.write(session(queue_id="4jd7wC5z"))
    for _ in range(3):
        read(reader)
    assert counted() == {"": 2}


def test_a_line_that_is_not_whole_waits(reader, log):
    text = session()
    log.write_text(text[:-20])
    read(reader)
    assert counted() == {}
    log.write_text(text)
    read(reader)
    assert counted() == {"": 1}


def test_what_began_before_a_restart_ends_after_it(reader, log):
    begin, end = session().splitlines(keepends=True)
    log.write_text(begin)
    read(reader)
    log.write_text(begin + end)
    read(reader)
    assert counted() == {"": 1}


def test_moved_away_and_begun_anew(reader, log):
    log.write_text(session())
    read(reader)
    with log.open("a") as more:
        more.write(session(queue_id="4jd7wC5z") + session(queue_id="4jd7wC60").splitlines(keepends=True)[0])
    log.rename(log.with_name("maillog.1"))
    log.with_name("maillog.2.gz").write_bytes(gzip.compress(b"older"))
    log.with_name("maillog.d").mkdir()
    log.write_text(session(queue_id="4jd7wC60").splitlines(keepends=True)[1] + session(queue_id="4jd7wC61"))
    for _ in range(2):
        read(reader)
    assert counted() == {"": 4}


def test_moved_away_and_compressed_at_once(reader, log):
    log.write_text(session())
    read(reader)
    log.rename(log.with_name("maillog.1"))
    log.with_name("maillog.1").unlink()
    log.write_text(session(queue_id="4jd7wC61"))
    read(reader)
    assert counted() == {"": 2}


@pytest.mark.parametrize("more", ["", session(queue_id="4jd7wC61") * 5], ids=["shorter", "longer than before"])
def test_cut_and_written_anew(reader, log, more):
    log.write_text(session() + session(queue_id="4jd7wC5z"))
    read(reader)
    with log.open("r+") as file:
        file.truncate(0)
        file.write(session(queue_id="4jd7wC62", at="2026-11-30T03:56:59+00:00") + more)
    read(reader)
    assert counted() == {"": 3 + more.count("status=")}


def test_a_log_that_is_not_there_comes_later(reader, log):
    following = reader()
    following.read_sometimes(Turn())
    log.write_text(session())
    following.read(Turn())
    assert counted() == {"": 1}


def test_what_is_no_file_is_not_read(reader, log):
    log.mkdir()
    reader().read_sometimes(Turn())
    with pytest.raises(OSError, match="no file"):
        reader().read(Turn())


def test_lines_without_end_are_passed_over(reader, log, monkeypatch):
    monkeypatch.setattr(tls_log, "PIECE_BYTES", 4096)
    monkeypatch.setattr(tls_log, "MAX_LINE_BYTES", 1024)
    log.write_text("x" * 20_000 + "\n" + session())
    read(reader)
    assert counted() == {"": 1}


def test_a_turn_that_is_over_goes_on_the_next_time(reader, log, monkeypatch):
    monkeypatch.setattr(tls_log, "PIECE_BYTES", 1000)
    log.write_text("".join(session(queue_id=f"4jd7wC{number:02}") for number in range(40)))
    following = reader()
    for _ in range(60):
        following.read(Turn(0.0001))
    following.read(Turn())
    assert counted() == {"": 40}


def test_what_goes_to_servers_of_ours_is_not_counted(reader, log):
    log.write_text(session("alpha.example") + session("b.example"))
    read(reader)
    assert counted("alpha.example") == {}
    assert counted() == {"": 1}


def test_what_goes_to_a_smart_host_is_not_counted(reader, log):
    log.write_text(session("b.example") + session("c.example"))
    policy = TlsPolicy(Level.ENCRYPT)
    tls_policies.set_rule(TlsRule(read_destination("c.example"), policy, direct=True))
    read(reader, postfix={"outside": ["smtp://relay.example:587"]})
    assert counted() == {}
    assert counted("c.example") == {"": 1}


def test_without_a_contact_nothing_is_counted(reader, log):
    log.write_text(session())
    assert log_of(from_values({"tls_reports": {"maillog": str(log)}})) is None
    assert log_of(from_values({"tls_reports": {"contact": "a@b.example"}})) is None
    private = {"tls_reports": {"contact": "a@b.example"}, "postfix": {"instance": "private", "folder": "/srv/p"}}
    assert log_of(from_values(private)) == Path("/srv/p/log/maillog")


# ---- counts


def kind(**more) -> Kind:
    given = {"day": TODAY, "policy": AppliedPolicy("sts", "b.example", ("version: STSv1",), ("mx.b.example",))}
    return Kind(**given | more)


FAILED = {"result": "certificate-expired", "reason": "x", "mx": "mx.b.example", "mx_address": "192.0.2.1"}


def add(counts) -> None:
    tls_sessions.add(counts, "/log", tls_sessions.LogPosition(offset=1))


def test_alike_is_one_row_over_all_nodes(store):
    add({kind(): 2, kind(**FAILED): 1})
    add({kind(): 3, kind(**FAILED): 4, kind(policy=AppliedPolicy("no-policy-found", "b.example")): 1})
    sts, none = tls_sessions.policies_of(TODAY, "b.example")
    assert (sts.policy.type, sts.succeeded, sts.failed) == ("sts", 5, 5)
    assert [(one.result, one.sessions, one.reason) for one in sts.failures] == [("certificate-expired", 5, "x")]
    assert (none.policy.type, none.succeeded) == ("no-policy-found", 1)
    assert [(one.succeeded, one.failed) for one in tls_sessions.days(since=TODAY)] == [(6, 5)]


def test_counted_by_nodes_at_the_same_time(in_threads):
    in_threads(lambda _: [add({kind(): 1, kind(**FAILED): 1}) for _ in range(5)], 4)
    [one] = tls_sessions.policies_of(TODAY, "b.example")
    assert (one.succeeded, one.failed) == (20, 20)


def test_many_hosts_of_one_domain_become_one_row(store, monkeypatch):
    monkeypatch.setattr(tls_sessions, "MAX_KINDS_PER_DOMAIN", 5)
    add({kind(**FAILED | {"mx": f"mx{number}.b.example"}): 1 for number in range(20)})
    [one] = tls_sessions.policies_of(TODAY, "b.example")
    assert one.failed == 20
    assert len(one.failures) == 6
    assert next(each.sessions for each in one.failures if not each.mx) == 15


def test_days_and_domains(store):
    yesterday = TODAY - timedelta(days=1)
    other = AppliedPolicy("tlsa", "a.example")
    add({kind(): 1, kind(day=yesterday): 1, kind(policy=other): 2})
    assert tls_sessions.domains_of(TODAY) == ("a.example", "b.example")
    assert [(one.day, one.domain) for one in tls_sessions.days(since=yesterday)] == [
        (TODAY, "b.example"), (TODAY, "a.example"), (yesterday, "b.example"),
    ]  # fmt: skip
    assert len(tls_sessions.days(since=yesterday, domain="b.example")) == 2
    assert tls_sessions.purge(TODAY) == 1
    assert tls_sessions.policies_of(yesterday, "b.example") == ()
