"""Rule 1: what must be encrypted never leaves in clear, whatever fails, wherever it fails."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import encrypted_entity, signed_entity
from dkim_keys import ed25519_key
from dlp_stage import with_dlp
from mailseal.dkim.sign import DkimKey
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin, Protocol
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.mail.reply import Reply
from mailseal.openpgp import armor
from mailseal.openpgp.certificate import PgpTrust
from mailseal.pipeline import process
from mailseal.pipeline.loop import loop_field
from mailseal.policy.model import Fate
from mailseal.policy.settings import (
    Cipher,
    CipherBits,
    CipherChoice,
    Digest,
    DigestChoice,
    KeyTransport,
    KeyTransportChoice,
    Mode,
    NewKey,
    OnFailure,
    PgpCompression,
    PgpFormat,
    PgpLookup,
    RsaSignatureChoice,
    Settings,
    SmimeProfile,
)
from mailseal.ports import Hop, Lookup, LookupState
from mailseal.smime.capabilities import Capabilities
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from pgp_mails import encrypted_mail, literal_message, sealed, signed_mail
from pki import NOW
from stage import (
    PARTNER,
    PARTNER_EC,
    PGP_PARTNER,
    PGP_PARTNER_2,
    PGP_READER,
    PGP_SENDER,
    READER,
    SENDER,
    TENANT,
    Interrupter,
    LoopStage,
    Stage,
    envelope,
    lasting_key,
    mail,
)

CANARY = b"CANARY-5d2c"


class PanicException(BaseException):
    """What a panic of Rust code comes as."""


ERRORS = [
    lambda: RuntimeError("boom"),
    lambda: TransientError("later"),
    lambda: PermanentError("never"),
    MemoryError,
    PanicException,
]
RECIPIENTS = (
    "bob@outside.example",  # keys of both methods
    "carol@outside.example",  # S/MIME
    "paula@outside.example",  # OpenPGP
    "quinn@outside.example",  # OpenPGP, in texts
    "nobody@outside.example",
    "dora@inside.example",
)
QUINN = lasting_key("Quinn <quinn@outside.example>")


# What is written in which form; none of it may open a way to clear.
form_settings = st.builds(
    dict,
    smime_profile=st.sampled_from(SmimeProfile),
    smime_cipher=st.sampled_from(CipherChoice),
    smime_min_cipher_bits=st.sampled_from(CipherBits),
    smime_authenticated_only=st.booleans(),
    smime_key_transport=st.sampled_from(KeyTransportChoice),
    smime_digest=st.sampled_from(DigestChoice),
    smime_rsa_signature=st.sampled_from(RsaSignatureChoice),
    smime_opaque=st.booleans(),
    new_key_for_known_address=st.sampled_from(NewKey),
    smime=st.booleans(),
    pgp=st.booleans(),
    pgp_format=st.sampled_from(PgpFormat),
    pgp_compression=st.sampled_from(PgpCompression),
    pgp_lookup=st.sampled_from(PgpLookup),
    pgp_trust_wkd=st.booleans(),
    pgp_generate_signing_key=st.booleans(),
    pgp_autocrypt=st.booleans(),
    pgp_additional_keys=st.sampled_from([(), (PGP_READER.fingerprint,), ("ab" * 20,)]),
)
told = st.none() | st.builds(
    Capabilities,
    st.frozensets(st.sampled_from(Cipher)),
    st.frozensets(st.sampled_from(KeyTransport)),
    st.frozensets(st.sampled_from(Digest)),
    st.booleans(),
)


PROTECTED = (b"application/pkcs7-mime", b"multipart/encrypted", b"-----BEGIN PGP MESSAGE-----", b".pgp")


def strict_stage(
    on_failure: OnFailure, interrupt: Interrupter | None = None, forms: dict[str, object] | None = None
) -> Stage:
    must = Settings(mode=Mode.MANDATORY, on_failure=on_failure, **(forms or {}))
    quinn = replace(must, pgp_format=PgpFormat.INLINE)
    settings = {"outside.example": must, "quinn@outside.example": quinn}
    stage = Stage(settings=settings, interrupt=interrupt or Interrupter())
    stage.route_of = lambda address: "" if address.local in {"bob", "dora"} else "smtp://other.example:25"
    with_dlp(stage)
    stage.know(PARTNER, PARTNER_EC).own(SENDER, READER).beside_exchange_online()
    stage.sign_for_domains(DkimKey("inside.example", "s", ed25519_key()))
    return stage.know_pgp(PGP_PARTNER, PGP_PARTNER_2, QUINN).own_pgp(PGP_SENDER, PGP_READER)


def assert_nothing_in_clear(stage: Stage, outcomes: list, recipients: tuple[str, ...]) -> None:
    assert [str(one.recipient) for one in outcomes] == list(recipients)
    for transfer in stage.sent:
        assert {stage.route_of(one.address) for one in transfer.recipients} == {transfer.route}
        outside = [one for one in transfer.recipients if one.address.domain == "outside.example"]
        if outside:
            octets = b"".join(transfer.chunks)
            assert CANARY not in octets
            assert any(mark in octets for mark in PROTECTED)
    for _, _, report in stage.reports:
        assert CANARY not in report


def run(stage: Stage, recipients: tuple[str, ...], raw: bytes, **options: object) -> list:
    return process(envelope(*recipients, **options), Message(raw), stage.gateway())


# What a mail may say to look as if it were encrypted already.
_PGP_PART = b"--x\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
_PGP_BLOCK = b"-----BEGIN PGP MESSAGE-----\r\n\r\n%b\r\n-----END PGP MESSAGE-----\r\n"
PGP_BODIES = [
    _PGP_BLOCK % CANARY,
    _PGP_BLOCK % b"wcBMA",
    _PGP_PART + b"--x\r\n\r\n" + _PGP_BLOCK % CANARY + b"--x--\r\n",
    _PGP_PART + b"--x\r\n\r\n" + CANARY + b"--x--\r\n",
    b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n" + CANARY,
]
# Of each stored key, what it may be like; each keeps the mail from somebody, none lets it out.
ODD_PGP = [
    {},
    {"trust": PgpTrust.CANDIDATE},
    {"trust": PgpTrust.CANDIDATE, "own_domain": True},
    {"trust": PgpTrust.DISTRUSTED},
    {"subkey": "ab" * 20},
    {"keys": frozenset({"ab" * 20}), "has_key": True},
    {"selected": True},
]


# What Exchange Online puts on mail of our own users, so that it is of the authorised class.
STAMPS = (f"X-MS-Exchange-CrossTenant-Id: {TENANT}", "X-MS-Exchange-CrossTenant-AuthAs: Internal")


def been_through(raw: bytes, sender: str | None = "anna@inside.example") -> bytes:
    """The mail with a loop header that verifies for all recipients, though it was never protected."""
    to = [Address.parse(one) for one in RECIPIENTS]
    address = None if sender is None else Address.parse(sender)
    message_id = parse(raw).root.header("message-id") or ""
    return loop_field(LoopStage(Interrupter()), [raw], message_id, address, to, NOW) + raw


# A report is one port call more; what else depends on `on_failure` is the same for every error. Mail of the neighbour
# adds the calls for its loop header.
@pytest.mark.parametrize(
    ("error", "on_failure", "origin"),
    [
        *((one, OnFailure.NOTIFY, Origin.AUTHORISED) for one in ERRORS),
        (ERRORS[0], OnFailure.QUARANTINE, Origin.AUTHORISED),
        (ERRORS[0], OnFailure.NOTIFY, Origin.NEIGHBOUR),
        (ERRORS[1], OnFailure.NOTIFY, Origin.NEIGHBOUR),
    ],
)
def test_every_port_call_may_fail(error, on_failure, origin):
    raw = mail(*STAMPS, body=CANARY + b"\r\n", to=", ".join(RECIPIENTS[:3]))
    if origin is Origin.NEIGHBOUR:
        raw = been_through(raw)
    calls = strict_stage(on_failure)
    run(calls, RECIPIENTS, raw, origin=origin)
    assert calls.interrupt.calls > 40
    assert len(calls.sent) == 5
    assert {one.hop is Hop.NEIGHBOUR for one in calls.sent} == {origin is Origin.NEIGHBOUR}
    for k in range(1, calls.interrupt.calls + 1):
        stage = strict_stage(on_failure, Interrupter(k, error))
        outcomes = run(stage, RECIPIENTS, raw, origin=origin)
        assert_nothing_in_clear(stage, outcomes, RECIPIENTS)


@given(
    recipients=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=6),
    k=st.integers(1, 80),
    error=st.sampled_from(ERRORS),
    on_failure=st.sampled_from(list(OnFailure)),
    origin=st.sampled_from(list(Origin)),
    protocol=st.sampled_from(list(Protocol)),
    sender=st.sampled_from([None, "anna@inside.example", "eve@elsewhere.example"]),
    prefix=st.sampled_from(
        [
            b"",
            b"Content-Type: text/plain\r\nContent-Type: text/html\r\n",
            b"Content-Type: multipart/mixed; boundary=x\r\n",
            b"Content-Type: text/calendar; method=REQUEST\r\n",
            b"Content-Type: multipart/signed; boundary=x; protocol=application/pkcs7-signature\r\n",
            b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n",
            b"Content-Type: multipart/encrypted; boundary=x; protocol=application/pgp-encrypted\r\n",
            b"Content-Type: multipart/signed; boundary=x; protocol=application/pgp-signature\r\n",
            b"Content-Type: application/octet-stream; name=encrypted.asc\r\n",
            b"X-Mailseal-Encrypt: yes\r\n",
        ]
    ),
    body=st.binary(max_size=200) | st.sampled_from(PGP_BODIES),
    answers=st.lists(st.sampled_from([250, 451, 550]), min_size=1, max_size=6),
    forms=form_settings,
    readers=st.tuples(told, told, st.booleans()),
    pgp_keys=st.lists(st.sampled_from(ODD_PGP), min_size=6, max_size=6),
    search=st.sampled_from(LookupState),
    routes=st.fixed_dictionaries({one: st.sampled_from(["", "smtp://a:25", "smtp://b:25"]) for one in RECIPIENTS}),
    stamps=st.sampled_from([STAMPS, STAMPS, STAMPS[:1], ()]),
    looped=st.booleans(),
)
def test_property(
    recipients,
    k,
    error,
    on_failure,
    origin,
    protocol,
    sender,
    prefix,
    body,
    answers,
    forms,
    readers,
    pgp_keys,
    search,
    routes,
    stamps,
    looped,
):
    stage = strict_stage(on_failure, Interrupter(k, error), forms)
    stage.route_of = lambda address: routes[str(address)]
    for email, capabilities in zip(RECIPIENTS, readers[:2], strict=False):
        (known,) = stage.certificates_of[email]
        stage.certificates_of[email] = [replace(known, capabilities=capabilities, conflict=readers[2])]
    stage.pgp.stored = [replace(one, **odd) for one, odd in zip(stage.pgp.stored, pgp_keys, strict=False)]
    stage.lookups.answer = Lookup(search)
    stage.answer = lambda transfer: [
        Reply(answers[i % len(answers)], "", "said the next hop") for i in range(len(transfer.recipients))
    ]
    raw = prefix + mail(*stamps, body=CANARY + body)
    if looped:
        raw = been_through(raw, sender)
    options = {"origin": origin, "protocol": protocol, "sender": sender}
    outcomes = run(stage, tuple(recipients), raw, **options)
    assert_nothing_in_clear(stage, outcomes, tuple(recipients))
    sent_to = {one.address.key for transfer in stage.sent for one in transfer.recipients}
    for outcome in outcomes:
        assert outcome.fate is not Fate.RELAYED or outcome.recipient.key in sent_to


@pytest.mark.parametrize("sender", [None, "eve@elsewhere.example"])
def test_notify_becomes_refuse_where_nobody_may_be_told(sender):
    stage = strict_stage(OnFailure.NOTIFY)
    (outcome,) = run(stage, ("nobody@outside.example",), mail(body=CANARY), sender=sender)
    assert outcome.fate is Fate.REFUSED
    assert not stage.reports
    assert not stage.sent


def test_clear_words_beside_a_ciphertext_are_not_already_encrypted():
    must = Settings(mode=Mode.MANDATORY)
    head = b"From: anna@inside.example\r\nTo: nobody@outside.example\r\nMIME-Version: 1.0\r\n"
    ciphertext = encrypted_entity([b"\r\nx\r\n"], [PARTNER.certificate], EncryptionForm())
    der = parse(ciphertext).root.decoded_body(10_000)
    binary = (
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    identity = SigningIdentity(SENDER.certificate, SENDER.key)
    around = signed_entity(ciphertext, identity, SignatureForm(), at=NOW)
    preamble = b"This is an S/MIME signed message"
    alone = [ciphertext, ciphertext + b"\r\n \r\n", binary + der, around.replace(preamble, b"")]
    beside = [
        ciphertext + CANARY,
        ciphertext.replace(b"\r\n\r\n", b"\r\n\r\n----" + CANARY + b"\r\n", 1),
        binary + der + CANARY,
        around.replace(preamble, CANARY),
        around + CANARY,
    ]
    for entities, fate in ((alone, Fate.RELAYED), (beside, Fate.REFUSED)):
        for entity in entities:
            stage = Stage(settings={"": must})
            (outcome,) = run(stage, ("nobody@outside.example",), head + entity)
            assert outcome.fate is fate, entity[:200]
            assert CANARY not in stage.octets_sent()


def test_clear_words_beside_an_openpgp_message_are_not_already_encrypted():
    must = Settings(mode=Mode.MANDATORY)
    head = b"From: anna@inside.example\r\nTo: nobody@outside.example\r\nMIME-Version: 1.0\r\n"
    ciphertext = encrypted_mail(b"\r\nx\r\n", PGP_PARTNER)
    preamble = b"This is an OpenPGP/MIME encrypted message (RFC 9580 and 3156)"
    around = signed_mail(ciphertext, by=PGP_SENDER)
    inline = b"Content-Type: text/plain\r\n\r\n" + b"".join(
        armor.write_armor(armor.MESSAGE, [sealed(literal_message(), PGP_PARTNER)])
    )
    alone = [ciphertext, ciphertext + b"\r\n \r\n", ciphertext.replace(preamble, b""), around, inline, inline + b"\r\n"]
    beside = [
        ciphertext + CANARY,
        ciphertext.replace(preamble, preamble + b"\r\n" + CANARY),
        ciphertext.replace(b"Version: 1", b"Version: 1\r\n" + CANARY),
        ciphertext.replace(b"-----BEGIN", CANARY + b"\r\n-----BEGIN"),
        ciphertext.replace(b"MESSAGE-----\r\n\r\n----", b"MESSAGE-----\r\n" + CANARY + b"\r\n\r\n----"),
        around.replace(b"signed message (RFC 9580 and 3156)", CANARY),
        around + CANARY,
        inline + CANARY,
        inline.replace(b"-----BEGIN", CANARY + b"\r\n-----BEGIN"),
        around.replace(b"-----BEGIN PGP SIG", CANARY + b"\r\n-----BEGIN PGP SIG"),
        around.replace(b"SIGNATURE-----\r\n\r\n----", b"SIGNATURE-----\r\n" + CANARY + b"\r\n\r\n----"),
    ]
    assert not {*alone} & {*beside}
    for entities, fate in ((alone, Fate.RELAYED), (beside, Fate.REFUSED)):
        for entity in entities:
            stage = Stage(settings={"": must})
            (outcome,) = run(stage, ("nobody@outside.example",), head + entity)
            assert outcome.fate is fate, entity[:300]
            assert CANARY not in stage.octets_sent()
