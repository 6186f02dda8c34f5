"""DKIM keys in the store: their lives, what the mail path gets, and the private keys that others have too."""

import pytest

from dkim_keys import ec_key, ed25519_key, rsa_key
from mailseal.dkim.algorithms import KeyUnusableError
from mailseal.dkim.record import read_record
from mailseal.errors import TransientError
from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek, WrongKekError
from mailseal.mail.address import AddressError
from mailseal.smime.importing import ImportedKeys
from mailseal.store import dkim_keys, private_keys
from mailseal.store.certificate_import import import_keys
from mailseal.store.certificates import StoreCertificates
from mailseal.store.dkim_keys import DkimKeyError, DkimKind, StoreDomainKeys
from mailseal.store.dkim_models import DkimKeyRow
from mailseal.store.models import PrivateKeyRow
from mailseal.store.private_keys import KeyInUseError
from mailseal.store.rewrap import rewrap
from mailseal.store.row import utc_now
from mailseal.store.stamps import Scope, StampWatch
from pki import NOW, Authority


@pytest.fixture
def keys(store, certificates):
    return StoreDomainKeys(certificates.private_key)


def test_a_new_key_signs_nothing_until_it_is_enabled(store, kek, keys):
    made = dkim_keys.generate("Example.COM", None, DkimKind.RSA, kek)
    assert (made.domain, made.algorithm, made.active, made.published) == ("example.com", "rsa-2048", False, None)
    assert made.selector.startswith(f"{utc_now():%Y%m%d}-rsa-")
    assert made.name == f"{made.selector}._domainkey.example.com"
    assert keys.signing("example.com") == []
    dkim_keys.set_active("example.com", made.selector, active=True)
    keys.clear()
    (key,) = keys.signing("example.com")
    assert (key.domain, key.selector) == ("example.com", made.selector)
    assert key.key.public_key() == read_record(made.record).key


def test_the_stamp_tells_of_a_change(store, kek, keys):
    watch = StampWatch({Scope.KEYS: [keys.clear]})
    watch.poll(0)
    assert keys.signing("example.com") == []
    dkim_keys.generate("example.com", "a", DkimKind.ED25519, kek)
    dkim_keys.set_active("example.com", "a", active=True)
    assert keys.signing("example.com") == [], "it is kept until the stamp says otherwise"
    watch.poll(1)
    assert [one.selector for one in keys.signing("example.com")] == ["a"]
    dkim_keys.set_active("example.com", "a", active=False)
    watch.poll(2)
    assert keys.signing("example.com") == []


def test_several_keys_of_a_domain_rsa_first(store, kek, keys):
    for selector, kind in (("c", DkimKind.ED25519), ("d", DkimKind.RSA), ("a", DkimKind.ED25519)):
        dkim_keys.generate("example.com", selector, kind, kek)
        dkim_keys.set_active("example.com", selector, active=True)
    for selector in ("e", "f"):
        dkim_keys.add("example.com", selector, ed25519_key(), kek)
        dkim_keys.set_active("example.com", selector, active=True)
    dkim_keys.generate("example.org", "x", DkimKind.ED25519, kek)
    assert [one.selector for one in keys.signing("example.com")] == ["d", "a", "c", "e"]
    assert [one.selector for one in dkim_keys.list_keys("example.com")] == ["a", "c", "d", "e", "f"]
    assert len(dkim_keys.list_keys()) == 6


def test_a_selector_is_given_once(store, kek):
    dkim_keys.generate("example.com", "a", DkimKind.ED25519, kek)
    with pytest.raises(DkimKeyError, match="already"):
        dkim_keys.generate("EXAMPLE.com", "A", DkimKind.RSA, kek)
    assert DkimKeyRow.objects.count() == PrivateKeyRow.objects.count() == 1, "nothing was left behind"


@pytest.mark.parametrize(("domain", "selector", "error"), [
    ("", "a", AddressError), ("a..b", "a", AddressError), ("[192.0.2.1]", "a", DkimKeyError),
    ("a.example", "", DkimKeyError), ("a.example", "a b", DkimKeyError), ("a.example", "[192.0.2.1]", DkimKeyError),
    ("example.com", ".".join(["a" * 60] * 4), DkimKeyError),
])  # fmt: skip
def test_names_that_are_none(store, kek, domain, selector, error):
    with pytest.raises(error):
        dkim_keys.add(domain, selector, ed25519_key(), kek)


def test_keys_that_cannot_sign_are_not_stored(store, kek):
    for key in (ec_key(), rsa_key(1024)):
        with pytest.raises(KeyUnusableError):
            dkim_keys.add("example.com", "a", key, kek)


def test_international_names_are_a_labels(store, kek):
    made = dkim_keys.generate("b\u00fccher.example", "s\u00e4", DkimKind.ED25519, kek)
    assert made.name == "xn--s-0fa._domainkey.xn--bcher-kva.example"
    assert dkim_keys.find("xn--bcher-kva.example", "s\u00e4") == made


def test_what_is_not_there(store):
    for act in (dkim_keys.find, dkim_keys.remove, lambda *name: dkim_keys.set_active(*name, active=True)):
        with pytest.raises(DkimKeyError, match="has no key"):
            act("example.com", "a")


def test_when_the_dns_had_it_is_kept(store, kek):
    dkim_keys.generate("example.com", "a", DkimKind.ED25519, kek)
    at = utc_now().replace(microsecond=0)
    dkim_keys.note_published("example.com", "a", at)
    assert dkim_keys.find("example.com", "a").published == at
    dkim_keys.note_published("example.com", "a", None)
    assert dkim_keys.find("example.com", "a").published is None


def test_one_private_key_for_two_domains_goes_with_the_last(store, kek, keys):
    for domain in ("a.example", "b.example"):
        dkim_keys.add(domain, "s", ed25519_key(), kek)
        dkim_keys.set_active(domain, "s", active=True)
    assert PrivateKeyRow.objects.count() == 1
    dkim_keys.remove("a.example", "s")
    assert [one.domain for one in keys.signing("b.example")] == ["b.example"]
    dkim_keys.remove("b.example", "s")
    assert PrivateKeyRow.objects.count() == 0


def test_a_private_key_that_signs_cannot_be_deleted_as_that_of_a_certificate(store, kek):
    made = dkim_keys.add("example.com", "s", rsa_key(), kek)
    with pytest.raises(KeyInUseError, match=r"DKIM key s of example\.com"):
        private_keys.delete_key(made.spki_sha256)
    assert PrivateKeyRow.objects.count() == 1
    dkim_keys.remove("example.com", "s")
    assert not private_keys.delete_key(made.spki_sha256)


def test_a_private_key_that_a_certificate_has_stays_with_it(store, kek):
    identity = Authority("Root").issue("anna@example.com", key=rsa_key())
    import_keys(ImportedKeys(((identity.certificate, identity.key),), ()), kek, at=NOW)
    dkim_keys.add("example.com", "s", rsa_key(), kek)
    assert PrivateKeyRow.objects.count() == 1
    dkim_keys.remove("example.com", "s")
    assert PrivateKeyRow.objects.count() == 1


def test_another_kek_takes_the_key_over(store, certificates):
    old, new = Kek(b"1" * 32), Kek(b"2" * 32)
    dkim_keys.add("example.com", "s", ed25519_key(), old)
    dkim_keys.set_active("example.com", "s", active=True)
    ring = KekRing(lambda: Found((KekFile(old, "old"), KekFile(new, "new")), ()), lambda: new.id)
    assert rewrap(ring, new.id).moved == 1
    (key,) = StoreDomainKeys(StoreCertificates(new).private_key).signing("example.com")
    assert key.key.public_key() == ed25519_key().public_key()


def test_without_the_kek_mail_waits(store, kek, certificates):
    dkim_keys.generate("example.com", "a", DkimKind.ED25519, kek)
    dkim_keys.set_active("example.com", "a", active=True)
    other = StoreDomainKeys(StoreCertificates(Kek(b"x" * 32)).private_key)
    with pytest.raises(WrongKekError) as caught:
        other.signing("example.com")
    assert isinstance(caught.value, TransientError)
