"""Which algorithms a mail leaves with: by its readers and settings, end to end, and what the log says of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mailseal.errors import PermanentError
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import Entity, parse
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, Outcome, Treatment
from mailseal.policy.settings import (
    CipherBits,
    CipherChoice,
    DigestChoice,
    KeyTransportChoice,
    Mode,
    RsaSignatureChoice,
    Settings,
    SmimeProfile,
)
from mailseal.smime.capabilities import ALL, Capabilities
from mailseal.smime.certificate import parse_certificate
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.message import LayerKind, classify, read_cms, signed_parts
from mailseal.smime.verify import read_signed, verify
from pki import Identity
from stage import PARTNER, PARTNER_EC, READER, ROOT, SENDER, Stage, envelope, mail

BOB, CAROL, ERIN, X = (f"{one}@outside.example" for one in ("bob", "carol", "erin", "x"))
PARTNER_2 = ROOT.issue(ERIN, fresh_key=True)
PEOPLE = {BOB: PARTNER, CAROL: PARTNER_EC, ERIN: PARTNER_2}
BODY = b"The canary sings.\r\n"


def stage(told: dict[str, Capabilities | None], settings: Settings | None = None, **by_address: Settings) -> Stage:
    everybody = Stage(settings={"": settings or Settings(), **by_address}).know(*PEOPLE.values()).own(SENDER)
    for email, capabilities in told.items():
        (known,) = everybody.certificates_of[email]
        everybody.certificates_of[email] = [replace(known, capabilities=capabilities)]
    return everybody


def go(on: Stage, raw: bytes, *recipients: str, **options: object) -> list[dict[str, str]]:
    outcomes: list[Outcome] = process(envelope(*recipients, **options), Message(raw), on.gateway())
    assert {one.fate for one in outcomes} == {Fate.RELAYED}
    return [dict(one.details) for one in outcomes]


def sent(on: Stage, which: int = 0) -> Entity:
    return parse(b"".join(on.sent[which].chunks[1:])).root


def opened(on: Stage, person: Identity, which: int = 0) -> Entity:
    """What is inside a ciphertext."""
    content = read_enveloped(read_cms(sent(on, which))).decrypt([(person.certificate, person.key)], 100_000)
    return parse(content).root


GCM = Capabilities.from_text("aes256-gcm aes256-cbc")


def test_each_ciphertext_goes_by_its_own_readers():
    on = stage({BOB: ALL, ERIN: None})
    found = go(on, mail(f"Cc: {ERIN}"), BOB, ERIN)
    assert [one["algorithm"] for one in found] == ["aes256-gcm oaep-sha256", "aes256-cbc pkcs1v15"]
    kinds = [sent(on, which).content_type.parameters["smime-type"] for which in (0, 1)]
    assert kinds == ["authEnveloped-data", "enveloped-data"]
    assert opened(on, PARTNER).content_type.type == "multipart/signed"


def test_the_worst_of_two_certificates_of_one_address_decides():
    second = ROOT.issue(BOB, fresh_key=True)
    on = stage({BOB: ALL}).know(second)
    assert go(on, mail(), BOB)[0]["algorithm"] == "aes256-cbc pkcs1v15"
    for reader in (PARTNER, second):
        assert opened(on, reader)


def test_recipients_with_the_same_certificates_share_a_ciphertext_and_its_form():
    on = stage({BOB: GCM})
    on.certificates_of[X] = [replace(one, selected=True) for one in on.certificates_of[BOB]]
    found = go(on, mail(f"Cc: {X}"), BOB, X)
    assert [one["algorithm"] for one in found] == ["aes256-gcm pkcs1v15"] * 2
    assert [len(one.recipients) for one in on.sent] == [2]


def test_readers_of_one_ciphertext_by_additional_certificate():
    additional = Settings(additional_certificates=(PARTNER_2.certificate.fingerprint,))
    for told, expected in ((GCM, "aes256-gcm pkcs1v15"), (None, "aes256-cbc pkcs1v15")):
        on = stage({BOB: ALL, ERIN: told}, additional)
        (found,) = go(on, mail(), BOB)
        assert found["algorithm"] == expected
        for reader in (PARTNER, PARTNER_2):
            assert opened(on, reader)


def test_an_additional_certificate_whose_key_is_held_here_stands_in_the_way_of_nothing():
    additional = Settings(additional_certificates=(READER.certificate.fingerprint,))
    on = stage({BOB: ALL}, additional).own(READER)
    (found,) = go(on, mail(), BOB)
    assert found["algorithm"] == "aes256-gcm oaep-sha256"
    assert found["signature"] == "rsa-pss sha512"
    assert opened(on, READER)


def test_a_hidden_recipient_gets_the_form_of_his_own():
    on = stage({BOB: None, ERIN: ALL})
    found = go(on, mail(), BOB, ERIN)
    assert [one["algorithm"] for one in found] == ["aes256-cbc pkcs1v15", "aes256-gcm oaep-sha256"]
    assert [one["signature"] for one in found] == ["rsa-pkcs1v15 sha256", "rsa-pss sha512"]
    assert [len(one.recipients) for one in on.sent] == [1, 1]


def test_a_signature_of_a_mail_in_clear_is_of_the_baseline():
    on = stage({BOB: ALL}, Settings(mode=Mode.NEVER))
    (found,) = go(on, mail(), BOB)
    assert found["signature"] == "rsa-pkcs1v15 sha256"
    assert "algorithm" not in found
    edi = stage({}, Settings(mode=Mode.NEVER, smime_profile=SmimeProfile.EDI))
    assert go(edi, mail(), BOB)[0]["signature"] == "rsa-pss sha256"


def test_copies_with_one_form_of_signature_share_it():
    on = stage({BOB: ALL, ERIN: None})
    process(envelope(X, BOB, ERIN, "y@elsewhere.example"), Message(mail()), on.gateway())
    assert on.interrupt.names.count("private_key") == 2  # for who told that he can, and for all others


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(smime_profile=SmimeProfile.EDI), ("aes128-cbc oaep-sha256", "rsa-pss sha256")),
        (
            Settings(smime_profile=SmimeProfile.EDI, smime_min_cipher_bits=CipherBits.BITS_256),
            ("aes256-cbc oaep-sha256", "rsa-pss sha256"),
        ),
        (
            Settings(smime_cipher=CipherChoice.AES192_GCM, smime_key_transport=KeyTransportChoice.OAEP_SHA384),
            ("aes192-gcm oaep-sha384", "rsa-pkcs1v15 sha256"),
        ),
        (
            Settings(smime_digest=DigestChoice.SHA384, smime_rsa_signature=RsaSignatureChoice.PSS),
            ("aes256-cbc pkcs1v15", "rsa-pss sha384"),
        ),
        (Settings(smime_authenticated_only=True), ("aes256-gcm pkcs1v15", "rsa-pkcs1v15 sha256")),
    ],
)
def test_settings_of_the_recipients_domain(settings, expected):
    on = stage({})
    on.settings["outside.example"] = settings
    (found,) = go(on, mail(), BOB)
    assert (found["algorithm"], found["signature"]) == expected
    assert opened(on, PARTNER)


def test_the_floor_of_the_sender_counts_for_a_partner_with_another_wish():
    on = stage({})
    on.settings["inside.example"] = Settings(smime_min_cipher_bits=CipherBits.BITS_256)
    on.settings["outside.example"] = Settings(smime_profile=SmimeProfile.EDI)
    assert go(on, mail(), BOB)[0]["algorithm"] == "aes256-cbc oaep-sha256"


HEAD = b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
TYPED = ("MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit")


def assert_opaque(root: Entity, inside: bytes) -> None:
    assert root.content_type.type == "application/pkcs7-mime"
    assert root.content_type.parameters["smime-type"] == "signed-data"
    assert root.content_type.parameters["name"] == root.filename == "smime.p7m"
    assert root.transfer_encoding == "base64"
    assert classify(root) is LayerKind.SIGNED
    signed = read_signed(read_cms(root))
    assert signed.econtent == inside
    (check,) = verify(signed, None)
    assert check.verified


def test_an_opaque_mail():
    on = stage({}, Settings(mode=Mode.NEVER, smime_opaque=True))
    raw = mail(*TYPED, "X-Kept: yes", body=BODY)
    process(envelope(BOB), Message(raw), on.gateway())
    root = sent(on)
    assert_opaque(root, HEAD + BODY)
    assert b"canary" not in b"".join(on.sent[0].chunks)
    assert [root.header(name) for name in ("subject", "x-kept", "mime-version")] == ["Hello", "yes", "1.0"]
    assert len([one for one in root.fields if one.name in ("content-type", "mime-version")]) == 2


def test_an_opaque_mail_inside_a_ciphertext():
    on = stage({}, Settings(smime_opaque=True))
    raw = mail(*TYPED, body=BODY)
    (outcome,) = process(envelope(BOB), Message(raw), on.gateway())
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    inner = opened(on, PARTNER)
    assert_opaque(inner, HEAD + BODY)


@pytest.mark.parametrize("body", [BODY, b"", b"no line end", b"--x\r\n.\r\n..\r\n" * 3, b"a" * 60 + b"\r\n" * 5])
@pytest.mark.parametrize("opaque", [False, True])
def test_the_signed_octets_are_those_that_came(body, opaque):
    on = stage({}, Settings(mode=Mode.NEVER, smime_opaque=opaque))
    process(envelope(BOB), Message(mail(*TYPED, body=body)), on.gateway())
    root = sent(on)
    if opaque:
        assert read_signed(read_cms(root)).econtent == HEAD + body
    else:
        content, signature = signed_parts(root)
        assert content == HEAD + body
        assert verify(read_signed(signature), content)[0].verified


def test_a_form_that_the_key_cannot_take_is_no_way_to_clear(monkeypatch):
    def broken(*_: object) -> Sequence[bytes]:
        raise PermanentError("the RSA key cannot carry the content key")

    monkeypatch.setattr("mailseal.smime.message.encrypted", broken)
    on = stage({}, Settings(mode=Mode.MANDATORY))
    (outcome,) = process(envelope(BOB), Message(mail(body=BODY)), on.gateway())
    assert outcome.fate is Fate.REFUSED
    assert not on.sent


def test_what_comes_from_outside_is_not_signed_but_has_a_form():
    on = stage({BOB: ALL})
    (found,) = go(on, mail(sender="eve@elsewhere.example"), BOB, origin=Origin.OUTSIDE, sender="eve@elsewhere.example")
    assert found["algorithm"] == "aes256-gcm oaep-sha256"
    assert "signature" not in found


def test_explain_tells_the_same_algorithms():
    on = stage({BOB: ALL, ERIN: None})
    to = envelope(BOB, ERIN, X)
    told = explain(to, Message(mail()), on.gateway())
    done = process(to, Message(mail()), on.gateway())
    assert [one.details for one in told] == [one.details for one in done]
    assert dict(told[0].details)["algorithm"] == "aes256-gcm oaep-sha256"


def test_a_key_that_cannot_be_read_does_not_send_the_mail_in_clear():
    """Neither one of several of the recipient, nor an additional one."""
    spki = PARTNER_EC.certificate.spki_der
    off_curve = spki[:-1] + bytes((spki[-1] ^ 1,))
    broken = parse_certificate(PARTNER_EC.certificate.der.replace(spki, off_curve))
    for settings, owner in ((Settings(), BOB), (Settings(additional_certificates=(broken.fingerprint,)), X)):
        on = stage({}, settings)
        (good,) = on.certificates_of[BOB]
        on.certificates_of.setdefault(owner, []).append(replace(good, certificate=broken, selected=True))
        (outcome,) = process(envelope(BOB), Message(mail()), on.gateway())
        assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
        assert dict(outcome.details)["keys"] == PARTNER.certificate.fingerprint[:16]
        assert opened(on, PARTNER)


def test_a_certificate_that_is_gone_since_the_plan_defers_its_readers_mail_and_nobody_elses():
    on = stage({})
    known = on.by_fingerprint
    on.by_fingerprint = lambda name: None if name == PARTNER.certificate.fingerprint else known(name)
    bob, erin = process(envelope(BOB, ERIN), Message(mail()), on.gateway())
    assert (bob.fate, erin.fate) == (Fate.DEFERRED, Fate.RELAYED)
    assert erin.treatment is Treatment.SIGNED_ENCRYPTED
    assert all(BODY not in b"".join(one.chunks) for one in on.sent)
