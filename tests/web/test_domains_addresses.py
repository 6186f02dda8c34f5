"""Domains and addresses: what is usable now and why not, whose they are, added and deleted."""

import pytest
from django.urls import reverse

from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.smime.importing import ImportedKeys
from mailseal.store import addresses, certificate_admin, domains, overrides, routes, trust
from mailseal.store.accounts.roles import Role
from mailseal.store.certificate_import import import_certificates, import_keys
from mailseal.store.row import utc_now
from pki import DAY, Authority

KEK = Kek(b"k" * 32)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Root", not_before=utc_now() - 100 * DAY, not_after=utc_now() + 100 * DAY)


@pytest.fixture
def trusted(web, authority) -> Authority:
    trust.import_roots([authority.certificate])
    return authority


def issue(authority, *emails, days=50, key=False):
    one = authority.issue(emails, key="p256", not_before=utc_now() - 90 * DAY, not_after=utc_now() + days * DAY)
    if key:
        (info,) = import_keys(ImportedKeys(((one.certificate, one.key),), ()), KEK)
    else:
        (info,) = import_certificates([one.certificate])
    return info


def page(browser, url) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_is_usable_and_why_not(sign_in, trusted):
    domains.add("inside.example")
    ours = issue(trusted, "anna@inside.example", key=True)
    issue(trusted, "old@out.example", days=-1)
    overrides.set_override("anna@inside.example", "pgp", "no")
    browser = sign_in(Role.AUDITOR)
    text = page(browser, "/addresses/anna@inside.example/")
    assert text.count(ours.fingerprint[:16]) >= 4, "it encrypts, signs, opens, and is listed"
    assert "OpenPGP is turned off" in text
    assert "Internal" in text
    text = page(browser, "/addresses/old@out.example/")
    assert "The certificate has expired" in text
    assert "There is no OpenPGP key for the recipient" in text
    assert "Outside" in text
    assert "anna@inside.example" in page(browser, "/addresses/")


def test_an_address_that_nothing_was_set_up_for_can_be_looked_at(sign_in, trusted):
    domains.add("inside.example")
    gateway = issue(trusted, "gateway@inside.example", key=True)
    certificate_admin.use(gateway.fingerprint, "inside.example")
    browser = sign_in()
    assert gateway.fingerprint[:16] in page(browser, "/addresses/nobody.yet@inside.example/")
    assert gateway.fingerprint[:16] in page(browser, "/domains/inside.example/")
    assert "Look at it anyway" in page(browser, "/addresses/?q=nobody.yet@inside.example")


def test_addresses_in_pages(sign_in):
    for number in range(70):
        addresses.add(Address.parse(f"u{number:02}@inside.example"))
    browser = sign_in()
    first = page(browser, "/addresses/?domain=inside.example")
    assert "u49@" in first
    assert "u50@" not in first
    assert "after=u49%40inside.example" in first
    second = page(browser, "/addresses/?domain=inside.example&after=u49%40inside.example")
    assert "u50@" in second
    assert "after=" not in second
    assert "u07@" in page(browser, "/addresses/?q=U07")


@pytest.mark.parametrize("local", ['"a/b c"', "jürgen", "a%2Fb", "a?b#c"])
def test_any_address_has_a_page(sign_in, local):
    text = f"{local}@inside.example"
    assert addresses.add(Address.parse(text))
    browser = sign_in()
    url = reverse("address", args=[text])
    assert url in page(browser, "/addresses/")
    page(browser, url)
    assert browser.post(reverse("address-delete", args=[text])).status_code == 302
    assert addresses.list_addresses() == ()


def test_domains_are_added_changed_and_deleted(sign_in):
    browser = sign_in()
    assert browser.post("/domains/", {"name": "*.Inside.example"}).status_code == 302
    assert domains.find("*.inside.example").internal
    assert browser.post("/domains/", {"name": "no domain"}).status_code == 422
    assert browser.post("/domains/*.inside.example/change/", {"internal": "no"}).status_code == 302
    assert not domains.find("*.inside.example").internal
    assert "treated as mail to outside" in page(browser, "/domains/*.inside.example/delete/")
    assert domains.find("*.inside.example"), "looking changes nothing"
    assert browser.post("/domains/*.inside.example/delete/").status_code == 302
    assert domains.list_domains() == ()


@pytest.mark.parametrize("given", [{}, {"internal": ""}, {"internal": "on"}, {"external": "yes"}])
def test_a_domain_becomes_external_by_no_slip(sign_in, given):
    domains.add("inside.example")
    assert sign_in().post("/domains/inside.example/change/", given).status_code == 400
    assert domains.find("inside.example").internal


def test_a_domain_administrator_sees_no_other_domain(sign_in, trusted):
    for name in ("inside.example", "other.example"):
        domains.add(name)
        addresses.add(Address.parse(f"x@{name}"))
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("inside.example",))
    text = page(browser, "/domains/") + page(browser, "/addresses/") + page(browser, "/addresses/?domain=other.example")
    assert "other.example" not in text.replace('value="other.example"', "")
    for path in ("domains/other.example/", "addresses/x@other.example/", "addresses/x@other.example/delete/"):
        assert browser.get(f"/{path}").status_code == 404
        assert browser.post(f"/{path}").status_code in {404, 405}
    assert browser.post("/addresses/", {"address": "y@other.example"}).status_code == 403
    assert browser.post("/domains/", {"name": "new.example"}).status_code == 403
    assert browser.post("/domains/inside.example/change/", {"internal": "no"}).status_code == 403
    assert browser.post("/domains/inside.example/delete/").status_code == 403
    assert browser.post("/addresses/", {"address": "y@inside.example"}).status_code == 302
    assert [one.key for one in addresses.list_addresses()] == [
        "x@inside.example",
        "x@other.example",
        "y@inside.example",
    ]
    assert len(domains.list_domains()) == 2


def test_next_hops_and_dkim_keys_are_shown_to_who_may_see_them(sign_in):
    domains.add("a.example")
    routes.set_route("a.example", ["smtp://hop.a.example:587?tls=verified&user=me"])
    url = reverse("domain", args=["a.example"])
    assert "hop.a.example" in page(sign_in(), url)
    of_domain = page(sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",)), url)
    assert "hop.a.example" not in of_domain
    assert "DKIM keys" in of_domain
    assert "DKIM keys" not in page(sign_in(Role.DLP_OFFICER), url)


def test_a_locked_setting_stays_when_a_domain_administrator_deletes_its_address(sign_in):
    overrides.set_override("anna@a.example", "sign", "yes", locked=True)
    browser = sign_in(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))
    browser.raise_request_exception = False
    url = reverse("address-delete", args=["anna@a.example"])
    assert browser.post(url).status_code == 422
    assert overrides.list_overrides("anna@a.example")
    assert sign_in().post(url).status_code == 302
    assert not overrides.list_overrides("anna@a.example")


def test_who_may_only_look_changes_nothing(sign_in):
    domains.add("inside.example")
    browser = sign_in(Role.HELP_DESK)
    assert "Make external" not in page(browser, "/domains/inside.example/")
    assert browser.post("/domains/inside.example/change/", {"internal": "no"}).status_code == 403
    assert browser.post("/addresses/", {"address": "y@inside.example"}).status_code == 403
