"""Logins and what they may use as envelope sender, in both databases."""

import pytest

from mailseal.cli.checks.submission import submission
from mailseal.config import from_values
from mailseal.mail.address import Address, AddressError
from mailseal.store import domains, logins
from mailseal.store.login_models import LoginRow, LoginUseRow
from mailseal.store.logins import LoginError, StoreSenderLogins, login_name
from mailseal.store.stamps import Scope, StampWatch, stamps

PHC = "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaA"


def of(text: str):
    return sorted(StoreSenderLogins().of(Address.parse(text)))


@pytest.fixture
def people(store):
    logins.add("Anna", PHC, ["anna@alpha.example", "info@alpha.example"])
    logins.add("boss@alpha.example", PHC, ["ceo@alpha.example", "info@alpha.example"])
    logins.add("app", PHC, ["*@beta.example", "*.alpha.example"])


def test_names_are_the_same_in_upper_and_lower_case(people):
    found = logins.find("anna")
    assert (found.name, found.password, found.enabled) == ("anna", PHC, True)
    assert PHC not in repr(found)
    assert logins.find("Anna") is None, "what is looked up is the stored form"
    with pytest.raises(LoginError, match="already"):
        logins.add("ANNA", PHC, [])
    assert [one.name for one in logins.list_logins()] == ["anna", "app", "boss@alpha.example"]


@pytest.mark.parametrize("name", ["", "a b", "a,b", "!", "-a", "ä", "a\n", "a\0", "x" * 129, "a:b", "a'b", "\u017f"])
def test_what_is_no_name(name):
    with pytest.raises(LoginError):
        login_name(name)


def test_no_name_is_the_one_that_nobody_has():
    from mailseal.roles.maps_tables import NOBODY  # noqa: PLC0415 -- a role, which no other test here needs

    with pytest.raises(LoginError):
        login_name(NOBODY)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("anna@alpha.example", ["anna"]),
        ("ANNA@Alpha.Example", ["anna"]),
        ('"anna"@alpha.example', ["anna"]),
        ("info@alpha.example", ["anna", "boss@alpha.example"]),
        ("ceo@alpha.example", ["boss@alpha.example"]),
        ("anna+news@alpha.example", []),
        ("other@alpha.example", []),
        ("any@beta.example", ["app"]),
        ("any@x.beta.example", []),
        ("any@x.alpha.example", ["app"]),
        ("any@y.x.alpha.example", ["app"]),
        ("olga@out.example", []),
    ],
)
def test_who_may_use_an_address(people, address, names):
    assert of(address) == names


def test_a_disabled_login_is_known_as_such(people):
    assert logins.logins_of(Address.parse("info@alpha.example")) == [("anna", True), ("boss@alpha.example", True)]
    assert not logins.set_enabled("anna", enabled=False).enabled
    assert logins.logins_of(Address.parse("info@alpha.example")) == [("anna", False), ("boss@alpha.example", True)]
    assert of("info@alpha.example") == ["anna", "boss@alpha.example"], "its mail may still be on its way"
    assert not logins.find("anna").enabled
    assert logins.count_enabled() == 2
    assert logins.set_enabled("anna", enabled=True).enabled


def test_allow_and_deny(people):
    found = logins.allow("anna", ["news@alpha.example", "NEWS@alpha.example", "*.gamma.example"])
    assert found.may_use == ("*.gamma.example", "anna@alpha.example", "info@alpha.example", "news@alpha.example")
    assert logins.deny("anna", ["*.gamma.example", "News@alpha.example"]).may_use == (
        "anna@alpha.example", "info@alpha.example",
    )  # fmt: skip
    with pytest.raises(LoginError, match=r"no leave of its own for ceo@alpha\.example"):
        logins.deny("anna", ["info@alpha.example", "ceo@alpha.example"])
    assert of("info@alpha.example") == ["anna", "boss@alpha.example"], "all of it or nothing"
    for wrong in ("", " ", "*"):
        with pytest.raises((LoginError, AddressError)):
            logins.allow("anna", [wrong])
    with pytest.raises(LoginError, match="no login nobody"):
        logins.allow("nobody", ["alpha.example"])


def test_a_password_is_another_from_now_on(people):
    logins.set_password("anna", PHC + "x")
    assert logins.find("anna").password == PHC + "x"
    with pytest.raises(LoginError):
        logins.set_password("nobody", PHC)


def test_a_login_goes_with_all_it_may(people):
    assert logins.remove("BOSS@alpha.example")
    assert not logins.remove("boss@alpha.example")
    assert of("ceo@alpha.example") == []
    assert of("info@alpha.example") == ["anna"]
    assert LoginUseRow.objects.count() == 4


def test_no_more_logins_for_one_than_postfix_can_be_told(people, monkeypatch):
    monkeypatch.setattr(logins, "MAX_LOGINS_OF_ONE", 2)
    with pytest.raises(LoginError, match=r"2 logins may use info@alpha\.example"):
        logins.add("third", PHC, ["third@alpha.example", "info@alpha.example"])
    assert not LoginRow.objects.filter(name="third").exists()
    logins.allow("anna", ["info@alpha.example"])


def test_a_change_is_told(people):
    stored = StoreSenderLogins()
    watch = StampWatch({Scope.LOGINS: [stored.clear]})
    watch.poll(0)
    ceo = Address.parse("ceo@alpha.example")
    assert stored.of(ceo) == {"boss@alpha.example"}
    before = stamps()
    for change in (
        lambda: logins.allow("anna", ["ceo@alpha.example"]),
        lambda: logins.set_enabled("anna", enabled=False),
        lambda: logins.deny("anna", ["ceo@alpha.example"]),
        lambda: logins.remove("anna"),
        lambda: logins.add("new", PHC, []),
    ):
        change()
        assert watch.poll(1) == {"logins"}
        assert stored.of(ceo) == StoreSenderLogins().of(ceo)
    assert {scope for (scope, _), _ in stamps().items() - before.items()} == {"logins"}, "no other cache is cleared"


@pytest.mark.parametrize(
    ("postfix", "status"),
    [
        ({"instance": "off", "submission": ["127.0.0.1:587"]}, []),
        ({"instance": "system"}, []),
        ({"instance": "system", "submission": ["127.0.0.1:587"]}, ["ok"]),
        ({"instance": "system", "submissions": ["127.0.0.1:465"]}, ["ok"]),
    ],
)
def test_check_tells_of_submission_where_there_is_some(store, postfix, status):
    domains.add("alpha.example")
    domains.add("*.alpha.example")
    config = from_values({"postfix": postfix, "listen": {"tls_certificate": "/tls.pem"}})
    nobody = [(one.status, one.what_to_do) for one in submission(config)]
    assert nobody == [("warn", "mailseal submission add NAME --generate")] * len(status)
    logins.add("anna", PHC, ["anna@alpha.example", "*.alpha.example", "alpha.example"])
    assert [one.status for one in submission(config)] == status
    logins.add("useless", PHC, [])
    logins.add("strange", PHC, ["anna@alpha.example", "*.out.example"])
    found = [(one.status, one.text.rpartition(": ")[2]) for one in submission(config)]
    assert found == [("ok", "3"), ("warn", "useless"), ("warn", "strange")] * len(status)


def test_one_question_for_an_address_that_is_not_known(people, questions):
    stored = StoreSenderLogins()
    for _ in range(3):
        stored.of(Address.parse("anna@alpha.example"))
    assert questions() == 1


@pytest.fixture
def questions(store, monkeypatch):
    asked = []
    real = logins.select
    monkeypatch.setattr(logins, "select", lambda sql, values: asked.append(sql) or real(sql, values))
    return lambda: len(asked)
