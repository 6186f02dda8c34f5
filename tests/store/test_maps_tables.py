"""What Postfix is answered, table by table, from both databases."""

import pytest

from mailseal.config import from_values
from mailseal.errors import MailsealError, TransientError
from mailseal.mail.address import Address
from mailseal.postfix.names import Table
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy
from mailseal.roles.maps_tables import MAPS, NOBODY, Sources
from mailseal.store import domains, journaling, logins, tls_policies
from mailseal.store.transaction import StoreUnavailable, close_connection, unit_of_work
from mailseal.transport.socketmap import Kind

INSIDE = ["smtp://10.0.0.5:25?tls=required", "smtp://mx.inner.example:25?tls=required"]


@pytest.fixture(autouse=True)
def _domains(store):
    domains.add("alpha.example")
    domains.add("*.alpha.example")
    domains.add("partner.alpha.example", internal=False)
    domains.add("bücher.example")


def sources(*, office365=None, tls=None, **postfix):
    tables = {
        "hostname": "gate.alpha.test",
        "postfix": {"instance": "private", **postfix},
        "tls": {"mta_sts": False, **(tls or {})},
    }
    return Sources(from_values(tables | ({"office365": office365} if office365 else {})))


def ask(table: Table, key: str, known: Sources | None = None) -> str | None:
    """The value; None: not found."""
    found = MAPS[table](known or sources(), key)
    assert not found.passing
    assert found.reply.kind in (Kind.OK, Kind.NOT_FOUND)
    return found.reply.text if found.reply.kind is Kind.OK else None


@pytest.mark.parametrize(
    ("domain", "ours"),
    [
        ("alpha.example", True),
        ("ALPHA.example", True),
        ("x.alpha.example", True),
        ("y.x.alpha.example", True),
        ("partner.alpha.example", False),
        ("bücher.example", True),
        ("xn--bcher-kva.example", True),
        ("x.xn--bcher-kva.example", False),
        ("example", False),
        ("out.example", False),
        ("[192.0.2.1]", False),
        ("", False),
        ("*", False),
        (".alpha.example", False),
        ("alpha..example", False),
        ("\udcff\udcfe", False),
        ("x" * 3000, False),
    ],
)
def test_relay_domains_are_the_internal_ones(domain, ours):
    assert (ask(Table.RELAY_DOMAINS, domain) is not None) is ours
    if ours:
        assert ask(Table.TRANSPORT, f"anna@{domain}", sources(inside=INSIDE)) is not None


@pytest.mark.parametrize(
    ("hops", "answer"),
    [
        (INSIDE, "mailseal-inside:[10.0.0.5]:25, [mx.inner.example]:25"),
        (["smtps://[2001:db8::5]:465"], "mailseal-inside:[2001:db8::5]:465"),
        (["lmtp://10.0.0.5:24"], "mailseal-inside:inet:[10.0.0.5]:24"),
        (["lmtp:///run/dovecot/lmtp"], "mailseal-inside:unix:/run/dovecot/lmtp"),
        ([], "smtp:"),
    ],
)
def test_mail_for_our_own_goes_to_the_inner_servers(hops, answer):
    known = sources(inside=hops)
    for key in (
        "anna@alpha.example",
        "a b@alpha.example",
        '"a b"@alpha.example',
        "a@b@ALPHA.example",
        "@alpha.example",
    ):
        assert ask(Table.TRANSPORT, key, known) == answer


def test_all_other_mail_goes_its_way_or_to_the_smart_hosts():
    others = ("olga@out.example", "x@partner.alpha.example", "root@gate.alpha.test", "x@localhost")
    nowhere = ("*", "olga", "", "olga@", "@", "x@..", "x@\udcff")
    known = sources(inside=INSIDE)
    assert [ask(Table.TRANSPORT, key, known) for key in (*others, *nowhere)] == [None] * 11
    known = sources(inside=INSIDE, outside=["smtp://a.example:587?tls=verified", "smtp://b.example:587?tls=verified"])
    smart = "mailseal-smarthost:[a.example]:587, [b.example]:587"
    assert [ask(Table.TRANSPORT, key, known) for key in others] == [smart] * 4
    assert [ask(Table.TRANSPORT, key, known) for key in nowhere] == [None] * 7


def test_mail_for_the_machine_itself_stays_with_its_own_postfix():
    known = sources(instance="system", outside=["smtp://a.example:587"])
    assert ask(Table.TRANSPORT, "root@gate.alpha.test", known) is None
    assert ask(Table.TRANSPORT, "root@localhost", known) is None
    assert ask(Table.TRANSPORT, "olga@out.example", known) == "mailseal-smarthost:[a.example]:587"
    domains.add("gate.alpha.test")
    assert ask(Table.TRANSPORT, "root@gate.alpha.test", known) == "smtp:", "unless it is one of our domains"


def rule(destination: str, level: Level, *, direct: bool = False):
    tls_policies.set_rule(TlsRule(read_destination(destination), TlsPolicy(level), direct))


def test_a_tls_rule_that_the_way_would_break_makes_the_mail_wait():
    rule("out.example", Level.ENCRYPT)
    rule("direct.example", Level.ENCRYPT, direct=True)
    known = sources(outside=["smtp://a.example:587"])
    with pytest.raises(TransientError, match=r"encrypt is set for out\.example"):
        ask(Table.TRANSPORT, "olga@out.example", known)
    assert ask(Table.TRANSPORT, "olga@direct.example", known) == "smtp:"
    assert ask(Table.TRANSPORT, "olga@other.example", known) == "mailseal-smarthost:[a.example]:587"
    assert ask(Table.TRANSPORT, "olga@out.example", sources()) is None, "its own MX hosts are asked for its policy"
    assert ask(Table.TLS, "out.example") == "encrypt"


def test_tls_has_an_answer_for_each_next_hop():
    known = sources(inside=INSIDE)
    assert ask(Table.TLS, "[10.0.0.5]:25", known) == "encrypt"
    assert ask(Table.TLS, "other.example", known) == "dane"
    assert ask(Table.TLS, ".example", known) is None
    with pytest.raises(MailsealError):
        ask(Table.TLS, "\udcff", known)


def test_the_first_question_about_mta_sts_is_worth_waiting_a_moment():
    found = MAPS[Table.TLS](sources(tls={"mta_sts": True}), "new.example")
    assert (found.reply.text, found.passing) == ("dane", True)


def test_domains_of_the_neighbour_go_there():
    host = "smtp://alpha.mail.protection.outlook.com:25"
    tenant = {"tenants": ["11111111-2222-3333-4444-555555555555"], "return_to": host, "domains": ["alpha.example"]}
    known = sources(inside=INSIDE, office365=tenant)
    answer = "mailseal-exchange-online:[alpha.mail.protection.outlook.com]:25"
    assert ask(Table.TRANSPORT, "anna@alpha.example", known) == answer
    assert ask(Table.TRANSPORT, "anna@x.alpha.example", known).startswith("mailseal-inside:")


def test_who_may_use_a_sender():
    logins.add("anna", "x", ["anna@alpha.example", "info@alpha.example", "anna@private.test"])
    logins.add("bert", "x", ["info@alpha.example"])
    logins.add("dora", "x", ["dora@alpha.example"])
    logins.set_enabled("dora", enabled=False)
    asked = {key: ask(Table.SENDER_LOGINS, key) for key in (
        "anna@alpha.example", '"anna"@alpha.example', "info@alpha.example", "anna@private.test",
        "dora@alpha.example", "ceo@alpha.example", "anna+x@alpha.example", "x@x.alpha.example",
        "olga@out.example", "anna", "", "a b@alpha.example", "\udcff@alpha.example", "x" * 3000 + "@alpha.example",
    )}  # fmt: skip
    assert asked == {
        "anna@alpha.example": "anna",
        '"anna"@alpha.example': "anna",
        "info@alpha.example": "anna,bert",
        "anna@private.test": "anna",
        "dora@alpha.example": NOBODY,
        "ceo@alpha.example": NOBODY,
        "anna+x@alpha.example": NOBODY,
        "x@x.alpha.example": NOBODY,
        "olga@out.example": None,
        "anna": NOBODY,
        "": NOBODY,
        "a b@alpha.example": NOBODY,
        "\udcff@alpha.example": NOBODY,
        "x" * 3000 + "@alpha.example": NOBODY,
    }


def test_addresses_that_end_here():
    journaling.add(Address.parse("journal@alpha.example"), Address.parse("archive@alpha.example"))
    for key in ("journal@alpha.example", "JOURNAL@alpha.example", '"journal"@alpha.example'):
        assert ask(Table.ENDS_HERE, key) == "OK"
    for key in ("archive@alpha.example", "alpha.example", "journal", "\udcff", "tls@alpha.example"):
        assert ask(Table.ENDS_HERE, key) is None


def test_the_address_of_tls_reports_ends_here():
    given = Sources(from_values({"tls_reports": {"address": "tls@alpha.example"}}))
    assert ask(Table.ENDS_HERE, "TLS@alpha.example", given) == "OK"
    assert ask(Table.ENDS_HERE, "anna@alpha.example", given) is None


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (Table.RELAY_DOMAINS, "alpha.example"),
        (Table.TRANSPORT, "anna@alpha.example"),
        (Table.SENDER_LOGINS, "anna@alpha.example"),
        (Table.TLS, "out.example"),
        (Table.ENDS_HERE, "anna@alpha.example"),
    ],
)
def test_without_the_database_nothing_is_found_and_nothing_is_not_found(table, key, monkeypatch):
    """Each table asks; and what it raises is an answer that makes the mail wait."""
    from mailseal.store import transaction  # noqa: PLC0415

    def away(*_, **__):
        raise StoreUnavailable("away")

    monkeypatch.setattr(transaction, "_rows", away)
    monkeypatch.setattr(transaction, "_persist", away)
    close_connection()
    with pytest.raises(StoreUnavailable), unit_of_work():
        MAPS[table](sources(inside=INSIDE), key)
    transaction.BREAKER.reset()


def test_there_is_a_table_for_each_name():
    assert MAPS.keys() == set(Table)
