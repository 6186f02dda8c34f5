"""OpenPGP keys that travel with mail: harvested as candidates, taken out if that is set, sent along if that is set."""

from base64 import b64encode
from dataclasses import replace

import pytest

from mailseal.mail.address import Address
from mailseal.mail.envelope import Origin
from mailseal.mail.header import encode_value
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.openpgp import armor
from mailseal.openpgp.attached import MAX_CERTIFICATES
from mailseal.openpgp.autocrypt import read_autocrypt, write_autocrypt
from mailseal.openpgp.certificate import read_certificate
from mailseal.pipeline import process
from mailseal.policy.model import MethodName
from mailseal.policy.settings import Mode, Settings
from pgp_keys import PgpIdentity
from pgp_mails import encrypted_mail, multipart, signed_mail, text
from stage import PGP_PARTNER, PGP_PARTNER_2, PGP_READER, PGP_SENDER, Stage, envelope, lasting_key, mail

DORA, BOB, ANNA = "dora@inside.example", "bob@outside.example", "anna@inside.example"
FROM = b"From: Bob <bob@outside.example>\r\n"
HEAD = FROM + b"To: dora@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
WORDS = text(b"The canary sings.\r\n")


def receive(raw: bytes, **settings: object):
    on = Stage(settings={"inside.example": Settings(**settings)}).own_pgp(PGP_READER).know_pgp(PGP_PARTNER)
    (outcome,) = process(envelope(DORA, sender=BOB, origin=Origin.OUTSIDE), Message(raw), on.gateway())
    return outcome, b"".join(on.sent[0].chunks[1:])


def keys(*identities: PgpIdentity, kind: bytes = b"application/pgp-keys") -> bytes:
    blocks = b"".join(b"".join(armor.write_armor(armor.PUBLIC_KEY, [one.octets])) for one in identities)
    return text(blocks, kind)


KEYS = keys(PGP_PARTNER).partition(b"\r\n\r\n")[2]


def autocrypt(identity: PgpIdentity, address: str = BOB) -> bytes:
    return encode_value("Autocrypt", write_autocrypt(Address.parse(address), identity.octets))


def found(outcome) -> list[tuple[bytes, str]]:
    assert {one.method for one in outcome.harvested} <= {MethodName.PGP}
    return [(one.der, one.source) for one in outcome.harvested]


BY_BOB = "attached by bob@outside.example"


@pytest.mark.parametrize(
    "part",
    [
        keys(PGP_PARTNER_2),
        keys(PGP_PARTNER_2, kind=b'application/octet-stream; name="0x12345678.ASC"'),
        keys(PGP_PARTNER_2, kind=b'text/plain; name="key.asc"'),
        b"Content-Type: application/pgp-keys\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b64encode(PGP_PARTNER_2.octets),
    ],
)
def test_attached_keys_become_candidates(part):
    raw = HEAD + multipart(b"mixed", WORDS, part)
    outcome, octets = receive(raw)
    assert found(outcome) == [(PGP_PARTNER_2.octets, BY_BOB)]
    assert octets == raw
    assert found(receive(raw, pgp_harvest_keys=False)[0]) == []


def test_keys_of_several_people_in_one_part():
    part = keys(PGP_PARTNER, PGP_PARTNER_2)
    ring = text(
        b"".join(armor.write_armor(armor.PUBLIC_KEY, [PGP_PARTNER.octets + PGP_PARTNER_2.octets])),
        b"application/pgp-keys",
    )
    for entity in (part, ring):
        outcome, _ = receive(HEAD + multipart(b"mixed", WORDS, entity))
        assert [octets for octets, _ in found(outcome)] == [PGP_PARTNER.octets, PGP_PARTNER_2.octets]
    many = keys(*[PGP_PARTNER] * 5, *[PGP_PARTNER_2] * 20)
    outcome, _ = receive(HEAD + multipart(b"mixed", WORDS, many, many))
    assert 0 < len(outcome.harvested) <= MAX_CERTIFICATES


@pytest.mark.parametrize(
    "part",
    [
        text(b"x", b"application/pgp-keys"),
        text(b"", b"application/pgp-keys"),
        text(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\n!!!!\r\n-----END", b"application/pgp-keys"),
        text(b"".join(armor.write_armor(armor.PRIVATE_KEY, [PGP_PARTNER.secret])), b"application/pgp-keys"),
        text(b"".join(armor.write_armor(armor.PUBLIC_KEY, [PGP_PARTNER.secret])), b"application/pgp-keys"),
        keys(PGP_PARTNER, kind=b'text/plain; name="notes.txt"'),
        keys(PGP_PARTNER, kind=b"text/html"),
        text(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n" + b"A" * 600_000, b'text/plain; name="key.asc"'),
    ],
)
def test_what_is_no_key_is_none(part):
    outcome, _ = receive(HEAD + multipart(b"mixed", WORDS, part))
    assert outcome.harvested == ()


def test_keys_inside_an_encrypted_mail_are_found():
    inner = multipart(b"mixed", WORDS, keys(PGP_PARTNER_2))
    outcome, _ = receive(HEAD + encrypted_mail(inner, PGP_READER))
    assert found(outcome) == [(PGP_PARTNER_2.octets, BY_BOB)]


def test_autocrypt_counts_if_there_is_one_and_it_is_about_the_sender():
    told = [(PGP_PARTNER.octets, "Autocrypt by bob@outside.example")]
    one, other = autocrypt(PGP_PARTNER), autocrypt(PGP_PARTNER_2)
    for fields, expected in (
        (one, told),
        (one + autocrypt(PGP_PARTNER, "eve@elsewhere.example"), told),
        (one + b"Autocrypt: addr=bob@outside.example\r\n", told),
        (one + other, []),
        (autocrypt(PGP_PARTNER, "eve@elsewhere.example"), []),
    ):
        outcome, octets = receive(fields + HEAD + WORDS)
        assert found(outcome) == expected
        assert octets == fields + HEAD + WORDS
    several = one + HEAD.replace(FROM, b"From: bob@outside.example, eve@elsewhere.example\r\n") + WORDS
    assert found(receive(several)[0]) == []


def test_attached_keys_are_taken_out_if_that_is_set():
    raw = HEAD + multipart(b"mixed", WORDS, keys(PGP_PARTNER_2), text(b"%PDF", b"application/pdf"))
    outcome, octets = receive(raw, pgp_remove_key_attachments=True)
    assert [one.content_type.type for one in parse(octets).root.children] == ["text/plain", "application/pdf"]
    assert b"PUBLIC KEY" not in octets
    assert octets.startswith(FROM)
    assert found(outcome) == [(PGP_PARTNER_2.octets, BY_BOB)]
    kept = HEAD + multipart(b"mixed", WORDS, text(b"%PDF", b"application/pdf"))
    assert octets.replace(b"MIME-Version: 1.0\r\n", b"") == kept.replace(b"MIME-Version: 1.0\r\n", b"")


@pytest.mark.parametrize(
    "entity",
    [
        WORDS,
        keys(PGP_PARTNER_2),
        multipart(b"mixed", keys(PGP_PARTNER_2), keys(PGP_PARTNER)),
        multipart(b"alternative", WORDS, keys(PGP_PARTNER)),
    ],
)
def test_what_is_not_taken_out(entity):
    assert receive(HEAD + entity, pgp_remove_key_attachments=True)[1] == HEAD + entity


@pytest.mark.parametrize(
    "part",
    [
        text(b"PK\x03\x04 slides", b'application/pgp-keys; name="slides.key"'),
        text(b"", b'application/pgp-keys; name="slides.key"'),
        text(b"\xc6\xff", b"application/pgp-keys"),
        text(b"See you at nine.\r\n" + KEYS, b"application/pgp-keys"),
        text(KEYS + b"See you at nine.\r\n", b'text/plain; name="key.asc"'),
        text(b"".join(armor.write_armor(armor.PUBLIC_KEY, [b"\xcd\x03abc"])), b"application/pgp-keys"),
        b"Content-Type: application/pgp-keys\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b64encode(PGP_PARTNER.octets + b"\xd5\0" * (2 - len(PGP_PARTNER.octets) % 3))
        + b"\r\nSee you at nine.\r\n",
    ],
)
def test_what_is_called_a_key_and_holds_something_else_is_not_taken_out(part):
    raw = HEAD + multipart(b"mixed", WORDS, part)
    assert receive(raw, pgp_remove_key_attachments=True)[1] == raw


def test_nothing_is_taken_out_of_what_is_signed():
    inner = multipart(b"mixed", WORDS, keys(PGP_PARTNER_2))
    _, octets = receive(HEAD + signed_mail(inner, by=PGP_PARTNER), pgp_remove_key_attachments=True)
    assert b"PUBLIC KEY" in octets
    _, octets = receive(HEAD + encrypted_mail(inner, PGP_READER, by=PGP_PARTNER), pgp_remove_key_attachments=True)
    assert b"PUBLIC KEY" not in octets
    assert parse(octets).root.header("x-mailseal-signed-by-sender") == "yes"


def send(raw: bytes, to: str = "x@elsewhere.example", **settings: object) -> list[str]:
    on = Stage(settings={"": Settings(**{"pgp_autocrypt": True} | settings)}).own_pgp(PGP_SENDER).know_pgp(PGP_PARTNER)
    process(envelope(to), Message(raw), on.gateway())
    return parse(on.octets_sent()).root.headers("autocrypt")


def test_the_senders_key_is_sent_along_if_that_is_set():
    for settings in ({}, {"mode": Mode.NEVER, "sign": False}, {"mode": Mode.NEVER}):
        for to in ("x@elsewhere.example", BOB):
            (value,) = send(mail(), to, **settings)
            told = read_autocrypt(value)
            assert str(told.address) == ANNA
            assert read_certificate(told.keydata).fingerprint == PGP_SENDER.fingerprint


def test_when_no_key_is_sent_along():
    assert send(mail(), pgp_autocrypt=False) == []
    assert send(mail(), pgp=False) == []
    assert send(mail(sender="fred@inside.example")) == []
    own = "Autocrypt: addr=anna@inside.example; keydata=AAAA"
    assert send(mail(own)) == ["addr=anna@inside.example; keydata=AAAA"]


def test_the_key_of_the_senders_domain_is_not_sent_along_as_his():
    domains = lasting_key("Inside Ltd <keys@inside.example>")
    on = Stage(settings={"": Settings(pgp_autocrypt=True)}).own_pgp(domains)
    on.pgp.with_key_of = lambda _: [replace(one, selected=True) for one in on.pgp.stored]
    process(envelope("x@elsewhere.example"), Message(mail()), on.gateway())
    root = parse(on.octets_sent()).root
    assert root.content_type.type == "multipart/signed"
    assert root.headers("autocrypt") == []


def test_a_mail_from_outside_brings_no_key_of_ours():
    on = Stage(settings={"": Settings(pgp_autocrypt=True)}).own_pgp(PGP_SENDER)
    process(envelope("x@elsewhere.example", origin=Origin.OUTSIDE), Message(mail()), on.gateway())
    assert parse(on.octets_sent()).root.headers("autocrypt") == []
