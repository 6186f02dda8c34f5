"""Files with certificates and keys between us and OpenSSL, NSS and gpgsm, in both directions."""

import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import product

import pytest

from harness import gpgsm, nss, openssl
from harness.gpgsm import Gpgsm
from harness.nss import Nss
from harness.referees import CURVES, KEYS, RSA, Limit, RefusedError, circle, table
from mailseal.smime.exporting import Profile, to_pem, to_pkcs7, to_pkcs12
from mailseal.smime.importing import read_certificates, read_pkcs12

PASSWORD = b"geheim-12"
FILES = [*product(("rsa2048", "p256", "ed25519"), Profile)]
NO_ED25519 = "it has no Ed25519 keys"

TO_NSS = table(FILES, [Limit(NO_ED25519, "SEC_ERROR_PKCS12_UNABLE_TO_IMPORT_KEY", lambda row: row.key == "ed25519")])
TO_GPGSM = table(
    FILES,
    [
        Limit("it reads no PBES2 with SHA-256", "pkcs5PBES2-params", lambda row: row.how is Profile.MODERN),
        Limit("it crashes on keys of curves", "Segmentation fault", lambda row: row.key in CURVES),
        Limit(NO_ED25519, "shrouded_key_bag", lambda row: row.key == "ed25519"),
    ],
)
FROM_GPGSM = table(
    [*product(KEYS, ("",))],
    [Limit("it writes no keys of curves", "error converting key parameters", lambda row: row.key in CURVES)],
)


@pytest.fixture(scope="module")
def gnupg(people) -> Iterator[Gpgsm]:
    if reason := gpgsm.why_not():
        pytest.skip(reason)
    with Gpgsm(people.root, [people.issuing], [people.people[kind] for kind in KEYS]) as made:
        yield made


@pytest.fixture
def thunderbird(people, tmp_path) -> Nss:
    if reason := nss.why_not():
        pytest.skip(reason)
    return Nss(tmp_path, people.root)


@cache
def exported(kind: str, profile: Profile) -> bytes:
    people = circle()
    who = people.people[kind]
    return to_pkcs12(who.certificate, who.key, [people.issuing.certificate], PASSWORD, profile=profile)


@pytest.mark.parametrize("row", TO_NSS)
def test_nss_opens_our_pkcs12(thunderbird, people, row):
    file = exported(row.key, row.how)
    with row.expected:
        thunderbird.open(file, PASSWORD)
    with pytest.raises(RefusedError):
        thunderbird.open(file, b"geheim-13")
    if row.limit:
        return
    # The key came with its certificate and with the one above it: what it signs is trusted.
    assert thunderbird.verify(thunderbird.sign(b"text", people.people[row.key]), b"text") == b"text"


@pytest.mark.parametrize("row", TO_GPGSM)
def test_gpgsm_opens_our_pkcs12(people, row):
    file = exported(row.key, row.how)
    if reason := gpgsm.why_not():
        pytest.skip(reason)
    with Gpgsm(people.root, [], []) as fresh:
        with row.expected:
            fresh.open(file, PASSWORD)
        assert bool(fresh.keys()) is (row.limit is None)


@pytest.mark.parametrize(("kind", "profile"), FILES)
def test_openssl_opens_our_pkcs12(people, kind, profile):
    legacy = openssl.LEGACY if profile is Profile.LEGACY else ()
    file = exported(kind, profile)
    found = openssl.run("pkcs12", *legacy, "-nodes", "-passin", f"pass:{PASSWORD.decode()}", given=file)
    assert people.people[kind].key_pem in found
    assert all(one.pem in found for one in (people.people[kind], people.issuing))


@pytest.mark.parametrize("row", FROM_GPGSM)
def test_we_open_the_pkcs12_of_gpgsm(gnupg, people, row):
    with row.expected:
        file = gnupg.export_p12(people.people[row.key], PASSWORD)
    if row.limit:
        return
    ((certificate, key),) = read_pkcs12(file, PASSWORD).keys
    assert certificate == people.people[row.key].certificate
    assert key.private_numbers() == people.people[row.key].key.private_numbers()


WRITTEN = [
    (),
    ("-descert",),
    ("-keypbe", "AES-128-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha512", "-iter", "1000"),
    ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "NONE", "-macalg", "sha1"),
    ("-legacy", "-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-40"),
    ("-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC2-128"),
    ("-nomac",),
]


@pytest.mark.parametrize("options", WRITTEN, ids=" ".join)
@pytest.mark.parametrize("kind", ["rsa2048", "p256", "ed25519"])
def test_we_open_the_pkcs12_of_openssl(people, tmp_path, kind, options):
    who = people.people[kind]
    (tmp_path / "all.pem").write_bytes(who.key_pem + who.pem + people.issuing.pem)
    words = ["openssl", "pkcs12", "-export", "-in", "all.pem", "-passout", f"pass:{PASSWORD.decode()}", *options]
    file = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True).stdout
    imported = read_pkcs12(file, PASSWORD)
    ((certificate, key),) = imported.keys
    assert (certificate, imported.chain) == (who.certificate, (people.issuing.certificate,))
    assert key.public_key() == who.key.public_key()


def test_our_certificates_alone_reach_all(gnupg, people, tmp_path):
    mine = people.certificates(*KEYS)
    pem = b"".join(people.people[kind].pem for kind in KEYS)
    assert to_pem(mine) == pem
    found = openssl.run("pkcs7", "-inform", "DER", "-print_certs", given=to_pkcs7(mine))
    assert all(people.people[kind].pem in found for kind in KEYS)
    with Gpgsm(people.root, [], []) as fresh:
        fresh.run("--import", given=to_pkcs7(mine))
        assert set(read_certificates(fresh.run("--export", "--armor"))) == {people.root.certificate, *mine}


def test_we_read_the_certificates_of_gpgsm(gnupg, people):
    everything = {people.root.certificate, people.issuing.certificate, *people.certificates(*RSA, *CURVES)}
    assert set(read_certificates(gnupg.run("--export", "--armor"))) == everything
