"""Routes by domain, and sealed passwords for next hops."""

import pytest

from mailseal.config.next_hop import next_hop
from mailseal.errors import TransientError
from mailseal.keys.sealing import BrokenSealError
from mailseal.mail.address import AddressError
from mailseal.store import credentials, domains, routes
from mailseal.store.models import CredentialRow, RouteRow
from mailseal.store.routes import BrokenRouteError, RouteError, StoreRoutes
from mailseal.store.stamps import Scope, StampWatch

PLACE = "me@mx.example.net:587"
URL = "smtp://mx.example.net:587?tls=verified&user=me"


def to(hops):
    return [str(one) for one in hops]


def test_the_domain_itself_goes_before_the_longest_wildcard(store):
    assert StoreRoutes().of("a.b.example") == ()
    routes.set_route("*.example", ["w1:1"])
    routes.set_route("*.b.example", ["w2:1", URL])
    routes.set_route("A.b.example", ["exact:1"])
    routes.set_route("bücher.example", ["idn:1"])
    stored = StoreRoutes()
    assert to(stored.of("a.b.example")) == ["smtp://exact:1"]
    assert to(stored.of("x.b.example")) == ["smtp://w2:1", URL]
    assert to(stored.of("b.example")) == ["smtp://w1:1"]
    assert to(stored.of("xn--bcher-kva.example")) == ["smtp://idn:1"]
    assert stored.of("example") == ()
    assert stored.of("[192.0.2.1]") == ()
    assert set(to(stored.hops())) == {"smtp://exact:1", "smtp://w1:1", "smtp://w2:1", "smtp://idn:1", URL}
    assert [one.domain for one in routes.list_routes()] == [
        "*.b.example", "*.example", "a.b.example", "xn--bcher-kva.example",
    ]  # fmt: skip


def test_a_change_is_seen_by_the_stamp(store):
    stored = StoreRoutes()
    watch = StampWatch({Scope.SETTINGS: [stored.clear]})
    watch.poll(0)
    assert stored.of("x.example") == ()
    routes.set_route("x.example", ["h:1"])
    assert stored.of("x.example") == (), "it is kept until the stamp says otherwise"
    watch.poll(1)
    assert stored.of("x.example") == (next_hop("h:1"),)
    assert routes.unset_route("X.example")
    assert not routes.unset_route("x.example")
    watch.poll(2)
    assert stored.of("x.example") == ()


def test_internal_domains_that_a_wildcard_takes_by_the_way(store):
    for name in ("alpha.example", "beta.example", "*.c.example", "d.c.example", "example", "x.test"):
        domains.add(name)
    domains.add("partner.example", internal=False)
    routes.set_route("*.example", ["h:1"])
    routes.set_route("beta.example", ["h:2"])
    assert routes.internal_below("*.example") == ("*.c.example", "alpha.example", "d.c.example")
    routes.set_route("*.c.example", ["h:3"])
    assert routes.internal_below("*.example") == ("alpha.example",)
    assert routes.internal_below("*.c.example") == ("d.c.example",)
    assert routes.internal_below("beta.example") == ()


def test_what_is_no_route(store):
    for urls in ([], ["h"], ["smtp://h:1?user=me"]):
        with pytest.raises(RouteError):
            routes.set_route("x.example", urls)
    with pytest.raises(AddressError):
        routes.set_route("x..example", ["h:1"])
    assert not RouteRow.objects.exists()


def test_a_route_that_cannot_be_read_defers_its_mail_alone(store):
    RouteRow.objects.create(domain="x.example", hops=["gopher://h:1"])
    stored = StoreRoutes()
    assert stored.of("y.example") == ()
    with pytest.raises(BrokenRouteError, match=r"route of x\.example"):
        stored.of("x.example")


def test_a_password_is_sealed_and_bound_to_its_name(store, kek):
    with pytest.raises(TransientError, match=f"mailseal route password {PLACE}"):
        credentials.open_password(PLACE, kek)
    credentials.keep(PLACE, b"first", kek)
    credentials.keep(PLACE, "pässword".encode(), kek)
    credentials.keep("other@mx.example.net:587", b"other", kek)
    assert credentials.open_password(PLACE, kek) == "pässword".encode()
    assert {one.name: one.kek_id for one in credentials.list_credentials()} == {
        PLACE: kek.id, "other@mx.example.net:587": kek.id,
    }  # fmt: skip
    mine, other = CredentialRow.objects.order_by("name")
    assert b"word" not in bytes(mine.sealed)
    CredentialRow.objects.filter(pk=mine.pk).update(sealed=bytes(other.sealed))
    with pytest.raises(BrokenSealError):
        credentials.open_password(PLACE, kek)
    assert credentials.forget(PLACE)
    assert not credentials.forget(PLACE)
