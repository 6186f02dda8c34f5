"""Lists of keys on both databases: by the domains they count for, and behind the last row of a page."""

from mailseal.smime.certificate import CtlEntry
from mailseal.smime.importing import ImportedKeys
from mailseal.store import certificate_admin, crls, dkim_keys, pgp_admin, trust
from mailseal.store.certificate_import import import_certificates, import_keys
from mailseal.store.dkim_models import DkimKeyRow
from mailseal.store.models import CertificateUse, CrlRow
from mailseal.store.owners import in_domains, is_in_domains
from pgp_keys import pgp_key
from pki import NOW, Authority
from store.test_pgp_certificates import arrival, put


def test_domains_of_owners(store):
    ca = Authority("Root")
    found = {}
    for email in ("x@a.example", "y@sub.a.example", "z@b.example", "a_b@a.example"):
        found[email] = ca.issue(email, key="p256").certificate
    import_certificates(found.values(), at=NOW)
    certificate_admin.use(found["z@b.example"].fingerprint, "*.a.example")
    listed = certificate_admin.list_certificates

    def of(*domains: str) -> set[str]:
        names = {one.fingerprint for one in listed(domains=domains)}
        return {email for email, one in found.items() if one.fingerprint in names}

    assert of("a.example") == {"x@a.example", "a_b@a.example"}
    assert of("*.a.example", "sub.a.example") == {"y@sub.a.example", "z@b.example"}
    assert of() == set()
    assert of("_.example", "%") == set()
    for one in CertificateUse.objects.values_list("owner", flat=True):
        for domains in (["a.example"], ["*.a.example"], []):
            known = CertificateUse.objects.filter(in_domains("owner", domains), owner=one).exists()
            assert known is is_in_domains(one, domains)


def test_openpgp_keys_of_domains(store):
    put(None, arrival(pgp_key("X <x@a.example>"), vouched=False), arrival(pgp_key("Y <y@b.example>"), vouched=False))
    (one,) = pgp_admin.list_keys(domains=["a.example"])
    assert one.certificate.user_ids[0].text == "X <x@a.example>"


def test_all_for_whom_a_private_key_stands(store, kek):
    ca = Authority("Root")
    one = ca.issue("x@a.example", key="p256")
    two = ca.issue("y@b.example", key=one.key)
    stranger = ca.issue("z@c.example", key=one.key)
    import_keys(ImportedKeys(((one.certificate, one.key), (two.certificate, two.key)), ()), kek, at=NOW)
    import_certificates([stranger.certificate], at=NOW)
    assert certificate_admin.owners_of_key(one.certificate.fingerprint) == {"x@a.example", "y@b.example"}
    assert certificate_admin.delete_private_key(one.certificate.fingerprint)
    assert not certificate_admin.show(two.certificate.fingerprint).has_key


def test_behind_the_last_row(store):
    names = [f"{number:064x}" for number in (3, 1, 2)]
    for name in names:
        trust.set_ctl(name, CtlEntry.DENY)
    assert [one.fingerprint for one in trust.list_ctl(after=names[0], limit=1)] == [names[1]]
    assert trust.list_ctl(after="0" * 64) == ()
    for domain, selector in (("b.x", "1"), ("a.x", "2"), ("a.x", "1")):
        DkimKeyRow.objects.create(domain=domain, selector=selector, algorithm="", spki_sha256="", record="")
    behind = dkim_keys.list_keys(after=("a.x", "1"))
    assert [(one.domain, one.selector) for one in behind] == [("a.x", "2"), ("b.x", "1")]
    assert [one.selector for one in dkim_keys.list_keys(domains=["b.x"])] == ["1"]
    for name, issuer in zip(names, ("B", "A", "A"), strict=True):
        CrlRow.objects.create(
            fingerprint=name, issuer=issuer, issuer_sha256="", signer_spki="", this_update=NOW, active=True
        )
    assert [one.fingerprint for one in crls.list_crls(after=names[2])] == [names[0]]
