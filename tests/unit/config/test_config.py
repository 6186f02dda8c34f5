"""mailseal.toml and the environment: what is read, and what is said of what is wrong."""

import contextlib
import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.config import (
    FOR_OWNER,
    SOCKETS,
    BareLf,
    ConfigError,
    Endpoint,
    LogFormat,
    NextHop,
    Protocol,
    commented_file,
    find,
    from_values,
    listeners,
    load,
    page,
)
from mailseal.config.load import variable
from mailseal.config.model import SECTIONS, Config, keys_of


def problems(document, environ=None):
    with pytest.raises(ConfigError) as caught:
        from_values(document, environ)
    return {problem.key: problem for problem in caught.value.problems}


def test_defaults_hold_without_a_file():
    config = from_values({})
    assert config.data_dir == Path("/var/lib/mailseal")
    assert config.database.url == "sqlite:///var/lib/mailseal/mailseal.db"
    assert [str(place) for place in config.keys.kek] == ["/var/lib/mailseal/keks", "/var/lib/mailseal/kek"]
    assert config.listen.lmtp_outside == Endpoint(path=Path("/var/lib/mailseal/run/lmtp-outside"))
    assert config.listen.smtp is None
    assert config.limits.max_message_bytes == 100 * 1024 * 1024
    assert config.workers >= 1
    assert config.threads == 4


def test_places_of_keks():
    given = from_values({"keys": {"kek": ["/etc/keks/", "/etc/one", "credential:mailseal-kek_1.x"]}}).keys.kek
    assert [str(place) for place in given] == ["/etc/keks", "/etc/one", "credential:mailseal-kek_1.x"]
    assert [place.folder for place in given] == [True, False, False]
    assert not any(place.optional for place in given)


def test_defaults_follow_the_data_folder():
    config = from_values({"data_dir": "/srv/a b"})
    assert config.database.url == "sqlite:///srv/a%20b/mailseal.db"
    assert config.listen.lmtp_authorised.path == Path("/srv/a b/run/lmtp-authorised")
    assert config.journal_dir == Path("/srv/a b/journal")


def test_a_whole_file(tmp_path):
    file = tmp_path / "mailseal.toml"
    file.write_text(
        """
        node = "mx1"
        hostname = "MX1.example.com"
        workers = 3
        [database]
        url = "mysql://mailseal@127.0.0.1:3306/mailseal"
        [listen]
        smtp = "[::1]:10025"
        smtp_authorised_networks = ["10.0.0.0/8", "::1"]
        bare_lf = "normalise"
        [relay]
        inside = "lmtp:///run/dovecot/lmtp"
        outside = "smtp://relay.example.com:25"
        [limits]
        max_message_bytes = "20 MiB"
        [log]
        format = "json"
        """
    )
    config = load(file, {})
    assert config.hostname == "mx1.example.com"
    assert config.listen.smtp == Endpoint(host="::1", port=10025)
    assert str(config.listen.smtp) == "[::1]:10025"
    assert config.listen.smtp_authorised_networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert config.listen.bare_lf is BareLf.NORMALISE
    assert config.relay.inside == (NextHop(path=Path("/run/dovecot/lmtp"), protocol=Protocol.LMTP),)
    assert [str(one) for one in config.relay.outside] == ["smtp://relay.example.com:25"]
    assert config.limits.max_message_bytes == 20 << 20
    assert config.log.format is LogFormat.JSON


def test_the_environment_wins_over_the_file():
    config = from_values(
        {"workers": 2, "listen": {"smtp": "127.0.0.1:25"}},
        {
            "MAILSEAL_WORKERS": "5",
            "MAILSEAL_LISTEN_SMTP": "off",
            "MAILSEAL_LISTEN_XFORWARD_PEERS": "127.0.0.1, 10.1.0.0/16",
            "MAILSEAL_LISTEN_XFORWARD_UNIX": "no",
            "PATH": "/bin",
        },
    )
    assert config.workers == 5
    assert config.listen.smtp is None
    assert config.listen.xforward_peers == (ip_network("127.0.0.1"), ip_network("10.1.0.0/16"))
    assert config.listen.xforward_unix is False


def test_a_secret_comes_from_its_file_and_is_never_shown(tmp_path):
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    for config in (
        from_values({"database": {"password_file": str(file)}}),
        from_values({}, {"MAILSEAL_DATABASE_PASSWORD_FILE": str(file)}),
    ):
        assert config.database.password == "s3cret"
        assert "s3cret" not in repr(config)


def test_a_secret_that_is_wrong_is_not_part_of_the_error():
    found = problems({"database": {"url": "mysql://a:s3cret@h/db", "password": ["s3cret"]}})
    assert "password_file" in str(found["database.url"])
    assert "s3cret" not in str(list(found.values()))


def test_a_secret_file_that_cannot_be_read_or_stands_beside_the_secret():
    found = problems({"database": {"password_file": "/nonexistent/x"}})
    assert "No such file" in found["database.password_file"].what
    found = problems({"database": {"password_file": "/nonexistent/x", "password": "y"}})
    assert "only one" in found["database.password_file"].what


def test_all_problems_are_reported_at_once_with_examples():
    found = problems(
        {
            "hostnam": "x",
            "workers": 0,
            "listen": {"smtp": "localhost:25", "colour": 1},
            "relay": "x",
            "log": {"level": 3},
        },
        {"MAILSEAL_THREDS": "4", "MAILSEAL_LIMITS_IDLE_SECONDS": "soon"},
    )
    assert found.keys() == {
        "hostnam",
        "workers",
        "listen.smtp",
        "listen.colour",
        "relay",
        "log.level",
        "MAILSEAL_THREDS",
        "MAILSEAL_LIMITS_IDLE_SECONDS",
    }
    assert "did you mean hostname" in found["hostnam"].what
    assert "did you mean MAILSEAL_THREADS" in found["MAILSEAL_THREDS"].what
    assert "between 1 and 256" in found["workers"].what
    assert found["listen.smtp"].example == 'smtp = "127.0.0.1:10025"'
    assert "debug, info, warning, error" in found["log.level"].what


@pytest.mark.parametrize(
    ("section", "key", "value", "what"),
    [
        ("", "hostname", "a b", "not a host name"),
        ("", "node", "a/b", "letters"),
        ("", "data_dir", 3, "must be a text"),
        ("", "workers", True, "whole number"),
        ("", "workers", 1.5, "a number with a fraction"),
        ("database", "url", "postgres://x/y", "must be sqlite:///"),
        ("database", "url", "mysql://[x/y", "not a URL"),
        ("keys", "kek", [], "at least one"),
        ("keys", "kek", ["/x"] * 65, "64 places at most"),
        ("keys", "kek", ["credential:../x"], "not the name of a credential"),
        ("keys", "kek", ["credential:.."], "not the name of a credential"),
        ("listen", "lmtp_outside", "/" + "x" * 108, "107 bytes"),
        ("listen", "lmtp_outside", "127.0.0.1", "not host:port"),
        ("listen", "smtp", "127.0.0.1:99999", "not host:port"),
        ("listen", "smtp", "::1:25", "brackets"),
        ("listen", "xforward_peers", ["10.0.0.1/8"], "host bits"),
        ("listen", "xforward_peers", 5, "list"),
        ("listen", "xforward_unix", "perhaps", "true or false"),
        ("listen", "bare_lf", "keep", "one of refuse, normalise"),
        ("relay", "inside", "http://x:1", "not smtp, smtps or lmtp"),
        ("relay", "inside", "smtp://a b:1", "not a host name"),
        ("limits", "max_message_bytes", "10 apples", "not a size"),
        ("limits", "max_message_bytes", "5", "between"),
    ],
)
def test_each_bad_value_is_named(section, key, value, what):
    found = problems({section: {key: value}} if section else {key: value})
    (problem,) = found.values()
    assert problem.key == (f"{section}.{key}" if section else key)
    assert what in problem.what
    assert problem.example.startswith(f"{key} = ")


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"listen": {"lmtp_outside": "127.0.0.1:24", "smtp": "127.0.0.1:24"}}, "same place"),
        ({"limits": {"max_message_bytes": "1 GiB"}}, "smaller than limits.max_message_bytes"),
        ({"data_dir": "/" + "d" * 90}, "107 bytes"),
        ({"listen": {"tls": "required"}}, "is missing; listen.tls"),
        ({"listen": {"tls_key": "/x"}}, "is missing; listen.tls"),
    ],
)
def test_keys_that_contradict_each_other(document, what):
    assert any(what in problem.what for problem in problems(document).values())


@pytest.mark.parametrize(
    ("octets", "what"), [(b"a = ", "not TOML"), (b"\xff", "not UTF-8"), (b"#" * (1 << 20) + b"##", "larger than 1 MiB")]
)
def test_a_file_that_is_no_configuration(tmp_path, octets, what):
    file = tmp_path / "mailseal.toml"
    file.write_bytes(octets)
    with pytest.raises(ConfigError, match=what) as caught:
        load(file, {})
    assert str(file) in str(caught.value)


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", {})
    assert find(None, {"MAILSEAL_CONFIG": "/x/y.toml"}) == Path("/x/y.toml")


def test_every_declared_example_is_valid():
    for section, kind in {"": Config, **SECTIONS}.items():
        for name, key in keys_of(kind).items():
            value = tomllib.loads(f"x = {key.example}")["x"]
            key.read(value)
            assert key.help, f"{section}.{name}"


def test_the_page_and_the_commented_file_name_every_key():
    text, file = page(), commented_file({"hostname": '"mx.example.com"', "listen.smtp": '"127.0.0.1:10025"'})
    for section, kind in {"": Config, **SECTIONS}.items():
        for name in keys_of(kind):
            assert f"`{variable(section, name)}`" in text
            assert f"{name} = " in file
    config = from_values(tomllib.loads(file))
    assert config.hostname == "mx.example.com"
    assert config.listen.smtp == Endpoint(host="127.0.0.1", port=10025)


def test_commented_defaults_are_valid_when_uncommented():
    lines = [line.removeprefix("# ") if " = " in line else line for line in commented_file({}).splitlines()]
    usable = [line for line in lines if "<data_dir>" not in line and "machine's" not in line and "none" not in line]
    document = tomllib.loads("\n".join(line for line in usable if "one per core" not in line))
    assert from_values(document) == from_values({})


OFFICE365 = {"tenants": ["11111111-2222-3333-4444-555555555555"], "return_to": "smtp://tenant.example:25"}


def test_the_table_of_sockets():
    tables = {
        "listen": {"smtp": "127.0.0.1:10025"},
        "metrics": {"listen": "127.0.0.1:9464"},
        "web": {"listen": "127.0.0.1:8443", "plain_listen": "127.0.0.1:8080"},
    }
    config = from_values(tables | {"postfix": {"instance": "system"}, "office365": OFFICE365})
    assert listeners(config).keys() == {info.name for info in SOCKETS}
    assert listeners(from_values({})).keys() == {"lmtp-authorised", "lmtp-submission", "lmtp-outside", "sandbox"}
    for info in SOCKETS:
        section, _, key = info.key.partition(".")
        assert key in keys_of(SECTIONS[section])


@pytest.mark.parametrize(
    ("instance", "folder"),
    [
        ("off", "/srv/data/run"),
        ("private", "/var/lib/mailseal-postfix/queue/mailseal"),
        ("system", "/var/spool/postfix/mailseal"),
    ],
)
def test_sockets_are_where_postfix_can_get_at_them(instance, folder):
    config = from_values({"data_dir": "/srv/data", "postfix": {"instance": instance}, "office365": OFFICE365})
    for name, place in listeners(config).items():
        assert place.path == Path("/srv/data/run" if name in FOR_OWNER else folder) / name
    given = from_values({"postfix": {"instance": instance}, "listen": {"lmtp_outside": "/run/other"}})
    assert given.listen.lmtp_outside.path == Path("/run/other")


@pytest.mark.parametrize(
    ("postfix", "what"),
    [
        ({"listen": ["/run/socket"]}, "must be host:port"),
        ({"listen": ["192.0.2.1:25", "192.0.2.1:25"]}, "twice"),
        ({"settings": {"a b": "c"}}, "'a b' is not the name of a parameter"),
        ({"settings": {"smtpd_banner": "one\ntwo"}}, "on one line"),
        ({"settings": {"maximal_queue_lifetime": 3}}, "must be a text"),
        ({"settings": "a=b"}, "must be a table"),
        ({"instance": "private", "submission": ["127.0.0.1:587"]}, "only under TLS"),
        ({"instance": "private", "listen": ["127.0.0.1:10026"]}, "two listeners have the same place"),
        ({"instance": "system", "reinjection": "192.0.2.1:10026"}, "not a loopback address"),
        ({"instance": "system", "outside": ["smtp://a:587?tls=verified&user=b"]}, "smtp_sasl_password_maps"),
        ({"instance": "system", "inside": ["smtp://a:25", "lmtp://b:24"]}, "differ in protocol"),
        ({"instance": "system", "inside": ["lmtp:///a", "lmtp:///b"]}, "one alone"),
        ({"instance": "system", "inside": ["smtp://127.0.0.1:10026"]}, "postfix.inside: leads back to 127.0.0.1:10026"),
        ({"instance": "private", "outside": ["smtp://localhost:25"]}, "postfix.outside: leads back to 0.0.0.0:25"),
        ({"instance": "private", "listen": ["192.0.2.1:25"], "inside": ["smtp://192.0.2.1:25"]}, "leads back to 192"),
        ({"instance": "system", "networks": ["0.0.0.0/0"]}, "postfix.networks: 0.0.0.0/0 is most of the internet"),
        ({"instance": "private", "networks": ["10.0.0.0/8", "128.0.0.0/1"]}, "128.0.0.0/1 is most of the internet"),
        ({"instance": "private", "networks": ["::/0"]}, "::/0 is most of the internet"),
    ],
)
def test_what_is_wrong_about_postfix(postfix, what):
    with pytest.raises(ConfigError, match=what):
        from_values({"postfix": postfix})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
KEYS = st.sampled_from([*keys_of(Config), *SECTIONS])


@given(
    st.dictionaries(KEYS, VALUES | st.dictionaries(st.sampled_from([*keys_of(SECTIONS["listen"])]), VALUES)),
    st.dictionaries(st.sampled_from([variable("listen", name) for name in keys_of(SECTIONS["listen"])]), st.text()),
)
def test_any_document_gives_a_config_or_a_config_error(document, environ):
    with contextlib.suppress(ConfigError):
        from_values(document, environ)
