"""TLS rules in the store, and what Postfix is answered."""

from datetime import UTC, datetime, timedelta

import pytest

from mailseal.config import from_values
from mailseal.mail.address import AddressError
from mailseal.postfix.tls_choice import RuleNotKeptError, Source, StsMode, StsPolicy, TlsRule
from mailseal.postfix.tls_destination import UnknownKeyError, read_destination
from mailseal.postfix.tls_policy import LeastTls, Level, ServerName, TlsPolicy, TlsPolicyError
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store import sts_policies, tls_policies
from mailseal.store.stamps import Scope, StampWatch
from mailseal.store.sts_policies import Looked, StoreStsPolicies
from mailseal.store.tls_answers import TlsAnswers
from mailseal.store.tls_policies import BrokenTlsRuleError, StoreTlsRules, TlsRuleError
from mailseal.store.tls_policy_models import StsPolicyRow, TlsPolicyRow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
DIGEST = "ab" * 32
FULL = TlsRule(
    read_destination("a.example"),
    TlsPolicy(Level.SECURE, ("mx.a.example", "*.b.example"), (), LeastTls.TLS_1_3, ServerName.HOST),
    direct=True,
)
PINNED = TlsRule(read_destination("[mx.a.example]:587"), TlsPolicy(Level.FINGERPRINT, fingerprints=(DIGEST,)))
WIDE = TlsRule(read_destination("*.example"), TlsPolicy(Level.MAY))


def answers(mta_sts=False, **postfix):
    config = from_values({"postfix": postfix, "hostname": "gw.example"})
    return TlsAnswers(Ways.of(config), StoreStsPolicies() if mta_sts else None, now=lambda: NOW)


def test_what_is_set_is_read_whole(store):
    for rule in (FULL, PINNED, WIDE):
        tls_policies.set_rule(rule)
    rules = StoreTlsRules()
    assert rules.first(["a.example", "*.example"]) == FULL
    assert rules.first(["[mx.a.example]:587"]) == PINNED
    assert rules.first(["b.example", "*.example"]) == WIDE
    assert rules.first(["b.test", "*.test"]) is None
    assert rules.first([]) is None
    assert [one.rule for one in tls_policies.list_rules()] == [WIDE, PINNED, FULL]


def test_a_rule_takes_the_place_of_the_one_before(store):
    first = tls_policies.set_rule(FULL, comment="by phone", owner="A.example")
    assert (first.comment, first.owner) == ("by phone", "a.example")
    tls_policies.set_rule(TlsRule(FULL.destination, TlsPolicy(Level.ENCRYPT)))
    (found,) = tls_policies.list_rules()
    assert found.rule == TlsRule(FULL.destination, TlsPolicy(Level.ENCRYPT))
    assert (found.comment, found.owner, found.created) == ("", "", first.created)
    assert tls_policies.unset_rule(FULL.destination)
    assert not tls_policies.unset_rule(FULL.destination)
    assert tls_policies.list_rules() == ()


def test_what_is_no_rule(store):
    with pytest.raises(TlsRuleError, match="next hop"):
        tls_policies.set_rule(TlsRule(PINNED.destination, PINNED.policy, direct=True))
    with pytest.raises(TlsRuleError, match="one line"):
        tls_policies.set_rule(WIDE, comment="a\nb")
    for owner in ("*.example", "a@a.example"):
        with pytest.raises(TlsRuleError, match="is a domain"):
            tls_policies.set_rule(WIDE, owner=owner)
    with pytest.raises(AddressError):
        tls_policies.set_rule(WIDE, owner="a b")
    assert not TlsPolicyRow.objects.exists()


@pytest.mark.parametrize(
    "damage",
    [
        {"level": "secure match=x"}, {"level": "SECURE"}, {"level": ""}, {"names": ["a.example none"]},
        {"names": ["hostname"]}, {"names": {"a": 1}}, {"names": [1]}, {"names": []}, {"fingerprints": ["xx"]},
        {"least_tls": "1.0"}, {"servername": "a b"}, {"servername": "mx.a.example"}, {"destination": "a b.example"},
    ],
)  # fmt: skip
def test_a_row_that_was_tampered_with_stops_its_mail_alone(store, damage):
    tls_policies.set_rule(FULL)
    tls_policies.set_rule(WIDE)
    TlsPolicyRow.objects.filter(destination="a.example").update(**damage)
    key = damage.get("destination", "a.example")
    found = StoreTlsRules()
    if damage == {"names": []}:  # a rule too: the default names
        assert found.first([key]).policy.names == ()
        return
    with pytest.raises(BrokenTlsRuleError, match="set it again"):
        found.first([key, "*.example"])
    assert found.first(["b.example", "*.example"]) == WIDE
    assert {one.destination: one.rule is None for one in tls_policies.list_rules()} == {key: True, "*.example": False}
    if key == "a.example":
        with pytest.raises(BrokenTlsRuleError):
            answers().policy("a.example")
        with pytest.raises(BrokenTlsRuleError):
            answers().way("a.example", internal=False)


def test_a_change_is_seen_by_the_stamp(store):
    asked = answers()
    watch = StampWatch({Scope.TLS: [asked.clear]})
    watch.poll(0)
    assert asked.policy("a.example").text == "dane"
    tls_policies.set_rule(TlsRule(FULL.destination, TlsPolicy(Level.ENCRYPT)))
    watch.poll(1)
    assert asked.policy("a.example").text == "encrypt"
    tls_policies.unset_rule(FULL.destination)
    watch.poll(2)
    assert asked.policy("a.example").text == "dane"


def test_what_postfix_is_answered(store):
    for rule in (FULL, PINNED, WIDE):
        tls_policies.set_rule(rule)
    asked = answers(inside=["smtp://10.0.0.5:25?tls=required"], outside=["smtp://mx.a.example:587?tls=verified"])
    secure = "secure match=mx.a.example:.b.example servername=hostname protocols=>=TLSv1.3"
    pinned = "fingerprint match=" + ":".join(["AB"] * 32)
    for key, text in (
        ("a.example", secure), ("x.a.example", "may"), ("[mx.a.example]:587", pinned), ("[10.0.0.5]:25", "encrypt"),
        ("a.test", "dane"), ("/run/x", "none"),
    ):  # fmt: skip
        assert asked.policy(key).text == text, key
    assert asked.policy(".test") is None
    assert asked.policy("a.example").choice.source is Source.RULE
    with pytest.raises(UnknownKeyError):
        asked.policy("a b")
    with pytest.raises(TlsPolicyError):
        answers(inside=["smtp://[2001:db8::1]:25?tls=verified"]).policy("[2001:db8::1]:25")


def test_the_way_of_mail(store):
    tls_policies.set_rule(TlsRule(read_destination("a.example"), TlsPolicy(Level.ENCRYPT)))
    tls_policies.set_rule(TlsRule(read_destination("*.b.example"), TlsPolicy(Level.ENCRYPT), direct=True))
    by_mx, by_smart_host = answers(), answers(outside=["smtp://relay.example:25"], inside=["smtp://10.0.0.5:25"])
    assert by_mx.way("a.example", internal=False) is Way.MX
    assert by_smart_host.way("c.example", internal=False) is Way.SMART_HOST
    assert by_smart_host.way("c.example", internal=True) is Way.INSIDE
    assert by_smart_host.way("x.b.example", internal=False) is Way.MX
    for domain, internal in (("a.example", False), ("a.example", True), ("x.b.example", True)):
        with pytest.raises(RuleNotKeptError, match="encrypt is set for"):
            by_smart_host.way(domain, internal=internal)


def test_a_domain_whose_mail_goes_back_to_the_neighbour(store):
    office365 = {
        "tenants": ["11111111-2222-3333-4444-555555555555"],
        "domains": ["a.example"],
        "return_to": "smtp://a-example.mail.protection.test:25",
    }
    asked = TlsAnswers.of(from_values({"office365": office365}))
    assert asked.way("a.example", internal=True) is Way.INSIDE
    assert asked.way("b.example", internal=True) is Way.MX
    assert asked.policy("[a-example.mail.protection.test]:25").text == "secure match=a-example.mail.protection.test"


def enforce(domain, **more):
    policy = StsPolicy(StsMode.ENFORCE, (f"mx.{domain}", f"*.mx.{domain}"), 86400)
    sts_policies.looked(domain, Looked("1", policy, **more), NOW)


def test_mta_sts(store):
    enforce("a.example")
    enforce("b.example", dane=True)
    asked = answers(mta_sts=True)
    line = "secure match=mx.a.example:.mx.a.example servername=hostname protocols=>=TLSv1.2"
    assert asked.policy("a.example").text == line
    assert asked.policy("A.example.").text == line
    assert asked.policy("b.example").text == "dane-only"
    assert answers().policy("a.example").text == "dane", "switched off"
    assert not StsPolicyRow.objects.filter(domain="x.example").exists()
    first = asked.policy("x.example")
    assert (first.text, first.asking) == ("dane", True)
    assert StsPolicyRow.objects.filter(domain="x.example").exists()


def test_a_rule_goes_before_mta_sts_and_nobody_is_asked(store):
    enforce("a.example")
    for name in ("a.example", "b.example"):
        tls_policies.set_rule(TlsRule(read_destination(name), TlsPolicy(Level.MAY)))
    asked = answers(mta_sts=True)
    for key in ("a.example", "b.example", "[c.example]:25"):
        assert not asked.policy(key).asking
    assert asked.policy("a.example").text == "may"
    assert not StsPolicyRow.objects.filter(domain__in=["b.example", "c.example"]).exists()


def test_the_end_of_an_enforced_policy(store):
    enforce("a.example")
    late = TlsAnswers(Ways.of(from_values({})), StoreStsPolicies(), now=lambda: NOW + timedelta(days=1, seconds=1))
    assert late.policy("a.example").text == "dane"
