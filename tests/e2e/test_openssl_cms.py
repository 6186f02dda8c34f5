"""`openssl cms` (3.0) as referee of the CMS engine, in both directions, for every algorithm we write or read."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from mailseal.mail.mime import parse
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Cipher, Digest
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.message import LayerKind, classify, encrypted_entity, read_cms, signed_entity, signed_parts
from mailseal.smime.sign import SigningIdentity, sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW, Authority

pytestmark = pytest.mark.e2e

BODY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"0123456789 abcdef\r\n" * 600
KEYS = ("rsa2048", "rsa3072", "p256", "p384", "p521")


@dataclass(frozen=True)
class Referee:
    """A folder with the PKI as PEM files, and `openssl cms` run in it."""

    folder: Path
    people: dict

    def cms(self, *arguments: str, ok: bool = True) -> bytes:
        run = subprocess.run(
            ["openssl", "cms", *arguments], cwd=self.folder, capture_output=True, timeout=30, check=False
        )
        if ok:
            assert run.returncode == 0, run.stderr.decode()
        else:
            assert run.returncode != 0
        return (self.folder / "out").read_bytes() if ok else b""

    def put(self, octets: bytes, name: str = "in") -> str:
        (self.folder / name).write_bytes(octets)
        return name

    def verify(self, *arguments: str, ok: bool = True) -> bytes:
        at = str(int(NOW.timestamp()))
        # openssl itself takes apart a mail and makes its line ends CRLF; anything else is left alone by -binary.
        binary = () if "SMIME" in arguments else ("-binary",)
        arguments = ("-verify", *binary, "-CAfile", "root.pem", "-attime", at, *arguments, "-out", "out")
        return self.cms(*arguments, ok=ok)

    def sign(self, kind: str, *arguments: str) -> bytes:
        who = ("-signer", f"{kind}.pem", "-inkey", f"{kind}.key", "-certfile", "chain.pem")
        self.put(BODY, "content")
        return self.cms("-sign", "-binary", "-in", "content", *who, "-outform", "DER", "-out", "out", *arguments)

    def encrypt(self, kinds: list[str], *arguments: str) -> bytes:
        self.put(BODY, "content")
        to = [word for kind in kinds for word in ("-recip", f"{kind}.pem", *arguments)]
        return self.cms("-encrypt", "-binary", "-in", "content", "-outform", "DER", "-out", "out", *to)

    def decrypt(self, kind: str, octets: bytes, form: str = "DER") -> bytes:
        who = ("-recip", f"{kind}.pem", "-inkey", f"{kind}.key")
        return self.cms("-decrypt", "-binary", "-in", self.put(octets), "-inform", form, *who, "-out", "out")

    def identity(self, kind: str) -> SigningIdentity:
        person = self.people[kind]
        return SigningIdentity(person.certificate, person.key, person.chain)

    def keys(self, kind: str) -> list:
        return [(self.people[kind].certificate, self.people[kind].key)]


@pytest.fixture(scope="module")
def referee(tmp_path_factory) -> Referee:
    folder = tmp_path_factory.mktemp("cms")
    root = Authority("Root")
    issuing = root.subordinate("Issuing")
    people = {kind: issuing.issue(f"{kind}@example.org", key=kind) for kind in KEYS}
    (folder / "root.pem").write_bytes(root.pem)
    (folder / "chain.pem").write_bytes(issuing.pem)
    for kind, person in people.items():
        (folder / f"{kind}.pem").write_bytes(person.pem)
        (folder / f"{kind}.key").write_bytes(person.key_pem)
    return Referee(folder, people)


# What we write, openssl reads.


@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("kind", KEYS)
def test_openssl_verifies_our_detached_signature(referee, kind, digest):
    octets = sign(BODY, referee.identity(kind), digest=digest, at=NOW)
    name = referee.put(octets)
    arguments = ("-in", name, "-inform", "DER", "-content")
    assert referee.verify(*arguments, referee.put(BODY, "content")) == BODY
    referee.verify(*arguments, referee.put(BODY + b"x", "content"), ok=False)


@pytest.mark.parametrize("kind", KEYS)
def test_openssl_verifies_our_signed_mail(referee, kind):
    mail = b"MIME-Version: 1.0\r\n" + signed_entity(BODY, referee.identity(kind), Digest.SHA256, NOW)
    assert referee.verify("-in", referee.put(mail), "-inform", "SMIME") == BODY


@pytest.mark.parametrize("kind", KEYS)
def test_openssl_verifies_our_opaque_signature(referee, kind):
    octets = sign(BODY, referee.identity(kind), digest=Digest.SHA256, at=NOW, detached=False)
    assert referee.verify("-in", referee.put(octets), "-inform", "DER", "-cades") == BODY


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("kind", KEYS)
def test_openssl_decrypts_what_we_encrypt(referee, kind, cipher):
    octets = encrypt([BODY], [referee.people[kind].certificate], cipher)
    assert referee.decrypt(kind, octets) == BODY


@pytest.mark.parametrize("cipher", [Cipher.AES256_CBC, Cipher.AES256_GCM])
def test_openssl_decrypts_our_mail_to_many_with_each_key(referee, cipher):
    everyone = [person.certificate for person in referee.people.values()]
    mail = b"MIME-Version: 1.0\r\n" + encrypted_entity([BODY[:100], memoryview(BODY)[100:]], everyone, cipher)
    for kind in KEYS:
        assert referee.decrypt(kind, mail, "SMIME") == BODY


# What openssl writes, we read.

SIGNATURES = [
    *((kind, ("-md", md)) for kind in ("rsa2048", "p256", "p384", "p521") for md in ("sha256", "sha384", "sha512")),
    ("rsa2048", ("-md", "sha224")),
    ("p256", ("-md", "sha224")),
    ("rsa2048", ("-keyopt", "rsa_padding_mode:pss")),
    ("rsa2048", ("-md", "sha512", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20")),
    ("rsa2048", ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1")),
    ("rsa2048", ("-keyid",)),
    ("p256", ("-keyid",)),
    ("rsa2048", ("-noattr",)),
    ("p256", ("-noattr",)),
    ("rsa2048", ("-cades",)),
    ("rsa2048", ("-nosmimecap",)),
]


@pytest.mark.parametrize("form", [(), ("-nodetach",), ("-nodetach", "-stream")], ids=" ".join)
@pytest.mark.parametrize(("kind", "options"), SIGNATURES)
def test_we_verify_the_signature_of_openssl(referee, kind, options, form):
    if "-stream" in form and "rsa_padding_mode:pss" in options:
        return  # openssl 3.0 cannot write this
    signed = read_signed(referee.sign(kind, *options, *form))
    opaque = "-nodetach" in form
    assert signed.econtent == (BODY if opaque else None)
    (check,) = verify(signed, None if opaque else BODY)
    assert (check.verified, check.weak, check.reason) == (True, False, None)
    assert check.certificate == referee.people[kind].certificate
    assert (check.signing_time is None) is ("-noattr" in options)
    (check,) = verify(signed, BODY + b"x")
    assert not check.verified
    assert check.reason is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize("options", [(), ("-keyopt", "rsa_padding_mode:pss"), ("-noattr",)])
@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_we_call_sha1_weak(referee, kind, options):
    if kind == "p256" and "-keyopt" in options:
        return
    (check,) = verify(read_signed(referee.sign(kind, "-md", "sha1", *options)), BODY)
    assert (check.verified, check.weak, check.reason) == (True, True, ReasonCode.SIGNATURE_WEAK)
    assert check.digest == "sha1"


def test_we_verify_several_signers_and_a_missing_certificate(referee):
    more = ("-signer", "p256.pem", "-inkey", "p256.key", "-signer", "p384.pem", "-inkey", "p384.key")
    checks = verify(read_signed(referee.sign("rsa2048", *more)), BODY)
    assert [check.verified for check in checks] == [True] * 3
    assert {check.algorithm for check in checks} == {"rsa-pkcs1v15", "ecdsa"}
    bare = read_signed(referee.sign("rsa2048", "-nocerts"))
    bare = replace(bare, certificates=())
    assert verify(bare, BODY)[0].reason is ReasonCode.SIGNER_CERTIFICATE_MISSING
    (check,) = verify(bare, BODY, [person.certificate for person in referee.people.values()])
    assert check.verified


def test_we_verify_a_signed_mail_of_openssl_with_either_line_end(referee):
    for crlf in ((), ("-crlfeol",)):
        referee.put(BODY, "content")
        who = ("-signer", "rsa2048.pem", "-inkey", "rsa2048.key", "-certfile", "chain.pem")
        mail = referee.cms("-sign", "-in", "content", *who, *crlf, "-out", "out")
        root = parse(mail).root
        assert classify(root) is LayerKind.SIGNED
        content, signature = signed_parts(root)
        (check,) = verify(read_signed(signature), content)
        assert check.verified


ENVELOPES = [
    *((kind, (cipher,)) for kind in KEYS for cipher in ("-aes128", "-aes256", "-aes-128-gcm", "-aes-256-gcm")),
    ("rsa2048", ("-aes192",)),
    ("rsa2048", ("-aes-192-gcm",)),
    ("rsa2048", ("-des3",)),
    ("rsa2048", ("-keyid", "-aes256")),
    ("p256", ("-keyid", "-aes256")),
    *(
        ("rsa2048", ("-aes256", "-keyopt", "rsa_padding_mode:oaep", *more))
        for more in (
            (),
            ("-keyopt", "rsa_oaep_md:sha256"),
            ("-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"),
            ("-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha1"),
            ("-keyopt", "rsa_oaep_label:00ff41"),
        )
    ),
    *(
        (kind, ("-aes256", "-keyopt", f"ecdh_kdf_md:{md}", *more))
        for kind in ("p256", "p384", "p521")
        for md in ("sha1", "sha224", "sha256", "sha384", "sha512")
        for more in ((), ("-keyopt", "ecdh_cofactor_mode:1"))
    ),
    ("p256", ("-aes256", "-aes128-wrap")),
    ("p256", ("-aes128", "-aes192-wrap")),
    ("p256", ("-aes128", "-aes256-wrap")),
]


@pytest.mark.parametrize(("kind", "options"), ENVELOPES, ids=lambda value: value if isinstance(value, str) else None)
def test_we_decrypt_what_openssl_encrypts(referee, kind, options):
    octets = referee.encrypt([kind], *options)
    enveloped = read_enveloped(octets)
    assert enveloped.fits(referee.people[kind].certificate)
    assert enveloped.integrity == ("authenticated" if any("gcm" in one for one in options) else "none")
    assert enveloped.decrypt(referee.keys(kind), len(BODY) + 16) == BODY


@pytest.mark.parametrize("cipher", ["-aes256", "-aes-256-gcm"])
@pytest.mark.parametrize("stream", [(), ("-stream",)])
def test_we_decrypt_the_mail_of_openssl_to_many(referee, cipher, stream):
    enveloped = read_enveloped(referee.encrypt(list(KEYS), cipher, *stream))
    assert len(enveloped.recipients) == len(KEYS)
    for kind in KEYS:
        assert enveloped.decrypt(referee.keys(kind), 1_000_000) == BODY


def test_we_read_the_encrypted_mail_of_openssl(referee):
    referee.put(BODY, "content")
    mail = referee.cms("-encrypt", "-binary", "-aes256", "-in", "content", "-out", "out", "-recip", "rsa2048.pem")
    root = parse(mail).root
    assert classify(root) is LayerKind.ENCRYPTED
    assert read_enveloped(read_cms(root)).decrypt(referee.keys("rsa2048"), 1_000_000) == BODY


def test_our_signed_certificates_reach_openssl(referee):
    signed = read_signed(sign(BODY, referee.identity("p256"), digest=Digest.SHA256, at=NOW))
    pem = [load_der_x509_certificate(one.der).public_bytes(Encoding.PEM) for one in signed.certificates]
    octets = sign(BODY, referee.identity("p256"), digest=Digest.SHA256, at=NOW)
    referee.put(BODY, "content")
    name = referee.put(octets)
    arguments = ("-in", name, "-inform", "DER", "-content", "content", "-certsout", "certificates")
    referee.verify(*arguments)
    found = (referee.folder / "certificates").read_bytes()
    assert all(one in found for one in pem)
