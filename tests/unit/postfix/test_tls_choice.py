"""Rule, URL, MTA-STS, default: which counts, and that nothing makes a rule weaker than it was set."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailseal.config.next_hop import next_hop
from mailseal.errors import MailsealError
from mailseal.postfix.tls_choice import (
    RuleNotKeptError,
    Source,
    StsFacts,
    StsMode,
    TlsRule,
    by_place,
    choose,
    policy_of,
)
from mailseal.postfix.tls_destination import Place, read_destination, read_key
from mailseal.postfix.tls_policy import Level, TlsPolicy, TlsPolicyError, rendered
from mailseal.postfix.tls_way import Way, way_of
from unit.postfix.postfix_reading import read

HOPS = by_place(
    next_hop(url)
    for url in (
        "smtp://10.0.0.5:25?tls=required", "smtp://relay.example:587?tls=verified&user=me", "smtp://127.0.0.1:2525",
        "smtps://old.example:465", "smtp://far.example:25", "lmtp:///run/x", "smtp://clear.example:25?tls=off",
    )
)  # fmt: skip
ENFORCED = StsFacts(StsMode.ENFORCE, ("mx.a.example", "*.mx.a.example"))


def rules(**levels):
    made = {}
    for text, level in levels.items():
        found = read_destination(text)
        made[found.key] = TlsRule(found, TlsPolicy(Level(level)))
    return made


def chosen(key, given=None, sts=None, default=Level.DANE, hops=HOPS):
    choice = choose(read_key(key), given or {}, hops, sts, default)
    return None if choice is None else (rendered(choice.policy), choice.source.value, choice.of)


SOME = rules(
    **{
        "a.example": "encrypt", "*.example": "may", "*.b.example": "secure", "[10.0.0.5]:25": "none",
        "[lone.test]:25": "verify", "alone.test": "dane-only",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "level", "of"),
    [
        ("a.example", "encrypt", "a.example"),
        ("A.example.", "encrypt", "a.example"),
        ("x.b.example", "secure match=nexthop:dot-nexthop", "*.b.example"),
        ("b.example", "may", "*.example"),
        ("x.a.example", "may", "*.example"),
        (".b.example", "secure match=nexthop:dot-nexthop", "*.b.example"),
        ("[10.0.0.5]", "none", "[10.0.0.5]:25"),
        ("[10.0.0.5]:25", "none", "[10.0.0.5]:25"),
        ("[lone.test]", "verify match=hostname", "[lone.test]:25"),
        ("alone.test:2525", "dane-only", "alone.test"),
        ("lone.test:25", "verify match=hostname", "[lone.test]:25"),
    ],
)
def test_a_rule_counts_the_most_specific_first(key, level, of):
    assert chosen(key, SOME, ENFORCED) == (level, "rule", of)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("[10.0.0.5]:25", "encrypt"),
        ("[10.0.0.5]", "encrypt"),
        ("[relay.example]:587", "secure match=relay.example"),
        ("[relay.example]:submission", "secure match=relay.example"),
        ("[127.0.0.1]:2525", "none"),
        ("127.0.0.1:2525", "none"),
        ("[old.example]:465", "encrypt"),
        ("[far.example]:25", "may"),
        ("far.example:25", "may"),
        ("[clear.example]:25", "none"),
    ],
)
def test_a_next_hop_is_secured_as_its_url_says(key, line):
    found = chosen(key)
    assert found[:2] == (line, "next hop")


def test_the_host_of_a_next_hop_is_not_the_domain_of_that_name():
    assert chosen("relay.example")[1] == "default"
    assert chosen("[relay.example]:25")[1] == "default"


@pytest.mark.parametrize("mode", [StsMode.TESTING, StsMode.NONE, StsMode.ABSENT])
def test_only_enforce_enforces(mode):
    assert chosen("a.example", sts=StsFacts(mode, ("mx.a.example",))) == ("dane", "default", "")


def test_enforce():
    line = "secure match=mx.a.example:.mx.a.example servername=hostname protocols=>=TLSv1.2"
    assert chosen("a.example", sts=ENFORCED) == (line, "MTA-STS", "a.example")


def test_dane_goes_before_mta_sts_and_is_not_weakened_by_it():
    assert chosen("a.example", sts=StsFacts(StsMode.ENFORCE, ("mx.a.example",), dane=True))[0] == "dane-only"


def test_mta_sts_is_of_a_domain_not_of_a_next_hop():
    assert chosen("[a.example]:25", sts=ENFORCED)[1] == "default"
    assert chosen("a.example:2525", sts=ENFORCED)[1] == "default"


def test_nothing_known():
    assert chosen("a.example", default=Level.MAY) == ("may", "default", "")
    assert chosen(".example") is None
    assert chosen("/run/dovecot/lmtp") == ("none", "this machine", "")


def test_urls_that_postfix_cannot_do():
    for url in ("smtp://[2001:db8::1]:25?tls=verified", "smtp://a.example:25?tls=verified&ca=/etc/my%20ca.pem"):
        with pytest.raises(TlsPolicyError):
            policy_of(next_hop(url))


def test_the_ca_of_a_url():
    hop = next_hop("smtp://a.example:25?tls=verified&name=b.example&ca=/etc/ca.pem")
    assert rendered(policy_of(hop)) == "secure match=b.example tafile=/etc/ca.pem"


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_urls_for_one_place_the_stricter_counts(order):
    urls = ["smtp://a.example:25", "smtp://a.example:25?tls=required"][::order]
    assert str(by_place(map(next_hop, urls))[Place("a.example", 25)]) == "smtp://a.example:25?tls=required"


@pytest.mark.parametrize(
    ("place", "level", "why"),
    [("[relay.example]:587", "encrypt", "password"), ("[old.example]:465", "may", "first octet")],
)
def test_rules_that_contradict_the_url_stop_the_mail(place, level, why):
    with pytest.raises(RuleNotKeptError, match=why):
        chosen(place, rules(**{place: level}))


@pytest.mark.parametrize(
    ("rule", "direct", "internal", "inside", "outside", "way"),
    [
        (None, False, False, True, True, Way.SMART_HOST),
        (None, False, False, True, False, Way.MX),
        (None, False, True, True, True, Way.INSIDE),
        (None, False, True, False, True, Way.MX),
        ("encrypt", False, False, True, False, Way.MX),
        ("encrypt", True, False, True, True, Way.MX),
        ("encrypt", False, False, True, True, None),
        ("dane-only", False, False, True, True, None),
        ("dane", False, False, True, True, Way.SMART_HOST),
        ("may", False, False, True, True, Way.SMART_HOST),
        ("may", True, False, True, True, Way.MX),
        ("secure", False, True, True, False, None),
        ("secure", True, True, True, False, None),
        ("secure", False, True, False, True, Way.MX),
        ("none", True, True, True, True, Way.INSIDE),
    ],
)
def test_the_way_of_mail(rule, direct, internal, inside, outside, way):
    made = None if rule is None else TlsRule(read_destination("a.example"), TlsPolicy(Level(rule)), direct)
    if way is None:
        with pytest.raises(RuleNotKeptError, match=r"is set for a\.example"):
            way_of(made, internal=internal, inside=inside, outside=outside)
    else:
        assert way_of(made, internal=internal, inside=inside, outside=outside) is way


DOMAINS = ["a.example", "x.a.example", "b.example", "x.b.example"]
DESTINATIONS = [*DOMAINS, "*.example", "*.a.example", "*.b.example", "[relay.example]:587", "[10.0.0.5]:25"]
POLICIES = [
    *(TlsPolicy(one) for one in Level if one is not Level.FINGERPRINT),
    TlsPolicy(Level.FINGERPRINT, fingerprints=("ab" * 32,)),
    TlsPolicy(Level.SECURE, ("mx.a.example",)),
]


@given(
    given_rules=st.dictionaries(st.sampled_from(DESTINATIONS), st.sampled_from(POLICIES), max_size=5),
    key=st.sampled_from([*DOMAINS, "X.A.Example.", "a.example:25", "[relay.example]:587", "[10.0.0.5]"]),
    sts=st.none() | st.builds(StsFacts, st.sampled_from(StsMode), st.just(("mx.a.example",)), st.booleans()),
    default=st.sampled_from([Level.NONE, Level.MAY, Level.DANE, Level.ENCRYPT]),
)
def test_no_rule_yields_a_weaker_policy_than_was_set(given_rules, key, sts, default):
    made = {text: TlsRule(read_destination(text), policy) for text, policy in given_rules.items()}
    asked = read_key(key)
    found = next((given_rules[one] for one in asked.destinations if one in given_rules), None)
    assume(found is not None)
    try:
        choice = choose(asked, made, HOPS, sts, default)
    except MailsealError:
        return  # deferred
    assert (choice.policy, choice.source) == (found, Source.RULE)
    assert read(rendered(choice.policy)).level == found.level


@given(
    rule=st.none()
    | st.builds(TlsRule, st.just(read_destination("*.example")), st.sampled_from(POLICIES), st.booleans()),
    internal=st.booleans(),
    inside=st.booleans(),
    outside=st.booleans(),
)
def test_a_binding_rule_for_a_domain_is_kept_by_its_mx_hosts_or_stops_the_mail(rule, internal, inside, outside):
    try:
        way = way_of(rule, internal=internal, inside=inside, outside=outside)
    except RuleNotKeptError:
        return
    assert way is Way.MX or rule is None or not rule.policy.level.binding
