"""What is said of a rule that is not kept where mail really goes."""

import pytest

from mailseal.config import from_values
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy
from mailseal.store import domains, routes, tls_policies
from mailseal.store.tls_kept import Weight, remarks

BACK = "smtp://127.0.0.1:10026"
SMART = {"outside": ["smtp://relay.example:587?tls=verified"]}
INNER = {"inside": ["smtp://10.0.0.5:25"]}


def rule(destination, level="encrypt", direct=False, **more):
    return TlsRule(read_destination(destination), TlsPolicy(Level(level), **more), direct)


def said(one, relay=None, instance="private", **postfix):
    config = from_values({"postfix": {"instance": instance} | postfix, "relay": relay or {}})
    return [(remark.weight, remark.text) for remark in remarks(one, config)]


def test_a_rule_for_a_domain_by_mx_is_kept(store):
    domains.add("ours.example")
    for destination in ("a.example", "*.example.net", "ours.example"):
        assert said(rule(destination)) == []


def test_no_postfix_no_policies(store):
    assert said(rule("a.example"), instance="off") == [
        (Weight.BROKEN, "no Postfix works with this gateway, so nobody asks for TLS policies")
    ]
    assert said(rule("a.example", "may"), instance="off") == []


@pytest.mark.parametrize("level", ["encrypt", "dane-only", "verify", "secure"])
@pytest.mark.parametrize("destination", ["a.example", "*.example"])
def test_a_smart_host_keeps_no_rule_of_a_domain(store, level, destination):
    ((weight, text),) = said(rule(destination, level), **SMART)
    assert weight is Weight.REFUSED
    assert "not to its own MX hosts" in text
    assert said(rule(destination, level, direct=True), **SMART) == []


@pytest.mark.parametrize("level", ["none", "may", "dane"])
def test_a_weak_one_makes_no_difference_there(store, level):
    ((weight, text),) = said(rule("a.example", level), **SMART)
    assert (weight, "whose own TLS counts" in text) == (Weight.NOTE, True)


def test_an_internal_domain(store):
    domains.add("ours.example")
    for direct in (True, False):
        ((weight, text),) = said(rule("ours.example", direct=direct), **INNER)
        assert (weight, "postfix.inside" in text) == (Weight.REFUSED, True)


def test_internal_domains_below_a_wildcard(store):
    for name in ("a.example", "b.example", "*.c.example", "x.test"):
        domains.add(name)
    domains.add("partner.example", internal=False)
    tls_policies.set_rule(rule("b.example", "may"))
    texts = [text for weight, text in said(rule("*.example"), **INNER) if weight is Weight.REFUSED]
    assert [text.partition(":")[0] for text in texts] == ["*.c.example", "a.example"]
    assert [weight for weight, _ in said(rule("*.c.example"), **INNER)] == [Weight.REFUSED]


def test_a_next_hop(store):
    assert said(rule("[relay.example]:587", "secure"), **SMART) == []
    ((weight, text),) = said(rule("[relay.example]:25"), **SMART)
    assert (weight, "no next hop" in text) == (Weight.NOTE, True)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (rule("[10.0.0.5]:25", "dane"), "no TLSA records"),
        (rule("[10.0.0.5]:25", "dane-only"), "no TLSA records"),
        (rule("[2001:db8::1]:25", "secure"), "IPv6"),
        (rule("[old.example]:465", "may"), "first octet"),
    ],
)
def test_rules_that_cannot_be(store, one, why):
    found = said(one, inside=["smtp://10.0.0.5:25"], outside=["smtps://old.example:465"])
    assert [why in text for weight, text in found if weight is Weight.REFUSED] == [True]


def test_the_way_back_to_the_neighbour_is_fixed(store):
    office365 = {"tenants": ["11111111-2222-3333-4444-555555555555"], "return_to": "smtp://a.protection.test:25"}
    config = from_values({"postfix": {"instance": "private"}, "office365": office365})
    (found,) = remarks(rule("[a.protection.test]:25", "secure"), config)
    assert (found.weight, "return_to" in found.text) == (Weight.REFUSED, True)


def test_an_address_may_have_a_name_or_be_one(store):
    for one in (rule("[2001:db8::1]:25", "secure", names=("a.example",)), rule("[10.0.0.5]:25", "secure")):
        assert all(weight is Weight.NOTE for weight, _ in said(one))


@pytest.mark.parametrize(
    ("route", "destination", "refused"),
    [
        ("a.example", "a.example", True), ("*.example", "a.example", True), ("b.example", "a.example", False),
        ("*.example", "*.b.example", True), ("x.b.example", "*.b.example", True), ("*.b.example", "*.b.example", True),
        ("*.c.b.example", "*.b.example", True), ("b.example", "*.b.example", False),
        ("a.example", "*.b.example", False),
    ],
)  # fmt: skip
def test_mailseals_own_routes_go_past_postfix(store, route, destination, refused):
    routes.set_route(route, ["smtp://mx.partner.test:25"])
    assert [weight for weight, _ in said(rule(destination))] == [Weight.REFUSED] * refused
    assert said(rule(destination, "may")) == []
    routes.set_route(route, [BACK])
    assert said(rule(destination)) == []


def test_a_more_specific_route_counts(store):
    routes.set_route("*.example", ["smtp://mx.partner.test:25"])
    routes.set_route("a.example", [BACK])
    assert said(rule("a.example")) == []


def test_a_relay_that_is_not_postfix(store):
    domains.add("ours.example")
    relay = {"outside": ["smtp://relay.example:25"]}
    ((weight, text),) = said(rule("a.example"), relay=relay)
    assert (weight, "relay.outside" in text) == (Weight.BROKEN, True)
    assert said(rule("ours.example"), relay=relay) == []
    ((weight, text),) = said(rule("ours.example"), relay={"inside": ["smtp://10.0.0.5:25"]})
    assert (weight, "relay.inside" in text) == (Weight.BROKEN, True)
