"""RFC 4134: every example of S/MIME from its time. What must be read is read; what is signed with DSS is never good."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mailseal.mail.header import authors
from mailseal.mail.mime import parse
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.smime.certificate import Revocation, parse_certificate
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.importing import ImportedKeys, read_bundle
from mailseal.smime.message import LayerKind, classify, read_cms, signed_parts
from mailseal.smime.path import validate
from mailseal.smime.revocation import NO_CRLS, CrlError, read_crl
from mailseal.smime.secret import SharedKey
from mailseal.smime.verify import read_signed, verify
from mailseal.wiring.single import Materials, known_from, open_one
from pki import DAY

FOLDER = Path(__file__).parent / "rfc4134"
AT = datetime(2005, 7, 1, tzinfo=UTC)


def octets(name):
    return base64.b64decode((FOLDER / f"{name}.b64").read_bytes())


CONTENT = octets("ExContent.bin")
CERTIFICATES = {file.stem: parse_certificate(octets(file.stem)) for file in sorted(FOLDER.glob("*.cer.b64"))}
CARL_RSA = CERTIFICATES["CarlRSASelf.cer"]
BOB = CERTIFICATES["BobRSASignByCarl.cer"]
BOB_KEY = load_der_private_key(octets("BobPrivRSAEncrypt.pri"), None)


def checks(name, content=None):
    return verify(read_signed(octets(name)), content, tuple(CERTIFICATES.values()))


def test_certificates_are_read():
    assert {name.removesuffix(".cer"): (one.subject, one.key_algorithm) for name, one in CERTIFICATES.items()} == {
        "AliceDSSSignByCarlNoInherit": ("CN=AliceDSS", "1.2.840.10040.4.1"),
        "AliceRSASignByCarl": ("CN=AliceRSA", "rsa-1024"),
        "BobRSASignByCarl": ("CN=BobRSA", "rsa-1024"),
        "CarlDSSSelf": ("CN=CarlDSS", "1.2.840.10040.4.1"),
        "CarlRSASelf": ("CN=CarlRSA", "rsa-1024"),
        "DianeDSSSignByCarlInherit": ("CN=DianeDSS", "1.2.840.10040.4.1"),
        "DianeRSASignByCarl": ("CN=DianeRSA", "rsa-1024"),
    }
    assert CERTIFICATES["AliceRSASignByCarl.cer"].san_emails == ("AliceRSA@example.com",)


@pytest.mark.parametrize("name", sorted(CERTIFICATES))
def test_no_path_is_as_strong_as_is_asked_for_today(name):
    """Keys of 1024 bits, SHA-1 and DSS: the authorities of 1999 vouch for nobody, even as roots."""
    if CERTIFICATES[name] in {CARL_RSA, CERTIFICATES["CarlDSSSelf.cer"]}:
        return  # a root is trusted by hand
    roots = [CARL_RSA, CERTIFICATES["CarlDSSSelf.cer"]]
    verdict = validate(CERTIFICATES[name], [], roots, NO_CRLS, AT, crl_grace=DAY)
    assert (verdict.trusted, verdict.revocation) == (False, Revocation.UNKNOWN)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.crl.b64")), ids=lambda file: file.name.split(".")[0])
def test_crls_of_version_1_have_no_end_and_are_refused(file):
    with pytest.raises(CrlError, match="no nextUpdate"):
        read_crl(octets(file.stem))


@pytest.mark.parametrize("name", ["3.1.bin", "3.2.bin", "6.0.bin", "7.1.bin", "7.2.bin"])
def test_structures_that_are_no_mail(name):
    """Plain data, DigestedData, EncryptedData: none of them is an S/MIME layer (RFC 8551 §2.4)."""
    for read in (read_signed, read_enveloped):
        with pytest.raises(CmsError) as caught:
            read(octets(name))
        assert caught.value.reason in {ReasonCode.MALFORMED, ReasonCode.UNSUPPORTED_ALGORITHM}


@pytest.mark.parametrize("name", ["4.2.bin", "4.5.bin"])
def test_signed_by_rsa(name):
    """The signature holds; with SHA-1 it is worth little."""
    (check,) = checks(name)
    assert (check.verified, check.weak, check.reason) == (True, True, ReasonCode.SIGNATURE_WEAK)
    assert (check.digest, check.algorithm) == ("sha1", "rsa-pkcs1v15")
    assert check.certificate == CERTIFICATES["AliceRSASignByCarl.cer"]
    assert read_signed(octets(name)).econtent == CONTENT
    (check,) = checks(name, CONTENT + b"x")
    assert not check.verified


DSS_SIGNERS = {
    "4.1.bin": ["CN=AliceDSS"],
    "4.3.bin": ["CN=AliceDSS"],
    "4.4.bin": ["CN=AliceDSS"],
    "4.6.bin": ["CN=AliceDSS", "CN=DianeDSS"],
    "4.7.bin": ["CN=AliceDSS"],
    "4.10.bin": ["CN=AliceDSS"],
}


@pytest.mark.parametrize("name", DSS_SIGNERS)
def test_signed_by_dss(name):
    """All is read, countersignatures, attributes and CRLs beside it too; the signatures are of an unknown kind."""
    signed = read_signed(octets(name))
    assert signed.econtent == (None if name == "4.3.bin" else CONTENT)
    found = checks(name, CONTENT)
    assert [check.certificate.subject for check in found] == DSS_SIGNERS[name]
    for check in found:
        assert (check.verified, check.reason) == (False, ReasonCode.UNSUPPORTED_ALGORITHM)


def test_attributes_of_the_fanciest_one():
    (check,) = checks("4.4.bin")
    assert check.signing_time == datetime(2003, 5, 14, 15, 39, tzinfo=UTC)
    assert len(read_signed(octets("4.4.bin")).certificates) == 3


def test_certificates_only():
    signed = read_signed(octets("4.11.bin"))
    assert (signed.signers, signed.econtent) == ((), None)
    bundle = read_bundle(octets("4.11.bin"))
    assert {one.subject for one in bundle.certificates} == {"CN=AliceDSS", "CN=CarlDSS"}
    assert set(bundle.certificates) == set(signed.certificates)


@pytest.mark.parametrize(("name", "cipher"), [("5.1.bin", "3des"), ("5.2.bin", "rc2-40-cbc")])
def test_enveloped(name, cipher):
    enveloped = read_enveloped(octets(name))
    assert enveloped.algorithm.startswith(cipher)
    assert enveloped.integrity == "none"
    assert enveloped.decrypt([(BOB, BOB_KEY)], 1000) == CONTENT
    diane = CERTIFICATES["DianeRSASignByCarl.cer"]
    with pytest.raises(CmsError) as caught:
        enveloped.decrypt([(diane, load_der_private_key(octets("DianePrivRSASignEncrypt.pri"), None))], 1000)
    assert caught.value.reason is ReasonCode.KEY_NOT_FOUND


def opened(name):
    """The mail as it is opened with Bob's key, all certificates known and their authorities roots."""
    root = parse(octets(name)).root
    keys = [ImportedKeys(((BOB, BOB_KEY),), ())]
    roots = [CARL_RSA, CERTIFICATES["CarlDSSSelf.cer"]]
    known = known_from(Materials(keys, roots, list(CERTIFICATES.values())), AT)
    assert authors(root)
    return root, open_one(root, known, Settings(), AT)


@pytest.mark.parametrize("name", ["4.8.eml", "4.9.eml"])
def test_a_signed_mail_is_never_called_good(name):
    root, result = opened(name)
    assert classify(root) is LayerKind.SIGNED
    (layer,) = result.layers
    (signer,) = layer.signers
    assert signer.subject == "CN=AliceDSS"
    assert (signer.verified, signer.good) == (False, False)
    assert signer.reason.code is ReasonCode.UNSUPPORTED_ALGORITHM
    assert not result.signed_by_sender


def test_the_parts_of_the_signed_multipart():
    content, _ = signed_parts(parse(octets("4.8.eml")).root)
    assert bytes(content).endswith(CONTENT)


def test_an_encrypted_mail():
    """It is decrypted, and what is inside is no MIME entity: it has no header. So nothing of it is shown."""
    root, result = opened("5.3.eml")
    assert classify(root) is LayerKind.ENCRYPTED
    assert read_enveloped(read_cms(root)).decrypt([(BOB, BOB_KEY)], 1000) == CONTENT
    (layer,) = result.layers
    assert (layer.ok, layer.algorithm, layer.integrity) == (False, "3des-cbc", "none")
    assert layer.reason.code is ReasonCode.DECRYPTION_FAILED
    assert result.content is None


def test_a_key_of_a_mailing_list():
    """5.2: the content key under RC2 too, for whoever has the list's key (RFC 4134 §5.2)."""
    enveloped = read_enveloped(octets("5.2.bin"))
    key = SharedKey(bytes.fromhex("b70a25fbc9d86a86050ce0d711ead4d9"), b"MailListRC2")
    assert enveloped.decrypt_with_secrets([key], 1000) == CONTENT
