"""What Postfix is told of Exchange Online: who it is, which socket its mail goes to, and the way back."""

import pytest

from mailseal.config import from_values
from mailseal.postfix.parts import Surroundings
from mailseal.postfix.render import render

TLS = {"tls_certificate": "/etc/tls/chain.pem", "tls_key": "/etc/tls/key.pem"}
TENANT = "11111111-2222-3333-4444-555555555555"
FINGERPRINT = ":".join(["AB"] * 32)
TO_US = "FILTER mailseal-office365:unix:mailseal/lmtp-office365"


def rendering(return_to="tenant.mail.protection.outlook.com:25", *, listen=TLS, on=True, postfix=None, **keys):
    office365 = {"tenants": [TENANT], "return_to": return_to, "networks": ["40.92.0.0/15", "2a01:111:f400::/48"]}
    tables = {"office365": office365 | keys} if on else {}
    document = {"workers": 2, "threads": 3, "listen": listen, "postfix": {"instance": "private", **(postfix or {})}}
    config = from_values(document | tables)
    return render(config, Surroundings(queue_directory=config.postfix.queue_dir))


def settings(made):
    return {one.name: one.value for one in made.settings}


def options(made, name):
    (found,) = (dict(one.options) for one in made.services if one.name == name)
    return found


def entry(made):
    return options(made, "0.0.0.0:25")


def test_nothing_of_it_without_a_tenant():
    made = rendering(on=False)
    assert "office365" not in made.main_cf() + made.master_cf()
    assert "127.0.0.1:10027" not in made.master_cf()
    assert "smtpd_tls_ask_ccert" not in entry(made)


def test_its_networks_lead_to_the_socket_of_its_own_under_tls():
    made = rendering(postfix={"networks": ["10.0.0.0/8"]})
    found = settings(made)
    assert found["mailseal_office365_clients"] == (
        f"cidr:{{ {{ 40.92.0.0/15 {TO_US} }} {{ 2a01:111:f400::/48 {TO_US} }} }}"
    )
    allowed = "reject_plaintext_session, permit"
    assert found["mailseal_office365_allowed"] == (
        f"cidr:{{ {{ 40.92.0.0/15 {allowed} }} {{ 2a01:111:f400::/48 {allowed} }} }}"
    )
    restrictions = entry(made)["smtpd_relay_restrictions"].split(", ")
    assert restrictions[:5] == [
        "check_client_access $mailseal_authorised_clients",
        "permit_mynetworks",
        "check_client_access $mailseal_office365_clients",
        "check_client_access $mailseal_office365_allowed",
        "reject_unauth_destination",
    ]
    assert "smtpd_tls_ask_ccert" not in entry(made)
    assert "{ 40.92.0.0/15 permit }" in settings(rendering(listen={}))["mailseal_office365_allowed"]


def test_where_certificates_count_networks_alone_are_not_enough():
    made = rendering(client_fingerprints=[FINGERPRINT])
    found = settings(made)
    assert found["mailseal_office365_clients"] == f"inline:{{ {{ {FINGERPRINT} = {TO_US} }} }}"
    assert found["mailseal_office365_allowed"] == f"inline:{{ {{ {FINGERPRINT} = permit }} }}"
    assert found["mailseal_office365_unknown"].startswith("cidr:{ { 40.92.0.0/15 450 4.7.1 ")
    assert entry(made)["smtpd_relay_restrictions"].split(", ")[:4] == [
        "check_ccert_access $mailseal_office365_clients",
        "check_ccert_access $mailseal_office365_allowed",
        "check_client_access $mailseal_office365_unknown",
        "reject_unauth_destination",
    ]
    assert entry(made)["smtpd_tls_ask_ccert"] == "yes"
    assert entry(made)["smtpd_tls_fingerprint_digest"] == "sha256"


def test_submission_and_reinjection_know_nothing_of_it():
    made = rendering(postfix={"submission": ["127.0.0.1:587"]}, client_fingerprints=[FINGERPRINT])
    for name in ("127.0.0.1:587", "127.0.0.1:10026"):
        assert "office365" not in str(options(made, name))
        assert "smtpd_tls_ask_ccert" not in options(made, name)


def test_all_that_comes_back_goes_to_the_tenant():
    made = rendering("[2001:db8::1]:25?tls=required")
    back = options(made, "127.0.0.1:10027")
    assert back["content_filter"] == "mailseal-exchange-online:[2001:db8::1]:25"
    again = options(made, "127.0.0.1:10026")
    assert {name for name in back if back[name] != again[name]} == {"content_filter", "syslog_name"}
    assert options(rendering(), "127.0.0.1:10027")["content_filter"] == (
        "mailseal-exchange-online:[tenant.mail.protection.outlook.com]:25"
    )


@pytest.mark.parametrize(
    ("return_to", "wanted"),
    [
        (
            "tenant.example:25",
            {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "tenant.example"},
        ),
        (
            "tenant.example:25?tls=verified&name=mail.example&ca=/ca.pem&certificate=/c.pem&key=/k.pem",
            {
                "smtp_tls_security_level": "secure",
                "smtp_tls_secure_cert_match": "mail.example",
                "smtp_tls_CAfile": "/ca.pem",
                "smtp_tls_CApath": "",
                "tls_append_default_CA": "no",
                "smtp_tls_chain_files": "/k.pem, /c.pem",
            },
        ),
        (
            "tenant.example:25?tls=required&certificate=/c.pem",
            {
                "smtp_tls_security_level": "encrypt",
                "smtp_tls_chain_files": "",
                "smtp_tls_cert_file": "/c.pem",
                "smtp_tls_key_file": "/c.pem",
            },
        ),
        (
            "smtps://tenant.example:465",
            {
                "smtp_tls_security_level": "secure",
                "smtp_tls_secure_cert_match": "tenant.example",
                "smtp_tls_wrappermode": "yes",
            },
        ),
        ("127.0.0.1:25", {"smtp_tls_security_level": "none"}),
    ],
)
def test_tls_of_the_way_back_is_that_of_its_url_whatever_a_table_says(return_to, wanted):
    found = options(rendering(return_to), "mailseal-exchange-online")
    assert found == {
        "inet_protocols": "ipv4",
        "syslog_name": "postfix/mailseal-exchange-online",
        "smtp_tls_policy_maps": "",
        **wanted,
    }
    assert "inet_protocols" not in options(rendering("[2001:db8::1]:25"), "mailseal-exchange-online")


def test_as_many_at_once_as_from_elsewhere():
    made = rendering()
    assert settings(made)["mailseal-office365_destination_concurrency_limit"] == "6"
    assert options(made, "mailseal-office365") == options(made, "mailseal-outside") | {
        "syslog_name": "postfix/mailseal-office365"
    }


@pytest.mark.parametrize("keys", [{}, {"client_fingerprints": [FINGERPRINT]}])
def test_every_name_stands_once(keys):
    made = rendering(**keys)
    names = [one.name for one in made.settings]
    assert len(set(names)) == len(names)
    assert len({one.key for one in made.services}) == len(made.services)
    for one in made.services:
        assert len({name for name, _ in one.options}) == len(one.options)
