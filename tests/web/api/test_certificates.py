"""Certificates, roots, CRLs and the trust list over the API: what the worker reads, and whose it is."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailseal.smime.importing import read_certificates, read_pkcs12
from mailseal.store import certificate_admin, trust
from mailseal.store.accounts.roles import Role
from mailseal.store.certificate_import import import_certificates, import_keys, insert
from mailseal.store.certificate_rows import Purpose, Use
from pki import Authority

PASSWORD = "of the file"
SOON = datetime.now(UTC) + timedelta(days=300)


@pytest.fixture(scope="module")
def ca():
    return Authority("Root of the tests")


def given(octets: bytes, **more) -> dict[str, object]:
    return {"file": base64.b64encode(octets).decode(), **more}


def people(ca, *emails):
    return ca.issue(list(emails), key="p256", not_after=SOON)


def stored(ca, *emails) -> str:
    identity = people(ca, *emails)
    import_certificates(read_certificates(identity.der))
    return identity.certificate.fingerprint


def test_a_certificate_comes_with_its_key_and_the_key_never_leaves(api, worker, ca):
    caller, anna = api(), people(ca, "anna@a.example")
    done = caller("POST", "/certificates/import", given(anna.p12(PASSWORD.encode()), password=PASSWORD))
    assert done.status_code == 200, done.content
    told = done.json()
    assert (told["form"], told["imported"], told["keys"], told["problems"]) == ("pkcs12", 1, 1, [])
    assert told["fingerprints"] == [anna.certificate.fingerprint]
    again = caller("POST", "/certificates/import", given(anna.p12(PASSWORD.encode()), password=PASSWORD)).json()
    assert (again["imported"], again["known"]) == (0, 1)
    shown = caller("GET", f"/certificates/{anna.certificate.fingerprint[:12]}")
    one = shown.json()
    assert (one["has_key"], one["addresses"]) == (True, ["anna@a.example"])
    assert one["uses"] == [{"owner": "anna@a.example", "use": "san"}]
    assert read_certificates(one["pem"].encode())[0].fingerprint == anna.certificate.fingerprint
    assert b"PRIVATE" not in shown.content
    assert [row["fingerprint"] for row in caller("GET", "/certificates?has_key=true").json()["items"]] == [
        anna.certificate.fingerprint
    ]
    assert caller("GET", "/certificates?has_key=false").json()["items"] == []


def test_what_cannot_be_read_is_told_without_the_password(api, worker, ca):
    caller, anna = api(), people(ca, "anna@a.example")
    wrong = caller("POST", "/certificates/import", given(anna.p12(), password="something else"))
    assert wrong.status_code == 422
    assert b"something else" not in wrong.content
    assert caller("POST", "/certificates/import", given(b"no certificate")).status_code == 422


def test_roots_and_their_lists(api, worker, ca):
    caller, revoked = api(Role.PKI), people(ca, "gone@a.example")
    root = read_certificates(ca.x509.public_bytes(Encoding.PEM))[0].fingerprint
    assert caller("POST", "/roots/import", given(ca.x509.public_bytes(Encoding.PEM))).json() == {"fingerprints": [root]}
    assert [one["fingerprint"] for one in caller("GET", "/roots").json()["items"]] == [root]
    assert caller("GET", f"/certificates/{root}").json()["purpose"] == "root"
    assert caller("DELETE", f"/certificates/{root}").status_code == 404
    crl = caller("POST", "/crls/import", given(ca.crl(revoked=[revoked], next_update=SOON))).json()["fingerprint"]
    assert caller("GET", f"/crls/{crl}").json()["entries"] == 1
    assert [one["fingerprint"] for one in caller("GET", "/crls").json()["items"]] == [crl]
    (entry,) = caller("GET", f"/crls/{crl}/entries").json()["items"]
    assert int(entry["serial"], 16) == revoked.certificate.serial
    assert caller("DELETE", f"/crls/{crl}").status_code == 204
    assert caller("DELETE", f"/roots/{root}").status_code == 204
    assert trust.list_roots() == ()


def test_the_trust_list_and_what_was_changed_meanwhile(api, web, ca):
    caller, fingerprint = api(), stored(ca, "anna@a.example")
    path = f"/ctl/{fingerprint}"
    assert caller("PUT", path, {"entry": "deny", "comment": "lost"}).json()["entry"] == "deny"
    tag = caller("GET", path).headers["ETag"]
    assert caller("PUT", path, {"entry": "allow"}, if_match=tag).status_code == 200
    assert caller("PUT", path, {"entry": "deny"}, if_match=tag).status_code == 412
    assert caller("GET", f"/certificates/{fingerprint}").json()["ctl"] == "allow"
    assert caller("DELETE", path, if_match=tag).status_code == 412
    assert caller("DELETE", path).status_code == 204
    assert caller("GET", "/ctl").json()["items"] == []


def test_pages(api, web, ca):
    caller = api()
    wanted = {stored(ca, f"p{number}@a.example") for number in range(5)}
    found, after = [], ""
    while after is not None:
        page = caller("GET", f"/certificates?limit=2&after={after}").json()
        found += [one["fingerprint"] for one in page["items"]]
        after = page["next"]
    assert len(found) == 5
    assert set(found) == wanted


@pytest.fixture
def domain_admin(api):
    return api(Role.DOMAIN_ADMINISTRATOR, domains=("a.example",))


def test_certificates_of_other_domains_are_not_there(domain_admin, ca):
    mine, other, both = (
        stored(ca, "x@a.example"),
        stored(ca, "y@b.example", "z@sub.a.example"),
        stored(ca, "b@a.example", "b@b.example"),
    )
    listed = {one["fingerprint"] for one in domain_admin("GET", "/certificates").json()["items"]}
    assert listed == {mine, both}
    assert domain_admin("GET", "/certificates?address=y@b.example").json()["items"] == []
    for method, tail, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("DELETE", "/private-key", None),
        ("POST", "/accept", None),
        ("PUT", "/selected/x@a.example", None),
        ("DELETE", "/selected/x@a.example", None),
    ):
        assert domain_admin(method, f"/certificates/{other}{tail}", body).status_code == 404, (method, tail)
    for method, tail in (("DELETE", ""), ("POST", "/accept"), ("PUT", "/shared/x@a.example")):
        assert domain_admin(method, f"/certificates/{both}{tail}").status_code == 403, (method, tail)
    for owner in ("y@b.example", "b.example", "*.a.example"):
        assert domain_admin("PUT", f"/certificates/{mine}/selected/{owner}").status_code == 403
    assert domain_admin("PUT", f"/certificates/{mine}/selected/a.example").status_code == 200
    assert domain_admin("DELETE", f"/certificates/{mine}/selected/a.example").status_code == 204
    assert domain_admin("DELETE", f"/certificates/{mine}").status_code == 204
    for path in ("/roots", "/crls", "/ctl"):
        assert domain_admin("GET", path).status_code == 403


def test_what_came_with_a_mail_is_chosen_by_who_looks_after_all_whom_it_names(domain_admin, ca):
    mine, both = people(ca, "x@a.example").certificate, people(ca, "b@a.example", "b@b.example").certificate
    for one in (mine, both):
        insert(one, Purpose.END_ENTITY, candidate=True)
    assert domain_admin("PUT", f"/certificates/{both.fingerprint}/selected/b@a.example").status_code == 403
    assert certificate_admin.show(both.fingerprint).candidate
    assert domain_admin("PUT", f"/certificates/{mine.fingerprint}/selected/x@a.example").status_code == 200
    assert not certificate_admin.show(mine.fingerprint).candidate


def test_who_looks_after_a_domain_vouches_for_nobody_else(domain_admin, worker, ca):
    mine, other = people(ca, "x@a.example"), people(ca, "y@b.example")
    told = domain_admin("POST", "/certificates/import", given(mine.pem + other.pem)).json()
    assert told["fingerprints"] == [mine.certificate.fingerprint]
    assert len(told["problems"]) == 1
    assert certificate_admin.infos([other.certificate.fingerprint]) == ()


def test_a_key_that_others_have_too_stays(domain_admin, worker, ca):
    mine = people(ca, "x@a.example")
    twin = ca.issue(["y@b.example"], key=mine.key, not_after=SOON)
    for one in (mine, twin):
        import_keys(read_pkcs12(one.p12(), b"secret"), worker.kek)
    name = mine.certificate.fingerprint
    assert domain_admin("DELETE", f"/certificates/{name}/private-key").status_code == 403
    assert domain_admin("DELETE", f"/certificates/{name}?with_key=true").status_code == 403
    assert certificate_admin.show(name).has_key
    certificate_admin.use(name, "*.b.example", Use.SHARED)
    assert domain_admin("PUT", f"/certificates/{name}/shared/x@a.example").status_code == 403


def test_without_a_worker_it_is_told(api, ca):
    assert api()("POST", "/roots/import", given(b"x")).status_code == 503
