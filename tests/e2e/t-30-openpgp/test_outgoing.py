"""Anna writes to people whose programs know OpenPGP; gpg is their program, and reads what has left."""

from base64 import b64decode

from harness import openssl, pgp_mime
from harness.mail import CANARY, mail
from harness.pgp_mime import encrypted_part, parsed, signed_parts
from harness.pgp_site import (
    ANNA,
    BERT,
    CARL,
    ESCROW,
    EVA,
    GINA,
    INA,
    KIM,
    LENA,
    NILS,
    NORA,
    OLGA,
    OMAR,
    PAIR,
    PAUL,
    PIA,
    ROSA,
    SARA,
    SVEN,
    PgpSite,
    pgp_people,
)
from harness.sink import Transaction
from harness.waiting import wait_until

ATTACHMENT = bytes(range(256)) * 40


def fingerprint(address: str) -> str:
    return {ANNA: pgp_people().anna}.get(address, pgp_people().outside.get(address)).fingerprint


def only_for(alpha: PgpSite, got: Transaction, *readers: str) -> None:
    """It is encrypted to the keys of these and to no others'."""
    found = alpha.partner.read(encrypted_part(got.octets))
    ids = {words[0].lower() for words in found.lines("ENC_TO")}
    assert ids == {pgp_people().outside[one].keys[-1][0].key_id for one in readers}


def opened(alpha: PgpSite, got: Transaction) -> bytes:
    """The entity in PGP/MIME; signed by Anna, unchanged on the way."""
    found = alpha.partner.read(encrypted_part(got.octets))
    assert found.lines("GOODMDC")
    assert found.signers == [fingerprint(ANNA)]
    return found.content


def file_part(blob: bytes, head: bytes) -> bytes:
    encoded = openssl.crlf(openssl.run("base64", given=blob))
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded


def letters() -> dict[str, bytes]:
    """Entities of all kinds, safe for transport as they are."""
    text = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    named = (
        b"Content-Type: application/pdf;\r\n name*=utf-8''%C3%9Cbersicht%20%E2%82%AC.pdf\r\n"
        b"Content-Disposition: attachment;\r\n filename*0*=utf-8''%C3%9Cber;\r\n filename*1*=sicht%20%E2%82%AC.pdf\r\n"
    )
    alternative = (
        b'Content-Type: multipart/alternative; boundary="=_a"\r\n\r\n--=_a\r\n' + text + b"Gr=C3=BC=C3=9Fe\r\n--=_a\r\n"
        b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Hello</p>\r\n--=_a--\r\n"
    )
    return {
        "plain": text + b"Gr=C3=BC=C3=9Fe, " + CANARY + b"\r\n.\r\n..\r\n- dash\r\n>From here\r\n",
        "flowed": b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n> quoted\r\n\r\n-- =20\r\n",
        "no type": b"\r\nplain text\r\n",
        "attachments": pgp_mime.mixed(text + b"see below\r\n", file_part(ATTACHMENT, named), alternative),
        "large": pgp_mime.mixed(text + b"see below\r\n", file_part(ATTACHMENT * 380, named)),
    }


def test_what_left_opens_in_gpg_as_it_was(alpha: PgpSite) -> None:
    for name, entity in letters().items():
        alpha.clear()
        sent = pgp_mime.mail(ANNA, PIA, entity, subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?= " + name)

        reply = alpha.send(ANNA, [PIA], sent)

        assert reply.end[0].startswith("250"), reply
        [got] = alpha.outside.wait(1)
        assert (got.sender, got.recipients) == (ANNA, (PIA,))
        assert "RET=HDRS" in got.parameters
        assert (got.fields("From"), got.fields("To")) == ([ANNA], [PIA])
        assert got.fields("Subject") == ["=?utf-8?q?Gr=C3=BC=C3=9Fe?= " + name]
        assert CANARY not in got.octets
        assert max(map(len, got.octets.split(b"\r\n"))) <= 998
        assert opened(alpha, got) == entity


def test_eight_bit_white_space_and_long_lines_come_through(alpha: PgpSite) -> None:
    """What transport could change is encoded before it is signed: the reader's program shows the same."""
    text = "Grüße \r\nFrom here\r\n-- \r\n".encode() + b"x" * 2000 + b"\r\n"
    type_ = b"Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    for entity in (type_ + text, pgp_mime.mixed(type_ + text, file_part(ATTACHMENT, b""))):
        alpha.clear()
        alpha.send(ANNA, [PIA], pgp_mime.mail(ANNA, PIA, entity))

        [got] = alpha.outside.wait(1)
        inner = parsed(opened(alpha, got))
        leaves = [one for one in inner.walk() if not one.is_multipart()]
        assert leaves[0].get_payload(decode=True).rstrip() == text.rstrip()
        assert leaves[0].get_param("format") == "flowed"
        assert [one.get_payload(decode=True) for one in leaves[1:]] == [ATTACHMENT] * (len(leaves) - 1)
        assert opened(alpha, got).isascii()


def test_one_mail_leaves_in_as_many_forms_as_methods_exist(alpha: PgpSite) -> None:
    """S/MIME, PGP/MIME, inline, and only signed by what Anna and Bert have; what must be encrypted is refused."""
    root, _, olga, _ = alpha.smime
    readers = [CARL, OLGA, PIA, INA, NORA, LENA, NILS]
    for sender, by in ((ANNA, fingerprint(ANNA)), (BERT, alpha.bert)):
        alpha.clear()
        sent = mail(sender, ", ".join(readers))

        reply = alpha.send(sender, readers, sent)

        answers = dict(zip(readers, reply.end, strict=True))
        assert answers.pop(NILS).startswith("550 5.7.1")
        assert all(one.startswith("250") for one in answers.values()), answers
        got = {one: copy.octets for copy in alpha.outside.wait(4) for one in copy.recipients}
        assert set(got) == {OLGA, PIA, INA, NORA, LENA}
        assert all(CANARY not in got[one] for one in (OLGA, PIA, INA))
        assert CANARY in openssl.decrypt(got[OLGA], olga)
        found = alpha.partner.read(encrypted_part(got[PIA]))
        assert (CANARY in found.content, found.signers) == (True, [by])
        found = alpha.partner.read(parsed(got[INA]).get_payload(decode=True))
        assert (found.content, found.signers) == (sent.partition(b"\r\n\r\n")[2], [by])
        if sender == ANNA:
            assert all(CANARY in openssl.verify(got[one], root) for one in (NORA, LENA))
        else:
            assert alpha.partner.verify(*signed_parts(got[NORA])) == by
            assert alpha.partner.read(got[LENA].partition(b"\r\n\r\n")[2]).signers == [by]
        [to_carl] = alpha.inside.wait(1)
        assert to_carl.octets.endswith(sent)


def test_who_is_not_in_to_and_cc_gets_a_message_alone(alpha: PgpSite) -> None:
    sent = mail(ANNA, f"{PIA}, {PAIR[0]}", fields=f"Cc: {PAIR[1]}\r\nBcc: {PAUL}, {SVEN}\r\n")

    reply = alpha.send(ANNA, [PIA, *PAIR, PAUL, SVEN], sent)

    assert all(one.startswith("250") for one in reply.end), reply
    copies = {copy.recipients: copy for copy in alpha.outside.wait(4)}
    assert set(copies) == {(PIA,), PAIR, (PAUL,), (SVEN,)}
    for copy in copies.values():
        assert not copy.fields("Bcc")
        assert CANARY in opened(alpha, copy)
        assert PAUL.encode() not in copy.octets + opened(alpha, copy)
    only_for(alpha, copies[PIA,], PIA)
    only_for(alpha, copies[PAIR], PAIR[0])
    only_for(alpha, copies[PAUL,], PAUL, ESCROW)


def test_the_order_of_methods_and_why_one_fell_through(alpha: PgpSite) -> None:
    """An expired certificate, a mail that is too large for S/MIME: OpenPGP takes over. No key: no mandatory mail."""
    alpha.send(ANNA, [OLGA, OMAR, KIM], mail(ANNA, f"{OLGA}, {OMAR}, {KIM}"))
    alpha.send(ANNA, [OLGA], mail(ANNA, OLGA, subject="large", body=b"0123456789\r\n" * 30_000))
    refused = alpha.send(ANNA, [SARA, NILS, EVA, ROSA], mail(ANNA, f"{SARA}, {NILS}, {EVA}, {ROSA}"))

    assert [one[:9] for one in refused.end] == ["250 2.0.0", "550 5.7.1", "550 5.7.1", "550 5.7.1"]
    copies = alpha.outside.wait(5)
    kinds = {
        (copy.fields("Subject")[0], one): parsed(copy.octets).get_content_type()
        for copy in copies
        for one in copy.recipients
    }
    assert kinds == {
        ("Quarterly numbers", OLGA): "application/pkcs7-mime",
        ("Quarterly numbers", OMAR): "multipart/encrypted",
        ("Quarterly numbers", KIM): "multipart/signed",
        ("large", OLGA): "multipart/encrypted",
        ("Quarterly numbers", SARA): "multipart/encrypted",
    }
    told = _reasons(alpha, OMAR, KIM, NILS, EVA, ROSA)
    for reader, words in {
        OMAR: ["certificate has expired", "encrypted by pgp"],
        KIM: ["nobody has said"],
        NILS: ["no OpenPGP key"],
        EVA: ["expired"],
        ROSA: ["revoked"],
    }.items():
        assert all(word in told[reader] for word in words), told[reader]


def _reasons(alpha: PgpSite, *readers: str) -> dict[str, str]:
    """Why what became of Anna's last mails to these, once the worker has moved the rows into the log."""
    told, last = {}, ("--sender", ANNA, "--limit", "12")

    def are_told() -> bool:
        told.clear()
        told.update({row["recipient"]: str(row["reasons"]) for row in alpha.gateway.log(*last)})
        return set(readers) <= set(told)

    wait_until(are_told, lambda: sorted(told), every=0.3)
    return told


def test_a_trigger_demands_encryption(alpha: PgpSite) -> None:
    reply = alpha.send(ANNA, [PIA, NORA], mail(ANNA, f"{PIA}, {NORA}", subject="[encrypt] Offer"))

    assert [one[:3] for one in reply.end] == ["250", "550"]
    [got] = alpha.outside.wait(1)
    assert got.fields("Subject") == ["Offer"]
    assert CANARY in opened(alpha, got)


def test_bert_has_no_certificate_so_his_signature_is_by_openpgp(alpha: PgpSite) -> None:
    """The newest of his keys signs; what S/MIME encrypts only S/MIME signs."""
    reply = alpha.send(BERT, [NORA, PIA, OLGA], mail(BERT, f"{NORA}, {PIA}, {OLGA}"))

    assert all(one.startswith("250") for one in reply.end)
    got = {copy.recipients[0]: copy for copy in alpha.outside.wait(3)}
    content, signature = signed_parts(got[NORA].octets)
    assert CANARY in content
    assert alpha.partner.verify(content, signature) == alpha.bert
    assert alpha.partner.read(encrypted_part(got[PIA].octets)).signers == [alpha.bert]
    inside = openssl.decrypt(got[OLGA].octets, alpha.smime[2])
    assert parsed(inside).get_content_type() == "text/plain"


def test_a_text_that_is_signed_inline(alpha: PgpSite) -> None:
    text = "Grüße, Lena\r\n- eins\r\nFrom here \r\n-- \r\nBert\r\n".encode()
    entity = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text

    alpha.send(BERT, [LENA], pgp_mime.mail(BERT, LENA, entity))

    [got] = alpha.outside.wait(1)
    shown = parsed(got.octets)
    assert shown.get_content_type() == "text/plain"
    found = alpha.partner.read(shown.get_payload(decode=True))
    assert found.signers == [alpha.bert]
    lines = [one.rstrip() for one in found.content.decode().splitlines()]
    assert [one for one in lines if one] == [one.rstrip() for one in text.decode().splitlines()]


def test_a_mail_with_files_goes_inline(alpha: PgpSite) -> None:
    """The text as an armored block, each file by itself as NAME.pgp; the page becomes a file as well."""
    text = "Grüße, Ina\r\n".encode()
    parts = pgp_mime.mixed(
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text,
        file_part(ATTACHMENT, b"Content-Type: image/png; name*=utf-8''Gr%C3%BC%C3%9Fe.png\r\n"),
        b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Hello</p>",
    )
    for sender, by in ((ANNA, fingerprint(ANNA)), (BERT, alpha.bert)):
        alpha.clear()
        alpha.send(sender, [INA], pgp_mime.mail(sender, INA, parts))

        [got] = alpha.outside.wait(1)
        found = [one for one in parsed(got.octets).walk() if not one.is_multipart()]
        names = [one.get_filename() for one in found]
        assert names[:2] == [None, "Grüße.png.pgp"]
        assert names[2].endswith(".html.pgp")
        contents = [text.rstrip(), ATTACHMENT, b"<p>Hello</p>"]
        for part, content in zip(found, contents, strict=True):
            read = alpha.partner.read(part.get_payload(decode=True))
            assert read.content.rstrip(b"\r\n") == content
            assert read.signers == [by]


def test_mail_that_is_encrypted_already_or_signed_by_her_own_program(alpha: PgpSite) -> None:
    """By the packets it is left alone, octet by octet; a signature of her own is kept, and gets no other beside it."""
    partner = alpha.partner
    own = pgp_mime.encrypted(partner.encrypt(b"Content-Type: text/plain\r\n\r\nown\r\n", PIA, options=("--armor",)))
    sent = pgp_mime.mail(ANNA, PIA, own)
    entity = b"Content-Type: text/plain\r\n\r\n" + CANARY + b"\r\n"
    signature = partner.sign(entity, KIM, options=("--armor", "--detach-sign"))
    sent_signed = pgp_mime.mail(ANNA, PIA, pgp_mime.signed(entity, signature))

    alpha.send(ANNA, [PIA], sent)
    alpha.send(ANNA, [PIA], sent_signed)

    untouched, wrapped = alpha.outside.wait(2)
    assert untouched.octets.endswith(sent)
    found = partner.read(encrypted_part(wrapped.octets))
    assert found.signers == []
    assert signed_parts(found.content)[0] == entity


def test_a_signing_key_is_made_in_the_flow(alpha: PgpSite) -> None:
    """Gina's first two mails at once are signed by one new key, which Autocrypt brings to her readers."""
    for number in (1, 2):
        assert alpha.send(GINA, [NORA], mail(GINA, NORA, subject=f"{number}")).end[0].startswith("250")

    copies = alpha.outside.wait(2)
    (row,) = alpha.gateway.rows("pgp", "list", "--address", GINA)
    assert (row["provenance"], row["key"], row["trust"]) == ("generated", True, "trusted")
    told = copies[0].fields("Autocrypt")[0].replace(" ", "")
    assert told.startswith(f"addr={GINA};")
    alpha.partner.run("--import", given=b64decode(told.partition("keydata=")[2]))
    for copy in copies:
        content, signature = signed_parts(copy.octets)
        assert alpha.partner.verify(content, signature) == row["fingerprint"]
