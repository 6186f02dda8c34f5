"""The protect path with OpenPGP: which keys, which form, what came protected, what fails."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.methods.openpgp import OpenPgp
from mailseal.methods.smime import Smime
from mailseal.openpgp import mime
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
from mailseal.openpgp.component import Features
from mailseal.openpgp.message import read_encrypted
from mailseal.openpgp.subpackets import Kind, write_subpacket
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, MethodName, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Mode, PgpCompression, PgpFormat, Settings
from pgp_craft import CERTIFY_SIGN, ENCRYPT, certificate, flags, key, subkey, user_id
from pgp_mails import (
    TEXT,
    multipart,
)
from pgp_outgoing import ANNA, BOB, HEAD, MUST, PAULA, X, codes, go, keys_of, opened, sent, stage
from pki import NOW
from stage import (
    PARTNER,
    PGP_PARTNER,
    PGP_PARTNER_2,
    PGP_SENDER,
    SENDER,
    Stage,
    envelope,
    lasting_key,
    mail,
)

BOBS = "Bob <bob@outside.example>"


def test_signed_and_encrypted_in_one_message():
    on = stage()
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert (outcome.treatment, outcome.method) == (Treatment.SIGNED_ENCRYPTED, MethodName.PGP)
    assert outcome.details == (
        ("algorithm", "aes256-cfb cv25519"),
        ("keys", PGP_PARTNER.fingerprint[:16]),
        ("signer", PGP_SENDER.fingerprint[:16]),
        ("signature", "ed25519 sha256"),
    )
    assert on.sent[0].ret == "HDRS"
    inner = opened(sent(on), PGP_PARTNER)
    assert inner.literal == TEXT
    assert len(inner.signatures) == 1
    assert b"canary" not in on.octets_sent()


def test_a_mail_in_clear_is_signed_beside():
    on = stage(Settings(mode=Mode.NEVER))
    (outcome,) = go(on, HEAD + TEXT, X)
    assert (outcome.treatment, outcome.method) == (Treatment.SIGNED, MethodName.PGP)
    root = sent(on)
    assert root.content_type.type == "multipart/signed"
    assert root.content_type.parameters["micalg"] == "pgp-sha256"
    assert mime.signed_parts(root)[0] == TEXT


def test_the_senders_own_key_comes_before_his_domains():
    on = stage()
    domains = lasting_key("Inside Ltd <keys@inside.example>", at=NOW - timedelta(days=1))
    on.own_pgp(domains)
    chosen = replace(on.pgp.stored[-1], selected=True)
    assert chosen.certificate.primary.public.created > PGP_SENDER.certificate.primary.public.created
    for known, signer in (([chosen, *on.pgp.with_key_of(Address.parse(ANNA))], PGP_SENDER), ([chosen], domains)):
        on.pgp.with_key_of = lambda _, known=known: known
        (outcome,) = go(on, HEAD + TEXT, BOB)
        assert dict(outcome.details)["signer"] == signer.fingerprint[:16]


def test_smime_comes_first_and_openpgp_takes_whom_it_cannot():
    on = stage().know(PARTNER).own(SENDER)
    found = go(on, mail(f"Cc: {PAULA}"), BOB, PAULA, X)
    assert [(one.treatment, one.method) for one in found] == [
        (Treatment.SIGNED_ENCRYPTED, MethodName.SMIME),
        (Treatment.SIGNED_ENCRYPTED, MethodName.PGP),
        (Treatment.SIGNED, MethodName.SMIME),
    ]
    assert because(ReasonCode.NO_CERTIFICATE, address=PAULA) in found[1].reasons


def test_one_mail_leaves_in_as_many_forms_as_there_are():
    """S/MIME, PGP/MIME, OpenPGP inline, signed, and to a hidden recipient by itself."""
    erin = lasting_key("Erin <erin@outside.example>")
    hidden = lasting_key("Hugo <hugo@outside.example>")
    on = stage(**{"erin@outside.example": Settings(pgp_format=PgpFormat.INLINE)}).know(PARTNER).own(SENDER)
    on.know_pgp(erin, hidden)
    to = (BOB, PAULA, "erin@outside.example", X, "hugo@outside.example")
    raw = mail(f"Cc: {PAULA}, erin@outside.example, {X}", to=BOB)
    told = explain(envelope(*to), Message(raw), on.gateway())
    on.interrupt.names.clear()
    outcomes = go(on, raw, *to)
    assert [one.details for one in told] == [one.details for one in outcomes]
    assert [len(one.recipients) for one in on.sent] == [1] * 5
    types = [sent(on, which).content_type.type for which in range(5)]
    assert types == [
        "application/pkcs7-mime", "multipart/encrypted", "text/plain", "multipart/signed", "multipart/encrypted",
    ]  # fmt: skip
    assert b"-----BEGIN PGP MESSAGE-----" in bytes(sent(on, 2).body)
    assert [b"canary" in b"".join(one.chunks) for one in on.sent] == [False, False, False, True, False]
    assert {one.fate for one in outcomes} == {Fate.RELAYED}
    # Of the two by PGP/MIME the signature is the same, made once.
    first, last = opened(sent(on, 1), PGP_PARTNER_2), opened(sent(on, 4), hidden)
    assert first.signatures == last.signatures
    assert on.interrupt.names.count("private_key") == 3  # by S/MIME, beside, inline


def test_readers_of_one_ciphertext_and_who_gets_one_of_his_own():
    on = stage()
    go(on, mail(f"Cc: {PAULA}"), BOB, PAULA)
    for which, (one, other) in enumerate([(PGP_PARTNER, PGP_PARTNER_2), (PGP_PARTNER_2, PGP_PARTNER)]):
        message = read_encrypted(mime.read_message(mime.message_part(sent(on, which))))
        assert [message.fits(public) for public, _ in (one.keys[1], other.keys[1])] == [True, False]


def test_all_usable_keys_of_an_address_and_the_additional_ones():
    second = lasting_key(BOBS)
    archive = lasting_key("Archive <archive@inside.example>")
    gone = "ab" * 20
    on = stage(Settings(pgp_additional_keys=(archive.fingerprint, gone))).know_pgp(second, archive)
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert because(ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE, fingerprint=gone) in outcome.reasons
    for reader in (PGP_PARTNER, second, archive):
        assert opened(sent(on), reader).literal == TEXT
    # One that nobody trusts is not encrypted to.
    on = stage(Settings(pgp_additional_keys=(archive.fingerprint,))).know_pgp(archive, trust=PgpTrust.DISTRUSTED)
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert because(ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE, fingerprint=archive.fingerprint) in outcome.reasons
    assert not read_encrypted(mime.read_message(mime.message_part(sent(on)))).fits(archive.keys[1][0])
    # An additional key alone is no key of the recipient.
    alone = Stage(settings={"": replace(MUST, pgp_additional_keys=(archive.fingerprint,))}).know_pgp(archive)
    assert go(alone, HEAD + TEXT, X)[0].fate is Fate.REFUSED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trust": PgpTrust.CANDIDATE}, ReasonCode.PGP_KEY_UNTRUSTED),
        ({"trust": PgpTrust.DISTRUSTED}, ReasonCode.PGP_KEY_DISTRUSTED),
        ({"trust": PgpTrust.CANDIDATE, "own_domain": True}, ReasonCode.PGP_KEY_UNTRUSTED),
        ({"certified": frozenset({"x"})}, ReasonCode.PGP_KEY_WRONG_ADDRESS),
        ({"subkey": "ab" * 20}, ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY),
    ],
)
def test_a_key_that_may_not_be_used_says_why(changes, reason):
    on = Stage(settings={"": MUST}).own_pgp(PGP_SENDER).know_pgp(PGP_PARTNER, **changes)
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert outcome.fate is Fate.REFUSED
    assert reason in codes(outcome)
    assert not on.sent


def test_keys_of_the_domains_own_directory_count_if_that_is_set():
    for trusted, fate in ((True, Fate.RELAYED), (False, Fate.REFUSED)):
        on = Stage(settings={"": replace(MUST, pgp_trust_wkd=trusted)})
        on.know_pgp(PGP_PARTNER, trust=PgpTrust.CANDIDATE, own_domain=True)
        assert go(on, HEAD + TEXT, BOB)[0].fate is fate


def test_openpgp_can_be_switched_off():
    on = stage(replace(MUST, pgp=False))
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert outcome.fate is Fate.REFUSED
    assert because(ReasonCode.METHOD_OFF, method="pgp") in outcome.reasons
    assert not {one for one in on.interrupt.names if one == "pgp.of_recipient"}


# Forms


def test_compression_where_every_reader_allows_it():
    body = b"The canary sings.\r\n" * 1000
    sizes = {}
    for wish in PgpCompression:
        on = stage(Settings(pgp_compression=wish))
        go(on, mail(body=body), BOB)
        assert opened(sent(on), PGP_PARTNER).literal.endswith(body)
        sizes[wish] = len(on.octets_sent())
    assert sizes[PgpCompression.ZIP] < sizes[PgpCompression.NONE] / 5
    assert sizes[PgpCompression.ZLIB] < sizes[PgpCompression.NONE] / 5
    plain = lasting_key(BOBS)
    primary = key()
    without = certificate(primary, user_id(primary, BOBS), subkey(primary, key("cv25519"), ENCRYPT))
    on = stage(Settings(pgp_compression=PgpCompression.ZLIB)).know_pgp(plain)
    on.pgp.stored.append(replace(on.pgp.stored[0], certificate=read_certificate(without)))
    go(on, mail(body=body), BOB)
    assert len(on.octets_sent()) > sizes[PgpCompression.NONE]


@pytest.mark.parametrize(
    ("version", "told", "form"),
    [
        (6, Features.SEIPD_V1 | Features.SEIPD_V2, "aes256-ocb x25519"),
        (6, Features.SEIPD_V1, "aes256-cfb x25519"),
        (4, Features.SEIPD_V1 | Features.SEIPD_V2, "aes256-cfb cv25519"),
    ],
)
def test_keys_of_version_6_that_read_it_get_the_newer_form(version, told, form):
    primary, encryption = key("ed25519-native", version=version), key("cv25519", version=version)
    says = (flags(CERTIFY_SIGN), write_subpacket(Kind.FEATURES, bytes((told,))))
    octets = certificate(primary, user_id(primary, BOBS, *says), subkey(primary, encryption, ENCRYPT))
    on = Stage().own_pgp(PGP_SENDER).know_pgp(PGP_PARTNER)
    on.pgp.stored[-1] = replace(on.pgp.stored[-1], certificate=read_certificate(octets))
    (outcome,) = go(on, HEAD + TEXT, BOB)
    assert dict(outcome.details)["algorithm"] == form
    assert (b"\r\n=" in on.octets_sent()) is ("cfb" in form)  # the checksum of the armor, for programs of old
    message = read_encrypted(mime.read_message(mime.message_part(sent(on))))
    assert message.open([(encryption.public, encryption.private)], max_bytes=10_000).inner.literal == TEXT


INLINE = Settings(pgp_format=PgpFormat.INLINE)


def test_an_inline_mail_with_files():
    pdf = b'Content-Type: application/pdf; name="report.pdf"\r\n\r\n%PDF canary\r\n'
    html = b"Content-Type: text/html\r\n\r\n<b>The canary sings.</b>\r\n"
    both = multipart(b"alternative", TEXT, html, boundary=b"inner")
    on = stage(INLINE)
    (outcome,) = go(on, HEAD + multipart(b"mixed", both, pdf), BOB)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED
    assert b"canary" not in on.octets_sent()
    words, page, report = sent(on).children
    assert [words.content_type.type, page.filename, report.filename] == [
        "text/plain",
        "part-2.html.pgp",
        "report.pdf.pgp",
    ]
    assert bytes(words.body).startswith(b"-----BEGIN PGP MESSAGE-----")
    content = read_encrypted(report.decoded_body(10_000)).open(keys_of(PGP_PARTNER), max_bytes=1000).inner
    assert (content.literal, content.filename) == (b"%PDF canary\r\n", "report.pdf")
    assert len(content.signatures) == 1


@pytest.mark.parametrize(
    "entity",
    [
        multipart(b"signed; protocol=x/y", TEXT, TEXT),
        multipart(b"report", TEXT, TEXT),
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nThe canary sings.\r\n",
    ],
)
def test_what_cannot_be_taken_apart_is_encrypted_as_a_whole(entity):
    on = stage(INLINE)
    go(on, HEAD + entity, BOB)
    inner = opened(sent(on), PGP_PARTNER)
    assert inner.literal == entity
    assert len(inner.signatures) == 1


def test_a_mail_in_clear_is_signed_inline_if_it_is_nothing_but_text():
    on = stage(replace(INLINE, mode=Mode.NEVER))
    go(on, HEAD + TEXT, X)
    assert bytes(sent(on).body).startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nThe canary")
    for entity in (
        multipart(b"mixed", TEXT, TEXT),
        b"Content-Type: text/html\r\n\r\n<b>hello</b>\r\n",
        b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\naABlAGwAbABvAA==\r\n",
        TEXT + b"a bare \r and more\r\n",
        TEXT + b"a \0\r\n",
    ):
        on = stage(replace(INLINE, mode=Mode.NEVER))
        go(on, HEAD + entity, X)
        assert sent(on).content_type.type == "multipart/signed"


# Failures


def fail(monkeypatch, *names: str) -> None:
    def broken(*_: object) -> bytes:
        raise PermanentError("cannot")

    for name in names:
        monkeypatch.setattr(OpenPgp, name, broken)


def test_what_fails_for_good_is_crossed_out(monkeypatch):
    fail(monkeypatch, "encrypt")
    on = stage(**{BOB: MUST})
    bob, paula = go(on, mail(f"Cc: {PAULA}"), BOB, PAULA)
    assert (bob.fate, paula.treatment) == (Fate.REFUSED, Treatment.SIGNED)
    fail(monkeypatch, "sign")
    monkeypatch.undo()
    fail(monkeypatch, "sign")
    on = stage()
    (outcome,) = go(on, mail(), BOB)
    assert outcome.treatment is Treatment.ENCRYPTED
    assert opened(sent(on), PGP_PARTNER).signatures == ()


def test_who_cannot_sign_by_one_method_signs_by_the_next(monkeypatch):

    def broken(*_: object) -> bytes:
        raise PermanentError("cannot")

    monkeypatch.setattr(Smime, "sign", broken)
    on = stage(Settings(mode=Mode.NEVER)).own(SENDER)
    (outcome,) = go(on, mail(), X)
    assert (outcome.treatment, outcome.method) == (Treatment.SIGNED, MethodName.PGP)


def test_a_key_that_is_gone_since_the_plan_defers():
    for which in (PGP_PARTNER, PGP_SENDER):
        on = stage()
        known = on.pgp.by_fingerprint
        on.pgp.by_fingerprint = lambda name, which=which, known=known: (
            None if name == which.fingerprint else known(name)
        )
        bob, paula = go(on, mail(), BOB, PAULA)
        assert bob.fate is Fate.DEFERRED
        assert (paula.fate is Fate.RELAYED) is (which is PGP_PARTNER)
        assert b"canary" not in on.octets_sent()


def test_a_key_that_expires_between_plan_and_making_defers(monkeypatch):
    on = stage()
    monkeypatch.setattr("mailseal.methods.openpgp_write.encryption_components", lambda *_: ())
    assert go(on, mail(), BOB)[0].fate is Fate.DEFERRED
    monkeypatch.undo()
    monkeypatch.setattr("mailseal.methods.openpgp.signing_component", lambda *_: None)
    assert go(on, mail(), BOB)[0].fate is Fate.DEFERRED
    assert not on.sent


class PanicException(BaseException):
    """What a panic of Rust code comes as."""


@pytest.mark.parametrize("call", ["usable_keys", "signer", "signing", "sign", "encrypt", "already", "announce"])
def test_a_panic_of_rust_code_defers(monkeypatch, call):
    def panics(*_: object, **__: object) -> object:
        raise PanicException

    monkeypatch.setattr(OpenPgp, call, panics)
    on = stage(MUST)
    (outcome,) = go(on, mail(), BOB)
    assert outcome.fate is Fate.DEFERRED
    assert not on.sent


@pytest.mark.parametrize("error", [PanicException, RuntimeError, PermanentError])
def test_a_broken_certificate_keeps_the_mail_from_its_owner_only(error):
    on, known = stage(MUST), stage().pgp.of_recipient

    def of_recipient(address: Address) -> Sequence[StoredPgpCertificate]:
        if str(address) == BOB:
            raise error
        return known(address)

    on.pgp.of_recipient = of_recipient
    bob, paula = go(on, mail(f"Cc: {PAULA}"), BOB, PAULA)
    assert (bob.fate, paula.treatment) == (Fate.DEFERRED, Treatment.SIGNED_ENCRYPTED)
