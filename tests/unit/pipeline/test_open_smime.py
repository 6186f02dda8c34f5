"""Opening S/MIME of old programs, with secrets, of domains, with many signers: through the whole path."""

import json
import zlib
from base64 import encodebytes

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import padding

from cms_samples import compressed, encrypted_entity, signed_entity
from mailseal.cli import cli
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.methods.smime_layers import MAX_JUDGED
from mailseal.pipeline import process
from mailseal.policy.model import Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.smime import algorithms, ber, der
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.revocation import NO_CRLS
from mailseal.smime.secret import SharedKey, SharedPassword
from mailseal.smime.sign import SigningIdentity, issuer_and_serial, sign
from mailseal.wiring.memory import MemoryCertificates, MemoryPgpCertificates
from mailseal.wiring.single import Known, open_one
from old_cms import AES256_WRAP, encrypted, password_info, shared_key_info
from pki import NOW, Authority
from stage import PARTNER, READER, ROOT, Stage, envelope, stored

HEAD = b"From: Bob <bob@outside.example>\r\nTo: dora@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain\r\n\r\nThe canary sings.\r\n"
DOMAIN = ROOT.issue("domain-confidentiality-authority@outside.example", fresh_key=True)


def identity(one) -> SigningIdentity:
    return SigningIdentity(one.certificate, one.key, tuple(one.chain))


def signed(entity=TEXT, by=PARTNER) -> bytes:
    return signed_entity(entity, identity(by), SignatureForm(), at=NOW)


def cms(octets: bytes, kind: bytes = b"enveloped-data") -> bytes:
    head = (
        b"Content-Type: application/pkcs7-mime; smime-type=" + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head + encodebytes(octets).replace(b"\n", b"\r\n")


def old(cipher: str, content: bytes = TEXT) -> bytes:
    def to_reader(key: bytes) -> list[bytes]:
        wrapped = READER.key.public_key().encrypt(key, padding.PKCS1v15())
        algorithm = der.sequence(algorithms.RSA_ENCRYPTION, der.NULL)
        name = issuer_and_serial(READER.certificate)
        return [der.sequence(der.integer(0), name, algorithm, der.octet_string(wrapped))]

    return cms(encrypted(to_reader, content, cipher))


def receive(raw: bytes, *, chosen=(), **settings):
    """What the reader gets: the outcome and the mail. `chosen`: certificates chosen by hand for the sender."""
    stage = Stage(settings={"inside.example": Settings(**settings)}).own(READER)
    if chosen:
        stage.certificates_of["bob@outside.example"] = list(chosen)
    message = envelope("dora@inside.example", sender="bob@outside.example", origin=Origin.OUTSIDE)
    (outcome,) = process(message, Message(raw), stage.gateway())
    return outcome, b"".join(stage.sent[0].chunks[1:])


def header(octets: bytes, name: str) -> str | None:
    return parse(octets).root.header(name)


def codes(outcome) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons}


@pytest.mark.parametrize("cipher", ["3des-cbc", "rc2-128-cbc", "des-cbc", "cast5-cbc"])
def test_a_weak_cipher_is_read_and_told(cipher):
    outcome, octets = receive(HEAD + old(cipher), subject_tags=True)
    assert outcome.treatment is Treatment.OPENED
    assert b"The canary sings." in octets
    assert header(octets, "x-mailseal-decrypted") == "yes"
    layer = header(octets, "x-mailseal-layer-1")
    assert f"ok=yes; algorithm={cipher}; integrity=none" in layer
    assert "reason=encryption-weak" in layer
    assert header(octets, "subject") == "Hello [decrypted]"
    (weak,) = [one for one in outcome.reasons if one.code is ReasonCode.ENCRYPTION_WEAK]
    assert weak.parameters == (("algorithm", cipher),)
    assert ReasonCode.OPENED in codes(outcome)


@pytest.mark.parametrize("cipher", ["3des-cbc", "rc2-128-cbc", "des-cbc", "cast5-cbc"])
def test_each_weak_cipher_can_be_switched_off(cipher):
    switch = "smime_read_" + cipher.partition("-")[0]
    outcome, octets = receive(HEAD + old(cipher), **{switch: False})
    assert b"canary" not in octets
    assert outcome.treatment is Treatment.PASSED
    assert "ok=no" in header(octets, "x-mailseal-layer-1")
    assert "reason=cipher-off" in header(octets, "x-mailseal-layer-1")
    (off,) = [one for one in outcome.reasons if one.code is ReasonCode.CIPHER_OFF]
    assert off.parameters == (("algorithm", cipher),)
    others = {f"smime_read_{name}": False for name in ("3des", "rc2", "des", "cast5")} | {switch: True}
    assert b"The canary sings." in receive(HEAD + old(cipher), **others)[1]


def test_ciphers_of_today_are_not_switched_off_and_not_weak():
    off = {f"smime_read_{name}": False for name in ("3des", "rc2", "des", "cast5")}
    raw = HEAD + encrypted_entity([TEXT], [READER.certificate], EncryptionForm())
    outcome, octets = receive(raw, **off)
    assert b"The canary sings." in octets
    assert not codes(outcome) & {ReasonCode.ENCRYPTION_WEAK, ReasonCode.CIPHER_OFF}


def test_a_signature_under_a_weak_cipher_still_counts():
    outcome, octets = receive(HEAD + old("3des-cbc", signed()))
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert ReasonCode.ENCRYPTION_WEAK in codes(outcome)


def test_a_domain_signs_for_its_sender_if_an_administrator_says_so():
    """A certificate whose address is not the sender's (RFC 3183), chosen by hand for the sender or his domain."""
    raw = HEAD + signed(by=DOMAIN)
    for chosen, by_sender in (
        ([stored(DOMAIN, selected=True)], "yes"),
        ([stored(DOMAIN)], "no"),
        ([stored(PARTNER, selected=True)], "no"),
        ([], "no"),
        ([stored(DOMAIN, selected=True, trusted=False)], "no"),
    ):
        _, octets = receive(raw, chosen=chosen)
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender
        matches = "yes" if [one.selected for one in chosen if one.certificate == DOMAIN.certificate] == [True] else "no"
        assert f"matches-from={matches}" in header(octets, "x-mailseal-layer-1-signer-1")


def test_a_domain_signs_for_nobody_if_the_signature_is_bad_or_there_are_several_authors():
    chosen = [stored(DOMAIN, selected=True)]
    _, octets = receive(HEAD + signed(by=DOMAIN).replace(b"canary", b"magpie"), chosen=chosen)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    two = HEAD.replace(b"From: Bob", b"From: ceo@inside.example, Bob")
    _, octets = receive(two + signed(by=DOMAIN), chosen=chosen)
    assert header(octets, "x-mailseal-signed-by-sender") == "no"


def joined(*mails: bytes) -> bytes:
    """One opaque structure with the certificates and signers of several."""
    parts = [ber.read(one).children[1].children[0].children for one in mails]
    certificates = {child.whole for one in parts for child in one[3].children}
    signers = [child.whole for one in parts for child in one[4].children]
    fields = [one.whole for one in parts[0][:3]]
    return der.sequence(
        algorithms.SIGNED_DATA,
        der.element(0xA0, der.sequence(*fields, der.set_of(certificates, tag=0xA0), der.element(0x31, *signers))),
    )


def opaque(*people) -> bytes:
    return joined(*(sign(TEXT, identity(one), SignatureForm(opaque=True), at=NOW) for one in people))


def test_all_signers_must_be_good():
    stranger = Authority("Elsewhere").issue("bob@outside.example", key="p256")
    carol = ROOT.issue("carol@outside.example", key="p256")
    twin = ROOT.issue("bob@outside.example", key="p384")
    for people, by_sender in (((PARTNER, twin), "yes"), ((PARTNER, stranger), "no"), ((PARTNER, carol), "no")):
        outcome, octets = receive(HEAD + cms(opaque(*people), b"signed-data"))
        assert header(octets, "x-mailseal-signed-by-sender") == by_sender
        assert "ok=yes" in header(octets, "x-mailseal-layer-1")
        assert outcome.treatment is Treatment.OPENED
    damaged = opaque(PARTNER, twin).replace(b"The canary", b"The magpie")
    outcome, octets = receive(HEAD + cms(damaged, b"signed-data"))
    assert "ok=no" in header(octets, "x-mailseal-layer-1")
    assert outcome.harvested == ()


def test_many_signers_cost_the_judging_of_a_few(monkeypatch):
    people = [ROOT.issue("bob@outside.example", key="p256") for _ in range(32)]
    judged = []
    judge = Stage.judge
    monkeypatch.setattr(Stage, "judge", lambda self, *given: judged.append(given[0]) or judge(self, *given))
    outcome, octets = receive(HEAD + cms(opaque(*people), b"signed-data"))
    assert len(judged) == MAX_JUDGED
    assert header(octets, "x-mailseal-signed-by-sender") == "no"
    assert "ok=yes" in header(octets, "x-mailseal-layer-1")
    assert "reason=too-many-signers" in header(octets, f"x-mailseal-layer-1-signer-{MAX_JUDGED + 1}")
    assert "trusted=no" in header(octets, f"x-mailseal-layer-1-signer-{MAX_JUDGED + 1}")
    assert "trusted=yes" in header(octets, f"x-mailseal-layer-1-signer-{MAX_JUDGED}")
    assert ReasonCode.TOO_MANY_SIGNERS in codes(outcome)
    # One certificate is judged once, however often it signs.
    judged.clear()
    _, octets = receive(HEAD + cms(opaque(*[PARTNER] * 32), b"signed-data"))
    assert len(judged) == 1
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"


def test_stored_certificates_need_no_judging(monkeypatch):
    people = [ROOT.issue("bob@outside.example", key="p256") for _ in range(20)]
    monkeypatch.setattr(Stage, "judge", lambda *_: pytest.fail("judged"))
    chosen = [stored(one) for one in people]
    _, octets = receive(HEAD + cms(opaque(*people), b"signed-data"), chosen=chosen)
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"


def test_triple_wrapped_with_compression_and_an_opaque_signature():
    inner = cms(compressed(zlib.compress(signed())), b"compressed-data")
    middle = encrypted_entity([inner], [READER.certificate], EncryptionForm())
    outer = cms(sign(middle, identity(PARTNER), SignatureForm(opaque=True), at=NOW), b"signed-data")
    outcome, octets = receive(HEAD + outer)
    kinds = [value.partition(" ")[0] for name, value in outcome.details if name.startswith("layer-")]
    assert kinds == ["smime-signed", "smime-encrypted", "smime-compressed", "smime-signed"]
    assert header(octets, "x-mailseal-signed-by-sender") == "yes"
    assert b"The canary sings." in octets


def test_compressed_within_compressed_stays_within_limits():
    entity = TEXT
    for _ in range(12):
        entity = cms(compressed(zlib.compress(entity)), b"compressed-data")
    outcome, octets = receive(HEAD + entity)
    assert ReasonCode.TOO_DEEP in codes(outcome)
    assert b"canary" not in octets


PASSWORD, KEK = b"secret word", bytes(range(32))
BY_PASSWORD = HEAD + cms(encrypted(lambda key: [password_info(PASSWORD, key)], signed()))
BY_KEY = HEAD + cms(encrypted(lambda key: [shared_key_info(AES256_WRAP, KEK, key, b"\xc0\xff\xee")], TEXT))


NOBODY = Known(MemoryCertificates([ROOT.certificate], NO_CRLS), MemoryPgpCertificates())


def test_what_is_told_of_recipients_is_short():
    transport = (der.sequence(algorithms.RSA_ENCRYPTION, der.NULL), der.octet_string(b"x"))
    by_key = der.sequence(der.integer(2), der.element(0x80, bytes(100_000)), *transport)
    shared = shared_key_info(AES256_WRAP, bytes(32), bytes(32), bytes(100_000))
    root = parse(HEAD + cms(encrypted(lambda _: [by_key, shared], TEXT))).root
    found = open_one(root, NOBODY, Settings(), NOW)
    assert [len(one) < 200 for one in found.layers[0].recipients] == [True, True]


def test_secrets_open_what_is_encrypted_to_them():
    for raw, good, bad, name in (
        (BY_PASSWORD, SharedPassword(PASSWORD), SharedPassword(b"wrong"), "a password"),
        (BY_KEY, SharedKey(KEK), SharedKey(bytes(32)), "shared key c0ffee"),
    ):
        root = parse(raw).root
        opened = open_one(root, NOBODY, Settings(), NOW, [good])
        assert (opened.decrypted, opened.layers[0].recipients) == (True, (name,))
        (layer,) = open_one(root, NOBODY, Settings(), NOW, [bad]).layers
        assert layer.reason.code is ReasonCode.DECRYPTION_FAILED
        (layer,) = open_one(root, NOBODY, Settings(), NOW).layers
        assert layer.reason.code is ReasonCode.KEY_NOT_FOUND


def run(tmp_path, raw: bytes, *options: str):
    (tmp_path / "mail.eml").write_bytes(raw)
    return CliRunner().invoke(cli, ["message", "open", str(tmp_path / "mail.eml"), "--json", *options])


def test_message_open_takes_passwords_and_keys_from_files(tmp_path):
    (tmp_path / "password").write_bytes(PASSWORD + b"\n")
    (tmp_path / "kek").write_text(KEK.hex() + "\n")
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    trust = ("--trust", str(tmp_path / "root.pem"), "--at", NOW.isoformat())
    result = run(tmp_path, BY_PASSWORD, "--smime-password-file", str(tmp_path / "password"), *trust)
    shown = json.loads(result.stdout)
    assert (shown["decrypted"], shown["signed_by_sender"]) == (True, True)
    assert PASSWORD.decode() not in result.output
    result = run(tmp_path, BY_KEY, "--smime-kek-file", str(tmp_path / "kek"))
    assert json.loads(result.stdout)["decrypted"] is True
    result = run(tmp_path, BY_KEY, "--smime-password-file", str(tmp_path / "password"))
    assert json.loads(result.stdout)["layers"][0]["reason"] == "key-not-found"
    result = run(tmp_path, BY_KEY, "--smime-kek-file", str(tmp_path / "password"))
    assert result.exit_code != 0
