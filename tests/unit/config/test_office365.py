"""[office365]: tenants, networks, certificates and the way back."""

import pytest

from mailseal.config import ConfigError, OtherTenants, Tls, from_values, listeners
from mailseal.config.sections.office365 import EXCHANGE_ONLINE

TENANT = "11111111-2222-3333-4444-55555555555A"
HOST = "smtp://example-com.mail.protection.outlook.com:25"


def read(**keys: object):
    return from_values({"office365": {"tenants": [TENANT], "return_to": HOST, **keys}}).office365


def test_off_by_default():
    config = from_values({})
    assert not config.office365.on
    assert "lmtp-office365" not in listeners(config)


def test_a_tenant_and_where_mail_goes_back():
    found = read()
    assert found.on
    assert found.tenants == (TENANT.lower(),)
    assert found.networks == EXCHANGE_ONLINE
    assert found.other_tenants is OtherTenants.REFUSE
    assert (found.return_to.tls, found.return_to.tls_name) == (
        Tls.VERIFIED,
        "example-com.mail.protection.outlook.com",
    )


@pytest.mark.parametrize(
    ("given", "tls", "name"),
    [
        (f"{HOST}?tls=required", Tls.REQUIRED, "example-com.mail.protection.outlook.com"),
        (f"{HOST}?certificate=/a&key=/b", Tls.VERIFIED, "example-com.mail.protection.outlook.com"),
        (f"{HOST}?name=mail.protection.outlook.com", Tls.VERIFIED, "mail.protection.outlook.com"),
        ("10.0.0.9:25?tls=verified&name=x.example&ca=/ca.pem", Tls.VERIFIED, "x.example"),
        ("127.0.0.1:2525", Tls.OFF, "127.0.0.1"),
    ],
)
def test_tls_is_verified_unless_the_url_says_otherwise(given, tls, name):
    hop = read(return_to=given).return_to
    assert (hop.tls, hop.tls_name) == (tls, name)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"return_to": f"{HOST}?tls=off"}, "opened here"),
        ({"return_to": f"{HOST}?tls=opportunistic"}, "opened here"),
        ({"return_to": "lmtp://127.0.0.1:24"}, "smtp://host:port"),
        ({"return_to": "lmtp:///run/x"}, "smtp://host:port"),
        ({"return_to": f"{HOST}?tls=verified&user=me"}, "without a user"),
        ({"return_to": "off"}, "office365.return_to: is missing"),
        ({"tenants": []}, "office365.tenants: is missing"),
        ({"tenants": ["example.com"]}, "not the ID of a tenant"),
        ({"tenants": [f"{n:08x}-2222-3333-4444-555555555555" for n in range(21)]}, "20 tenants"),
        ({"networks": []}, "must name the networks"),
        ({"networks": ["40.92.0.1/15"]}, "host bits"),
        ({"client_fingerprints": ["ab"]}, "64 hexadecimal digits"),
        ({"client_fingerprints": [f"{n:064x}" for n in range(51)]}, "50 certificates"),
        ({"domains": ["a b"]}, "not a host name"),
    ],
)
def test_what_is_not_usable(keys, what):
    with pytest.raises(ConfigError, match=what):
        read(**keys)


@pytest.mark.parametrize("ours", ["40.92.1.0/24", "40.0.0.0/8", "2a01:111:f403:1::/64"])
def test_who_is_exchange_online_is_not_one_of_our_own_networks(ours):
    tables = {"postfix": {"instance": "private", "networks": ["10.0.0.0/8", ours]}}
    keys = {"tenants": [TENANT], "return_to": HOST}
    with pytest.raises(ConfigError, match=f"postfix.networks: {ours} overlaps .* of office365.networks"):
        from_values(tables | {"office365": keys})
    from_values(tables)


def test_fingerprints_are_written_as_postfix_does():
    digits = "0123456789abcdef" * 4
    (one,) = read(client_fingerprints=[digits, digits.upper()]).client_fingerprints
    assert one.replace(":", "") == digits.upper()
    assert len(one) == 95


def test_two_listeners_cannot_have_the_place_of_the_way_back():
    postfix = {"instance": "system", "listen": ["127.0.0.1:10027"]}
    with pytest.raises(ConfigError, match="same place"):
        from_values({"postfix": postfix, "office365": {"tenants": [TENANT], "return_to": HOST}})
    from_values({"postfix": postfix})
