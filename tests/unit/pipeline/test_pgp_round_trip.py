"""What is protected by OpenPGP and opened again is the mail that it was."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mails import entities
from mailseal.errors import PermanentError
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import Entity, parse
from mailseal.openpgp.inline_write import charset_of, file_entity, joined, text_entity
from mailseal.openpgp.verify import check_signatures, split_signatures
from mailseal.pipeline import process
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.settings import Mode, PgpCompression, PgpFormat, Settings
from pgp_mails import TEXT
from pgp_outgoing import ANNA, BOB, HEAD, X, go, opened, sent, stage
from pki import NOW
from stage import (
    PGP_PARTNER,
    PGP_READER,
    PGP_SENDER,
    Stage,
    envelope,
)

INLINE = Settings(pgp_format=PgpFormat.INLINE)


def receive(raw: bytes, **settings: object) -> Entity:
    on = Stage(settings={"inside.example": Settings(**settings)}).own_pgp(PGP_READER).know_pgp(PGP_SENDER)
    message = envelope("dora@inside.example", sender=ANNA, origin=Origin.OUTSIDE)
    (outcome,) = process(message, Message(raw), on.gateway())
    assert outcome.fate is Fate.RELAYED
    return parse(b"".join(on.sent[0].chunks[1:])).root


def protect(raw: bytes, settings: Settings, *, sign: bool) -> bytes:
    """As a gateway elsewhere sends it to our reader."""
    on = Stage(settings={"": replace(settings, sign=sign)}).own_pgp(PGP_SENDER).know_pgp(PGP_READER)
    on.internal = set()
    on.party = lambda address: replace(
        Stage.party(on, address), internal=address is not None and address.local == "anna"
    )
    (outcome,) = process(envelope("dora@inside.example"), Message(raw), on.gateway())
    assert outcome.treatment is (Treatment.SIGNED_ENCRYPTED if sign else Treatment.ENCRYPTED)
    return b"".join(on.sent[0].chunks[1:])


@given(entity=entities(), sign=st.booleans(), compression=st.sampled_from(PgpCompression))
def test_open_of_protect_is_the_mail_again(entity, sign, compression):
    raw = b"From: anna@inside.example\r\n" + entity.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assume(parse(raw).fault is None)
    assume(not any(one.content_type.type == "multipart/signed" for one in parse(raw).root.walk()))
    root = receive(protect(raw, Settings(pgp_compression=compression), sign=sign))
    assert root.header("x-mailseal-decrypted") == "yes"
    assert root.header("x-mailseal-signed-by-sender") == ("yes" if sign else "no")
    was, now = ([_content(part) for part in one.walk()] for one in (parse(raw).root, root))
    assert now == was


def _content(part: Entity) -> tuple[str, bytes]:
    if part.children:
        return part.content_type.type, b""
    try:
        return part.content_type.type, part.decoded_body(100_000)
    except PermanentError:
        return part.content_type.type, bytes(part.body)


@given(
    words=st.one_of(st.text(max_size=200).map(str.encode), st.binary(max_size=200)),
    files=st.lists(st.tuples(st.text("abc äö.-", min_size=1, max_size=20), st.binary(max_size=100)), max_size=3),
    sign=st.booleans(),
)
def test_open_of_protect_inline_is_the_same_text_and_files(words, files, sign):

    words = words.replace(b"\r", b"").replace(b"\n", b"\r\n")
    parts = [text_entity(words, charset_of(words)), *(file_entity(content, name) for name, content in files)]
    entity = b"".join(joined(parts))
    raw = HEAD + entity
    root = receive(protect(raw, INLINE, sign=sign), pgp_open_inline=True)
    assert root.header("x-mailseal-decrypted") == "yes"
    assert root.header("x-mailseal-signed-by-sender") == ("yes" if sign else "no")
    leaves = [one for one in root.walk() if not one.children]
    was = [one for one in parse(raw).root.walk() if not one.children]
    assert [(one.filename, one.decoded_body(10_000)) for one in leaves] == [
        (one.filename, one.decoded_body(10_000)) for one in was
    ]
    assert leaves[0].content_type.parameters["charset"] == was[0].content_type.parameters["charset"]


@pytest.mark.parametrize(
    ("entity", "name", "content"),
    [
        (
            b"Content-Type: text/html\r\n\r\n<b>The canary sings.</b>\r\n",
            "part-1.html",
            b"<b>The canary sings.</b>\r\n",
        ),
        (b'Content-Type: application/pdf; name="a.pdf"\r\n\r\n%PDF', "a.pdf", b"%PDF"),
        (b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AOQ-", "part-1.txt", b"+AOQ-"),
    ],
)
def test_a_mail_that_is_no_text_comes_inline_as_a_file(entity, name, content):
    for sign in (True, False):
        root = receive(protect(HEAD + entity, INLINE, sign=sign), pgp_open_inline=True)
        assert root.header("x-mailseal-decrypted") == "yes"
        assert root.header("x-mailseal-signed-by-sender") == ("yes" if sign else "no")
        assert (root.content_type.type, root.filename) == ("application/octet-stream", name)
        assert root.decoded_body(1000) == content


@given(words=st.lists(st.sampled_from(["abc", "ä", "\r\n", "- ", "From ", "-----BEGIN PGP", "x" * 90]), max_size=12))
def test_a_text_signed_inline_is_good_and_the_same(words):
    content = "".join(words).encode()
    on = Stage(settings={"": replace(INLINE, mode=Mode.NEVER)}).own_pgp(PGP_SENDER)
    go(on, HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + content, X)
    root = receive(b"".join(on.sent[0].chunks[1:]), pgp_open_inline=True)
    assert root.header("x-mailseal-signed-by-sender") == "yes"
    lines = [line.rstrip() for line in content.split(b"\r\n")]
    assert [line.rstrip() for line in root.decoded_body(10_000).split(b"\r\n")] == lines


def test_a_mail_is_signed_at_the_time_of_the_gateway():
    on = stage()
    go(on, HEAD + TEXT, BOB)

    inner = opened(sent(on), PGP_PARTNER)
    bodies = split_signatures(b"".join(inner.signatures))
    (check,) = check_signatures(inner.literal, bodies, lambda _: [PGP_SENDER.certificate], NOW + timedelta(days=1))
    assert (check.verified, check.reason, check.created) == (True, None, NOW)
