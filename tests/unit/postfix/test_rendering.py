"""What Postfix is told: the settings and services that are made of our configuration."""

from pathlib import Path

import pytest

from mailseal.config import from_values
from mailseal.config.next_hop import next_hops
from mailseal.postfix.names import INSIDE, route
from mailseal.postfix.overrides import REFUSED, RefusedSettingError
from mailseal.postfix.parts import Service, Surroundings
from mailseal.postfix.render import render

TLS = {"tls_certificate": "/etc/tls/chain.pem", "tls_key": "/etc/tls/key.pem"}
FULL = {
    "submission": ["192.0.2.1:587"],
    "submissions": ["192.0.2.1:465"],
    "networks": ["10.0.0.0/24", "fd00::/8"],
    "inside": ["lmtp://10.0.0.5:24"],
    "outside": ["smtps://smart.example:465?certificate=/c.pem&key=/k.pem"],
}


def rendering(instance="private", *, around=None, postfix=None, **tables):
    document = {"hostname": "gw.example.com", "workers": 2, "threads": 3, "postfix": {"instance": instance}}
    document["postfix"] |= postfix or {}
    config = from_values(document | tables)
    return render(config, around or Surroundings(queue_directory=config.postfix.queue_dir))


def settings(made):
    return {one.name: one.value for one in made.settings}


def services(made):
    return {one.name: dict(one.options) for one in made.services}


def of_class(made):
    """The services of smtpd by the part that they have: entry, submission, submissions, reinject."""
    return {
        dict(one.options)["syslog_name"].removeprefix("postfix/"): dict(one.options)
        for one in made.services
        if one.command == "smtpd"
    }


@pytest.mark.parametrize("instance", ["off", "private", "system"])
@pytest.mark.parametrize("postfix", [{}, FULL])
def test_every_name_stands_once(instance, postfix):
    made = rendering(instance, postfix=postfix, listen=TLS)
    names = [one.name for one in made.settings]
    assert len(set(names)) == len(names)
    keys = [one.key for one in made.services]
    assert len(set(keys)) == len(keys)
    for one in made.services:
        options = [name for name, _ in one.options]
        assert len(set(options)) == len(options), one.name


@pytest.mark.parametrize("instance", ["private", "system"])
def test_mail_goes_through_mailseal_by_the_socket_of_its_class(instance):
    made = rendering(instance, postfix=FULL, listen=TLS)
    found = of_class(made)
    authorised = "mailseal-authorised:unix:mailseal/lmtp-authorised"
    assert found["entry"]["content_filter"] == "mailseal-outside:unix:mailseal/lmtp-outside"
    by_login = "mailseal-authorised:unix:mailseal/lmtp-submission"
    assert found["submission"]["content_filter"] == found["submissions"]["content_filter"] == by_login
    assert settings(made)["mailseal_authorised_clients"] == (
        f"cidr:{{ {{ 10.0.0.0/24 FILTER {authorised} }} {{ fd00::/8 FILTER {authorised} }} }}"
    )
    assert found["entry"]["mynetworks"] == "10.0.0.0/24, [fd00::]/8"
    by_sendmail = services(made).get("pickup") or {name: value for _, name, value in made.additions}
    assert by_sendmail == {"content_filter": authorised}
    assert found["reinject"]["content_filter"] == ""


def test_without_networks_nobody_may_relay_at_the_entry():
    entry = of_class(rendering())["entry"]
    assert entry["smtpd_relay_restrictions"].startswith("reject_unauth_destination, ")
    assert entry["mynetworks"] == ""
    assert settings(rendering())["mynetworks"] == ""


def test_only_this_machine_may_hand_mail_back():
    back = of_class(rendering())["reinject"]
    for name in ("client", "relay", "recipient"):
        assert back[f"smtpd_{name}_restrictions"] == "permit_mynetworks, reject"
    assert back["mynetworks"] == back["smtpd_authorized_xforward_hosts"] == "127.0.0.0/8 [::1]/128"
    others = [options for name, options in of_class(rendering(postfix=FULL, listen=TLS)).items() if name != "reinject"]
    assert not [one for one in others if "smtpd_authorized_xforward_hosts" in one]


def test_nothing_is_smuggled_anywhere():
    for options in of_class(rendering(postfix=FULL, listen=TLS)).values():
        assert options["smtpd_forbid_bare_newline"] == "reject"
        assert options["smtpd_forbid_bare_newline_exclusions"] == ""
        assert options["smtpd_data_restrictions"] == "reject_unauth_pipelining"
    entry = of_class(rendering(listen={"bare_lf": "normalise"}))["entry"]
    assert entry["smtpd_forbid_bare_newline"] == "normalize"


def test_octets_are_left_alone():
    made = rendering(postfix=FULL, listen=TLS)
    for options in of_class(made).values():
        assert options["cleanup_service_name"] == "mailseal-cleanup"
        assert options["local_header_rewrite_clients"] == ""
    cleanup = services(made)["mailseal-cleanup"]
    assert cleanup["message_drop_headers"] == ""
    assert cleanup["cleanup_replace_stray_cr_lf"] == "no"
    assert settings(made)["smtp_line_length_limit"] == settings(made)["lmtp_line_length_limit"] == "0"
    assert settings(made)["disable_mime_output_conversion"] == "yes"


def test_limits_follow_ours():
    limits = {"max_message_bytes": "10 MiB", "max_recipients": 77, "deadline_seconds": 100}
    made = rendering(limits=limits, postfix=FULL, listen=TLS)
    found = of_class(made)
    for name in ("entry", "submission", "submissions"):
        assert found[name]["message_size_limit"] == str((10 << 20) - 2048)
        assert found[name]["smtpd_recipient_limit"] == "77"
    assert "message_size_limit" not in found["reinject"]
    assert settings(made)["message_size_limit"] == str(30 << 20)
    for name in ("mailseal-authorised", "mailseal-outside"):
        assert services(made)[name]["lmtp_data_done_timeout"] == "160s"
        assert settings(made)[f"{name}_destination_concurrency_limit"] == "6"
    assert {one.most for one in made.services if one.name.startswith("mailseal-a")} == {"6"}


@pytest.mark.parametrize(("days", "life"), [(60, "5d"), (6, "5d"), (3, "2d"), (1, "12h")])
def test_mail_does_not_outlive_the_ledger(days, life):
    made = settings(rendering(ledger={"retention_days": days}))
    assert made["maximal_queue_lifetime"] == made["bounce_queue_lifetime"] == life


def test_submission_wants_tls_and_a_login_that_may_use_the_address():
    for name, wrapped in (("submission", None), ("submissions", "yes")):
        options = of_class(rendering(postfix=FULL, listen=TLS))[name]
        assert options["smtpd_tls_security_level"] == "encrypt"
        assert options.get("smtpd_tls_wrappermode") == wrapped
        assert options["smtpd_tls_chain_files"] == "/etc/tls/key.pem, /etc/tls/chain.pem"
        both_in_one = of_class(rendering(postfix=FULL, listen={"tls_certificate": "/etc/tls/all.pem"}))[name]
        found = [both_in_one[f"smtpd_tls_{one}_file"] for one in ("cert", "key")]
        assert found == ["/etc/tls/all.pem"] * 2, "in any order; a chain file has the key first"
        assert not both_in_one["smtpd_tls_chain_files"]
        assert options["smtpd_sasl_path"] == "mailseal/auth"
        assert options["smtpd_client_restrictions"] == "permit_sasl_authenticated, reject"
        assert options["smtpd_sender_restrictions"] == "reject_sender_login_mismatch"
        assert options["smtpd_helo_restrictions"] == options["smtpd_recipient_restrictions"] == "", "lists of dial-ups"
        assert options["smtpd_sender_login_maps"] == "socketmap:unix:mailseal/socketmap:sender-logins"


@pytest.mark.parametrize(("tls", "level"), [("off", "none"), ("offered", "may"), ("required", "encrypt")])
def test_tls_of_the_entry_is_that_of_our_listeners(tls, level):
    entry = of_class(rendering(listen={**TLS, "tls": tls}))["entry"]
    assert entry["smtpd_tls_security_level"] == level
    assert of_class(rendering())["entry"]["smtpd_tls_security_level"] == "none"


def test_recipients_are_verified_unless_it_is_off():
    entry = of_class(rendering())["entry"]
    assert entry["smtpd_relay_restrictions"].endswith("socketmap:ends-here, reject_unverified_recipient")
    assert entry["unverified_recipient_defer_code"] == "250"
    off = of_class(rendering(postfix={"verify_recipients": False}))["entry"]
    assert off["smtpd_relay_restrictions"] == "reject_unauth_destination"


def test_sockets_below_the_queue_have_names_that_count_in_a_chroot():
    around = Surroundings(queue_directory=Path("/srv/queue"))
    assert around.socket(Path("/srv/queue/mailseal/auth")) == "mailseal/auth"
    made = rendering("system", around=around)
    assert settings(made)["transport_maps"] == "socketmap:unix:/var/spool/postfix/mailseal/socketmap:transport"


def test_a_machine_without_ipv6():
    made = rendering(around=Surroundings(ipv6=False))
    assert settings(made)["inet_protocols"] == "ipv4"
    assert "[::]:25" not in services(made)
    assert "[::]:25" in services(rendering())


def test_a_private_instance_has_all_that_postfix_needs_and_the_system_only_ours():
    private, system = rendering("private"), rendering("system")
    assert {"qmgr", "rewrite", "smtp", "bounce", "postlog"} <= services(private).keys()
    assert services(system).keys() == services(private).keys() - {
        one.name for one in private.services if one.kind != "inet" and not one.name.startswith("mailseal-")
    }
    assert "queue_directory" not in settings(system)
    assert "mydestination" not in settings(system)
    assert all(one.kind == "inet" or one.name.startswith("mailseal-") for one in system.services)


@pytest.mark.parametrize(
    ("hops", "answer"),
    [
        (["smtp://10.0.0.5:25", "smtp://mx.example:26"], "mailseal-inside:[10.0.0.5]:25, [mx.example]:26"),
        (["smtp://[fd00::5]:25"], "mailseal-inside:[fd00::5]:25"),
        (["lmtp://10.0.0.5:24"], "mailseal-inside:inet:[10.0.0.5]:24"),
        (["lmtp:///run/lmtp"], "mailseal-inside:unix:/run/lmtp"),
    ],
)
def test_routes(hops, answer):
    assert route(INSIDE, next_hops(hops)) == answer


def test_services_to_next_hops():
    made = rendering(postfix=FULL, listen=TLS)
    by_name = {one.name: one for one in made.services}
    assert by_name["mailseal-inside"].command == "lmtp"
    smarthost = by_name["mailseal-smarthost"]
    assert smarthost.command == "smtp"
    assert dict(smarthost.options)["smtp_tls_wrappermode"] == "yes"
    assert dict(smarthost.options)["smtp_tls_chain_files"] == "/k.pem, /c.pem"
    assert not {"mailseal-inside", "mailseal-smarthost"} & services(rendering()).keys()


def test_an_administrators_settings_win():
    made = rendering(
        postfix={
            **FULL,
            "settings": {
                "smtp_tls_loglevel": "2",
                "smtpd_recipient_limit": "9",
                "smtpd_banner": "$myhostname",
                "smtpd_client_restrictions": "reject_rbl_client rbl.example",
                "smtpd_recipient_restrictions": "reject_rbl_client rbl.example",
            },
        },
        listen=TLS,
    )
    found = of_class(made)
    assert settings(made)["smtp_tls_loglevel"] == "2"
    assert settings(made)["smtpd_banner"] == "$myhostname"
    assert "smtpd_recipient_limit" not in found["entry"]
    assert "smtpd_client_restrictions" not in found["entry"]
    assert found["reinject"]["smtpd_recipient_limit"] == "1000"
    assert found["reinject"]["smtpd_client_restrictions"] == "permit_mynetworks, reject"
    assert found["submission"]["smtpd_client_restrictions"] == "permit_sasl_authenticated, reject"
    assert found["submission"]["smtpd_recipient_restrictions"] == ""


KEEPS_CONNECTIONS = ("smtp_connection_cache_on_demand", "smtp_connection_cache_destinations")


def test_no_connection_is_kept_for_mail_whose_policy_was_not_asked_for():
    made = settings(rendering(postfix=FULL, listen=TLS))
    assert [made[name] for name in KEEPS_CONNECTIONS] == ["no", ""]
    assert set(KEEPS_CONNECTIONS) <= REFUSED.keys()


@pytest.mark.parametrize("name", [*REFUSED, "mailseal_authorised_clients", "mailseal-outside_destination_rate_delay"])
def test_what_security_rests_on_cannot_be_set(name):
    with pytest.raises(RefusedSettingError, match=f"{name} cannot be set: .+"):
        rendering(postfix={"settings": {name: "anything"}})


def test_every_option_of_an_entry_is_refused_or_known_to_yield():
    """A new option that security rests on has to be put into the closed list, or be kept."""
    yielding = set()
    given = rendering(postfix=FULL, listen=TLS)
    for one in given.services:
        for name, _ in one.options:
            if one.command == "smtpd" and name not in REFUSED:
                made = rendering(postfix={**FULL, "settings": {name: "x"}}, listen=TLS)
                after = next(two for two in made.services if two.key == one.key)
                yielding |= dict(one.options).keys() - dict(after.options).keys()
    assert yielding == {
        "disable_vrfy_command",
        "queue_minfree",
        "smtpd_recipient_limit",
        "smtpd_sasl_authenticated_header",
        "smtpd_tls_chain_files",
        "smtpd_tls_loglevel",
        "smtpd_tls_mandatory_protocols",
        "smtpd_tls_protocols",
        "smtpd_tls_received_header",
        "syslog_name",
        "unverified_recipient_defer_code",
        "unverified_recipient_reject_code",
        "unverified_recipient_reject_reason",
    }


def test_how_a_service_is_written():
    service = Service("a", "unix", "smtp", "n", "60", "1", (("b", ""), ("c", "d e"), ("f", "g=h")))
    assert str(service) == (
        "a          unix   n        -        n        60       1        smtp\n  -o b=\n  -o { c = d e }\n  -o f=g=h"
    )
    assert service.line == "a unix n - n 60 1 smtp -o b= -o { c = d e } -o f=g=h"
