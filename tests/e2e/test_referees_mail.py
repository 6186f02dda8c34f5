"""Whole mails of S/MIME through `openssl cms`, in both directions: MIME around structures, layers within layers.

What is inside comes out octet by octet, but for line ends: openssl takes and makes them CRLF.
"""

from itertools import product

import pytest

from cms_samples import encrypted_entity, signed_entity
from harness.openssl import crlf
from harness.referees import KEYS, Circle, RefusedError, table
from mailseal.mail.mime import Entity, parse
from mailseal.policy.settings import Cipher, Digest, KeyTransport, RsaSignature
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import LayerKind, classify, read_cms, signed_parts
from mailseal.smime.verify import read_signed, verify
from pki import NOW

HEADER = (
    b"From: anna@alpha.example\r\nTo: olga@example.org\r\nSubject: Gr=?utf-8?q?=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
ENTITIES = {
    "text": TEXT + b"Gr\xc3\xbc\xc3\x9fe\r\n-- \r\n\r\nFrom here\r\n.\r\n trailing \t \r\n",
    "empty": b"\r\n",
    "no-last-line-end": TEXT + b"one line",
    "long-line": TEXT + b"x" * 70_000 + b"\r\n",
    "alternatives": (
        b'Content-Type: multipart/alternative; boundary="=_in"\r\n\r\n--=_in\r\n' + TEXT + b"a\r\n--=_in\r\n"
        b"Content-Type: text/html\r\n\r\n<p>a</p>\r\n--=_in--\r\n"
    ),
}

WE_SIGN = table(
    [
        *product(KEYS, map(SignatureForm, Digest)),
        *product(KEYS, (SignatureForm(digest, opaque=True) for digest in Digest)),
        *product(["rsa2048"], (SignatureForm(Digest.SHA384, RsaSignature.PSS, opaque) for opaque in (False, True))),
    ]
)
WE_ENCRYPT = table(
    [
        *product([KEYS], map(EncryptionForm, Cipher)),
        *product([("rsa2048", "rsa3072")], (EncryptionForm(Cipher.AES256_GCM, one) for one in KeyTransport)),
    ]
)


def broken(mail: bytes) -> bytes:
    """One word of what is readable is another, or one letter of the last line of base64."""
    if b"trailing" in mail:
        return mail.replace(b"trailing", b"tailoring")
    at = mail.rindex(b"\r\n", 0, len(mail) - 2) - 24
    return mail[:at] + (b"A" if mail[at : at + 1] != b"A" else b"B") + mail[at + 1 :]


@pytest.mark.parametrize("row", WE_SIGN)
def test_openssl_verifies_our_signed_mail(referee, people, row):
    entity = ENTITIES["text"]
    mail = HEADER + signed_entity(entity, people.identity(row.key), row.how, NOW)
    assert classify(parse(mail).root) is LayerKind.SIGNED
    assert (b"\r\nContent-Type: multipart/signed" in mail) is not row.how.opaque
    assert referee.verify(mail, form="SMIME") == entity
    with pytest.raises(RefusedError):
        referee.verify(broken(mail), form="SMIME")


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("name", ENTITIES)
def test_openssl_verifies_our_mail_of_every_shape(referee, people, name, opaque):
    form = SignatureForm(opaque=opaque)
    mail = HEADER + signed_entity(ENTITIES[name], people.identity("p256"), form, NOW)
    assert referee.verify(mail, form="SMIME") == ENTITIES[name]


@pytest.mark.parametrize("row", WE_ENCRYPT)
def test_openssl_decrypts_our_encrypted_mail(referee, people, row):
    for entity in ENTITIES.values():
        mail = HEADER + encrypted_entity([entity], people.certificates(*row.keys), row.how)
        assert classify(parse(mail).root) is LayerKind.ENCRYPTED
        assert referee.decrypt(mail, row.key, form="SMIME") == entity
    for kind in row.keys[1:]:
        assert referee.decrypt(mail, kind, form="SMIME") == entity
    with pytest.raises(RefusedError):
        referee.decrypt(mail, "outsider", form="SMIME")


@pytest.mark.parametrize("opaque", [False, True])
def test_openssl_reads_our_three_layers(referee, people, opaque):
    form = SignatureForm(opaque=opaque)
    inner = signed_entity(ENTITIES["text"], people.identity("p384"), form, NOW)
    middle = encrypted_entity([inner], people.certificates("rsa2048", "p256"), EncryptionForm())
    mail = HEADER + signed_entity(middle, people.identity("rsa3072"), form, NOW)
    for kind in ("rsa2048", "p256"):
        opened = referee.decrypt(referee.verify(mail, form="SMIME"), kind, form="SMIME")
        assert referee.verify(opened, form="SMIME") == ENTITIES["text"]


# What openssl writes, we read.


def layers(people: Circle, root: Entity, reader: str) -> tuple[list[LayerKind], Entity]:
    """Take off layer by layer: their kinds, and the innermost entity. Every signature must hold."""
    found = []
    while (kind := classify(root)) is not None:
        found.append(kind)
        if kind is LayerKind.ENCRYPTED:
            content = read_enveloped(read_cms(root)).decrypt(people.keys(reader), 1_000_000)
        else:
            detached = root.content_type.type == "multipart/signed"
            shown, signature = signed_parts(root) if detached else (None, read_cms(root))
            signed = read_signed(signature)
            assert all(check.verified for check in verify(signed, shown))
            content = bytes(shown) if detached else signed.econtent
        root = parse(crlf(content)).root
    return found, root


MAIL = ("-outform", "SMIME")
SIGNED = [(), ("-nodetach",), ("-nodetach", "-stream"), ("-crlfeol",), ("-stream",), ("-noattr",), ("-keyid",)]


@pytest.mark.parametrize("line_ends", ["lf", "crlf"])
@pytest.mark.parametrize("options", SIGNED, ids=" ".join)
@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_we_read_the_signed_mail_of_openssl(referee, people, kind, options, line_ends):
    entity = ENTITIES["text"]
    mail = referee.sign(kind, options=(*MAIL, *options), content=entity)
    mail = crlf(mail) if line_ends == "crlf" else mail
    found, inside = layers(people, parse(mail).root, kind)
    assert found == [LayerKind.SIGNED]
    assert bytes(inside.octets) == entity


@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("stream", [(), ("-stream",)], ids=" ".join)
@pytest.mark.parametrize("kind", KEYS)
def test_we_read_the_encrypted_mail_of_openssl(referee, people, kind, stream, cipher):
    for entity in ENTITIES.values():
        mail = referee.encrypt(*KEYS, options=(*MAIL, f"-{cipher}", *stream), content=entity)
        found, inside = layers(people, parse(mail).root, kind)
        assert found == [LayerKind.ENCRYPTED]
        assert bytes(inside.octets) == entity


@pytest.mark.parametrize("options", [(), ("-nodetach",)], ids=" ".join)
def test_we_read_three_layers_of_openssl(referee, people, options):
    entity = ENTITIES["alternatives"]
    signed = referee.sign("rsa2048", "p521", options=(*MAIL, *options), content=entity)
    encrypted = referee.encrypt("rsa3072", "p384", options=(*MAIL, "-aes-128-gcm"), content=crlf(signed))
    mail = referee.sign("p256", options=(*MAIL, *options), content=crlf(encrypted))
    for reader in ("rsa3072", "p384"):
        found, inside = layers(people, parse(mail).root, reader)
        assert found == [LayerKind.SIGNED, LayerKind.ENCRYPTED, LayerKind.SIGNED]
        assert bytes(inside.octets) == entity
