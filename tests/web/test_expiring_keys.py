"""Keys that end: the next first, whom that hits, whose they are; pages by the last row."""

import re

import pytest

from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.smime.importing import ImportedKeys
from mailseal.store import certificate_admin, trust
from mailseal.store.accounts.roles import Role
from mailseal.store.certificate_import import import_certificates, import_keys
from mailseal.store.expiry import Whose, endings
from mailseal.store.pgp_generate import generate_key
from mailseal.store.row import utc_now
from mailseal.web.access import GRANTS, Area, Verb
from pki import DAY, Authority

KEK = Kek(b"k" * 32)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Root", not_before=utc_now() - 400 * DAY, not_after=utc_now() + 20 * DAY)


@pytest.fixture
def ours(web, authority):
    trust.import_roots([authority.certificate])

    def make(*emails, days, begin=300, key=True):
        dates = {"not_before": utc_now() - begin * DAY, "not_after": utc_now() + days * DAY}
        one = authority.issue(emails, key="p256", **dates)
        if key:
            (info,) = import_keys(ImportedKeys(((one.certificate, one.key),), ()), KEK)
        else:
            (info,) = import_certificates([one.certificate])
        return info

    return make


def names(text) -> list[str]:
    return re.findall(r"CN=([a-z0-9.@]+)<br>", text)


def test_the_next_first_and_whom_it_hits(sign_in, ours):
    ours("late@inside.example", days=15)
    ours("anna@inside.example", days=5)
    ours("bob@inside.example", days=10)
    ours("bob@inside.example", days=19, begin=5)
    gone = ours("gone@inside.example", days=-2)
    ours("far@inside.example", days=300)
    text = sign_in().get("/keys/").content.decode()
    assert names(text) == [f"{one}@inside.example" for one in ("gone", "anna", "bob", "late", "bob")]
    assert "has ended" in text
    assert gone.fingerprint[:16] in text
    assert text.count("replaced") == 1
    assert 'href="/addresses/anna@inside.example/"' in text
    hits = {one.name: one.hits for one in endings(Whose.OURS, utc_now(), utc_now() + 12 * DAY)}
    assert hits["CN=anna@inside.example"][0].lasts is None
    assert hits["CN=bob@inside.example"][0].lasts > utc_now() + 18 * DAY


def test_openpgp_keys_end_too(sign_in, ours):
    ours("anna@inside.example", days=5)
    made = generate_key(["Anna <anna@inside.example>"], KEK, utc_now(), expires_after=3 * DAY)
    text = sign_in().get("/keys/").content.decode()
    assert text.index(made[:16]) < text.index("CN=anna@inside.example")
    assert "OpenPGP" in text


def test_partners_and_ca_certificates(sign_in, ours, authority):
    ours("anna@inside.example", days=5)
    ours("x@out.example", days=6, key=False)
    browser = sign_in()
    assert names(browser.get("/keys/?whose=partners").content.decode()) == ["x@out.example"]
    text = browser.get("/keys/?whose=authorities").content.decode()
    assert authority.certificate.fingerprint[:16] in text
    assert "2 certificates" in text


def test_pages_by_the_last_row(sign_in, ours, monkeypatch):
    monkeypatch.setattr("mailseal.web.console.keys.PAGE_ROWS", 2)
    for number in range(5):
        ours(f"u{number}@inside.example", days=5 + number)
    browser, url, seen = sign_in(), "/keys/", []
    while url:
        text = browser.get(url).content.decode()
        seen += names(text)
        found = re.findall(r'href="(/keys/[^"]*after=[^"]*)"', text)
        url = found[0].replace("&amp;", "&") if found else ""
    assert seen == [f"u{number}@inside.example" for number in range(5)]


@pytest.mark.parametrize(
    "query", ["whose=all", "after=x", "after=2026-01-01T00:00:00~x", "after=2026-01-01T00:00:00%2B00:00~"]
)
def test_what_no_link_says_is_not_there(sign_in, query):
    assert sign_in().get(f"/keys/?{query}").status_code == 404


def test_a_domain_administrator_sees_his_own(sign_in, ours):
    ours("anna@inside.example", days=5)
    ours("both@inside.example", "both@other.example", days=6)
    ours("x@other.example", days=7)
    info = ours("gateway@third.example", days=8)
    certificate_admin.use(info.fingerprint, "inside.example")
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    text = browser.get("/keys/").content.decode()
    assert names(text) == ["anna@inside.example", "both@inside.example", "gateway@third.example"]
    assert "other.example" not in text
    assert browser.get("/keys/?whose=authorities").status_code == 404


def test_every_role_that_sees_certificates_sees_openpgp_keys():
    assert [
        one for one, may in GRANTS.items() if Area.CERTIFICATES in may and Verb.SEE not in may.get(Area.PGP, ())
    ] == []


def test_an_address_key_is_no_pattern(ours):
    ours("a_b@inside.example", days=5)
    assert endings(Whose.OURS, utc_now(), utc_now() + 9 * DAY, domains=["nside.example"]) == ()
    assert Address.parse("a_b@inside.example").key in {
        hit.owner
        for one in endings(Whose.OURS, utc_now(), utc_now() + 9 * DAY, domains=["inside.example"])
        for hit in one.hits
    }
