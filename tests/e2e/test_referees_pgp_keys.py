"""gpg and sqop read the keys that we make and change, and verify what we sign with them; and the reverse."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import pgp_craft as craft
from harness import gpg as referee
from harness.gpg import Gpg
from harness.referees import RefusedError
from harness.sqop import sqop
from mailseal.openpgp import edit
from mailseal.openpgp.armor import read_armor
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.component import KeyFlags, RevocationCode
from mailseal.openpgp.export import armored_public, armored_secret
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.generate import KeyKind, generate
from mailseal.openpgp.importing import read_transferable
from mailseal.openpgp.inner import write_literal
from mailseal.openpgp.message import encrypt_message, read_encrypted
from mailseal.openpgp.ring import open_ring
from mailseal.openpgp.select import encryption_components, fit_to_encrypt, why_not_encrypt
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.signature import read_signature
from mailseal.openpgp.validity import expiry, features, flags, live_user_ids, why_component_dead, why_dead
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.policy.reason import ReasonCode
from pki import DAY, NOW

TEXT, OTHER = "Anna Ä <anna@example.com>", "anna@example.net"
CONTENT = b"Dear Berta,\r\nthis is it.\r\n"
MADE = NOW - 50 * DAY


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    if reason := referee.why_not():
        pytest.skip(reason)
    with Gpg() as made:
        yield made


@pytest.fixture
def need_sqop() -> None:
    if reason := referee.why_not("sqop"):
        pytest.skip(reason)


def validity(lines, kind, text=None):
    """The second field of a listing's line: "r" for revoked, "e" for expired."""
    return next(line[1] for line in lines if line[0] == kind and text in {None, line[9]})


def good_signatures(lines):
    found = [line for line in lines if line[0] in {"sig", "rev"}]
    assert all(line[1] == "!" for line in found), found
    return len(found)


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.RSA3072])
def test_a_life_of_a_key(gpg, kind):
    made = generate([TEXT, OTHER], kind, expires_after=60 * DAY, at=MADE)
    (public, key), (encryption, _) = made.keys
    certificate = read_certificate(made.octets)
    name = certificate.fingerprint

    def shown(octets):
        gpg.run("--import", given=octets)
        lines = gpg.listed(name)
        return lines, good_signatures(lines)

    lines, count = shown(armored_public([certificate]))
    assert count == 3
    assert [line[9].lower() for line in lines if line[0] == "fpr"] == [name, encryption.fingerprint]
    assert [(line[11], int(line[6])) for line in lines if line[0] in {"pub", "sub"}] == [
        ("scESC", int((MADE + 60 * DAY).timestamp())),
        ("e", int((MADE + 60 * DAY).timestamp())),
    ]
    for text in (False, True):
        packet = sign_document(key, public, CONTENT, at=NOW, text=text)
        assert gpg.verify(CONTENT, packet) == name
        with pytest.raises(RefusedError):
            gpg.verify(CONTENT + b"x", packet)

    certificate = read_certificate(edit.set_expiry(certificate, key, NOW + 500 * DAY, at=MADE + 10 * DAY))
    lines, count = shown(certificate.octets)
    assert count == 6
    assert {int(line[6]) for line in lines if line[0] in {"pub", "sub"}} == {int((NOW + 500 * DAY).timestamp())}

    certificate = read_certificate(edit.add_user_id(certificate, "a@example.org", key, at=MADE + 20 * DAY))
    certificate = read_certificate(edit.revoke_user_id(certificate, OTHER, key, "moved", at=MADE + 20 * DAY))
    lines, _ = shown(certificate.octets)
    assert [validity(lines, "uid", text) for text in (OTHER, TEXT, "a@example.org")] == ["r", "-", "-"]

    domain = generate(["keys@example.com"], at=MADE)
    certifier = read_certificate(domain.octets)
    gpg.run("--import", given=certifier.octets)
    octets = edit.certify(certificate, [TEXT], certifier, domain.keys[0][1], at=MADE + 20 * DAY)
    _, after = shown(octets)
    assert after == 9

    certificate = read_certificate(edit.revoke(certificate, key, RevocationCode.RETIRED, "good bye", at=NOW))
    lines, _ = shown(certificate.octets)
    assert validity(lines, "pub") == "r"


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "p521", "bp256", "rsa2048"])
def test_what_a_subkey_signs(gpg, kind):
    owner, signing, encryption = craft.key(at=MADE), craft.key(kind, at=MADE), craft.key("cv25519", at=MADE)
    back = craft.back_signature(owner, signing, at=MADE)
    octets = craft.certificate(
        owner,
        craft.user_id(owner, TEXT, at=MADE),
        craft.subkey(owner, signing, KeyFlags.SIGN, at=MADE, back=back),
        craft.subkey(owner, encryption, craft.ENCRYPT, at=MADE),
    )
    gpg.run("--import", given=octets)
    assert good_signatures(gpg.listed(owner.fingerprint)) == 3
    packet = sign_document(signing.private, signing.public, CONTENT, at=NOW, signers_user_id=TEXT)
    assert gpg.verify(CONTENT, packet) == signing.fingerprint


def test_a_secret_key_locked_by_us(gpg):
    made = generate(["carl@example.com"], at=MADE)
    certificate = read_certificate(made.octets)
    keys = {public.fingerprint: private for public, private in made.keys}
    gpg.run("--import", given=armored_secret(certificate, keys, "pässword"), password="pässword")
    octets = gpg.run("--local-user", certificate.fingerprint, "--detach-sign", given=CONTENT, password="pässword")
    (found,) = check_signatures(CONTENT, split_signatures(octets), lambda _: [certificate], NOW)
    assert (found.verified, found.reason, found.created) == (True, None, NOW)


@pytest.mark.parametrize(
    ("algorithm", "encryption"),
    [
        ("ed25519", "cv25519"),
        ("nistp256/sign", "nistp256"),
        ("brainpoolP256r1/sign", "brainpoolP256r1"),
        ("rsa2048", "rsa2048"),
    ],
)
def test_a_life_of_a_key_of_gpg(gpg, algorithm, encryption):
    """What it makes and changes says to us what it means by it."""
    text = f"Berta <{encryption.lower()}@example.com>"
    gpg.run("--quick-generate-key", text, algorithm.partition("/")[0], "cert", "2y", at=MADE)
    name = next(line[9] for line in gpg.listed(text, at=MADE) if line[0] == "fpr")
    gpg.run("--quick-add-key", name, encryption, "encr", "1y", at=MADE)
    gpg.run("--quick-add-key", name, algorithm, "sign", "1y", at=MADE)

    def read():
        return read_certificate(gpg.run("--export", name))

    found = read()
    assert (found.fingerprint, found.omissions, found.disputed) == (name.lower(), (), False)
    assert [str(one.address) for one in found.user_ids] == [f"{encryption.lower()}@example.com"]
    ours = [flags(found, one, NOW) for one in found.components]
    assert ours == [KeyFlags.CERTIFY, KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE, KeyFlags.SIGN]
    assert [why_component_dead(found, one, NOW) for one in found.components] == [None] * 3
    assert len(fit_to_encrypt(found, NOW)) == 1
    assert features(found, NOW) == 1
    for digest, reason in (("SHA384", None), ("SHA1", ReasonCode.SIGNATURE_WEAK)):
        if digest == "SHA1" and algorithm != "rsa2048":
            continue  # gpg does not sign so either
        octets = gpg.run("--local-user", name, "--digest-algo", digest, "--detach-sign", given=CONTENT)
        (check,) = check_signatures(CONTENT, split_signatures(octets), lambda _: [found], NOW)
        assert (check.verified, check.reason, check.component) == (True, reason, found.subkeys[1])
        assert check.digest == digest.lower()

    gpg.run("--quick-set-expire", name, "5y", at=NOW)
    gpg.run("--quick-set-expire", name, "5y", "*", at=NOW)
    gpg.run("--quick-add-uid", name, OTHER, at=NOW)
    gpg.run("--quick-revoke-uid", name, text, at=NOW + DAY)
    later = read_certificate(edit.merge(found.octets, read().octets))
    at = NOW + 2 * DAY
    assert [one.text for one in live_user_ids(later, at)] == [OTHER]
    assert later.user_ids[0].revocations[0].code == RevocationCode.USER_ID_INVALID
    assert expiry(later, at) > NOW + timedelta(days=1800)
    assert [why_component_dead(later, one, NOW + 1000 * DAY) for one in later.components] == [None] * 3

    revocation = (gpg.home / "openpgp-revocs.d" / f"{name}.rev").read_bytes()
    octets = read_armor(revocation.replace(b":-----BEGIN", b"-----BEGIN")).octets
    gpg.run("--import", given=octets)
    assert why_dead(read(), MADE) is ReasonCode.PGP_KEY_REVOKED


@pytest.mark.parametrize(
    ("signing", "encryption", "reason"),
    [
        ("nistp384", "nistp384", None),
        ("nistp521", "nistp521", None),
        ("brainpoolP384r1", "brainpoolP384r1", None),
        ("brainpoolP512r1", "brainpoolP512r1", None),
        ("ed25519", "rsa2048", None),
        ("secp256k1", "secp256k1", ReasonCode.PGP_KEY_UNSUPPORTED),
        ("dsa1024", "elg1024", ReasonCode.PGP_KEY_UNSUPPORTED),
    ],
)
def test_kinds_of_keys_that_gpg_makes(gpg, signing, encryption, reason):
    text = f"{signing.lower()}@kinds.example"
    gpg.run("--quick-generate-key", text, signing, "sign,cert", "2y", at=MADE, password="pässword")
    name = next(line[9].lower() for line in gpg.listed(text, at=MADE) if line[0] == "fpr")
    gpg.run("--quick-add-key", name, encryption, "encr", "1y", at=MADE, password="pässword")
    (member,) = open_ring(io.BytesIO(gpg.run("--export-secret-keys", name, password="pässword"))).members
    found = read_transferable(member.octets, lambda: "pässword")
    stored = StoredPgpCertificate(found.certificate, PgpTrust.TRUSTED, selected=True)
    against = why_not_encrypt(stored, None, NOW)
    assert (found.certificate.fingerprint, against and against.code) == (name, reason)
    octets = gpg.sign(CONTENT, name, password="pässword")
    (check,) = check_signatures(CONTENT, split_signatures(octets), lambda _: [found.certificate], NOW)
    assert check.verified is (reason is None)
    if reason is not None:
        assert not found.keys
        return
    (component,) = encryption_components(stored, NOW)
    ours = b"".join(encrypt_message(write_literal([CONTENT]), [Reader(component.public)], EncryptionForm()))
    assert gpg.read(ours, password="pässword").content == CONTENT
    theirs = gpg.encrypt(CONTENT, name)
    assert read_encrypted(theirs).open(found.keys, max_bytes=1000).inner.literal == CONTENT


def test_sqop_reads_ours_and_the_reverse(need_sqop, tmp_path: Path):
    made = generate([TEXT], at=MADE)
    (public, key), _ = made.keys
    ours, theirs, signature = tmp_path / "ours", tmp_path / "theirs", tmp_path / "signature"
    ours.write_bytes(made.octets)
    signature.write_bytes(sign_document(key, public, CONTENT, at=NOW))
    assert public.fingerprint.upper() in sqop("verify", str(signature), str(ours), given=CONTENT).decode()
    with pytest.raises(RefusedError):
        sqop("verify", str(signature), str(ours), given=CONTENT + b"x")
    theirs.write_bytes(sqop("generate-key", TEXT))
    certificate = read_certificate(read_armor(sqop("extract-cert", given=theirs.read_bytes())).octets)
    octets = read_armor(sqop("sign", str(theirs), given=CONTENT)).octets
    (body,) = split_signatures(octets)
    at = read_signature(body).created  # sqop goes by the clock of the machine
    assert why_dead(certificate, at) is None
    assert len(fit_to_encrypt(certificate, at)) == 1
    (found,) = check_signatures(CONTENT, [body], lambda _: [certificate], at)
    assert (found.verified, found.reason) == (True, None)
