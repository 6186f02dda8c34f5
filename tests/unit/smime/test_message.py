import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_samples import BODY, encrypted_entity, identity, keys, people, samples, signed_entity
from mailseal.mail import base64_lines
from mailseal.mail.mime import parse
from mailseal.policy.model import Already
from mailseal.policy.settings import Cipher, Digest
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import (
    LayerKind,
    already,
    classify,
    read_cms,
    signed_parts,
)
from mailseal.smime.verify import read_signed, verify
from pki import NOW


def mail(content_type: str, octets: bytes, *, name: str = "", encoding: str = "base64"):
    body = base64.encodebytes(octets) if encoding == "base64" else octets
    header = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    if name:
        header += f'Content-Disposition: attachment; filename="{name}"\r\n'
    return parse(header.encode() + b"\r\n" + body.replace(b"\n", b"\r\n" if encoding == "base64" else b"\n")).root


@given(st.binary(max_size=40_000))
def test_base64_lines(octets):
    lines = b"".join(base64_lines.encode(octets))
    assert base64.b64decode(lines) == octets
    split = lines.removesuffix(b"\r\n").split(b"\r\n")
    assert all(len(line) == 76 for line in split[:-1])
    assert len(split[-1]) <= 76


@given(st.lists(st.binary(max_size=200) | st.integers(0, 130_000).map(bytes), max_size=6))
def test_base64_lines_of_parts_are_those_of_the_whole(parts):
    expected = b"".join(base64_lines.encode(b"".join(parts)))
    blocks = list(base64_lines.encode_all(iter([memoryview(one) for one in parts])))
    assert b"".join(blocks) == expected
    assert all(one.endswith(b"\r\n") for one in blocks)


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 256, 57 * 256 + 1, 57 * 512])
def test_base64_at_the_edges_of_lines_and_blocks(size):
    octets = bytes(size)
    expected = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    assert b"".join(base64_lines.encode(octets)) == expected


@pytest.mark.parametrize("digest", Digest)
def test_signed_entity(digest):
    octets = signed_entity(BODY, identity("p256"), SignatureForm(digest), NOW)
    root = parse(octets).root
    assert root.content_type.parameters["micalg"] == {"sha256": "sha-256", "sha384": "sha-384"}.get(digest, "sha-512")
    assert root.content_type.parameters["protocol"] == "application/pkcs7-signature"
    assert classify(root) is LayerKind.SIGNED
    assert classify(root.children[1]) is None
    assert already(root) is Already.SIGNED
    content, signature = signed_parts(root)
    assert content == BODY
    assert verify(read_signed(signature), content)[0].verified
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))
    assert octets.count(b"\n") == octets.count(b"\r\n")


@pytest.mark.parametrize("cipher", Cipher)
def test_encrypted_entity(cipher):
    octets = encrypted_entity([BODY[:5], memoryview(BODY)[5:]], [people()["p256"].certificate], EncryptionForm(cipher))
    root = parse(octets).root
    assert classify(root) is LayerKind.ENCRYPTED
    assert already(root) is Already.ENCRYPTED
    assert root.filename == "smime.p7m"
    expected = "authEnveloped-data" if cipher.endswith("gcm") else "enveloped-data"
    assert root.content_type.parameters["smime-type"] == expected
    assert read_enveloped(read_cms(root)).decrypt(keys("p256"), 1000) == BODY
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))


MIME = "application/pkcs7-mime"
KINDS = {
    "encrypted-aes256-cbc": LayerKind.ENCRYPTED,
    "encrypted-aes256-gcm": LayerKind.ENCRYPTED,
    "opaque-p256": LayerKind.SIGNED,
    "compressed": LayerKind.COMPRESSED,
}


@pytest.mark.parametrize("encoding", ["base64", "binary"])
@pytest.mark.parametrize("content_type", [MIME, "application/x-pkcs7-mime", "application/octet-stream"])
@pytest.mark.parametrize("name", KINDS)
def test_the_structure_tells_the_kind_whatever_the_labels_say(name, content_type, encoding):
    for label in ("", "; smime-type=signed-data", "; smime-type=enveloped-data", "; smime-type=nonsense"):
        root = mail(content_type + label, samples()[name], name="smime.p7m", encoding=encoding)
        assert classify(root) is KINDS[name]


def test_labels_tell_where_the_structure_does_not():
    for label, kind in (
        ("; smime-type=enveloped-data", LayerKind.ENCRYPTED),
        ("; smime-type=authEnveloped-data", LayerKind.ENCRYPTED),
        ("; smime-type=signed-data", LayerKind.SIGNED),
        ("; smime-type=compressed-data", LayerKind.COMPRESSED),
        ("; smime-type=certs-only", LayerKind.CERTS_ONLY),
        ("", LayerKind.ENCRYPTED),
    ):
        assert classify(mail(MIME + label, b"damaged")) is kind
    assert classify(mail(MIME, b"damaged", name="smime.p7z")) is LayerKind.COMPRESSED
    assert classify(mail(MIME + "; smime-type=certs-only", samples()["opaque-p256"])) is LayerKind.CERTS_ONLY
    assert classify(mail(MIME, samples()["opaque-p256"], name="smime.p7c")) is LayerKind.CERTS_ONLY


def test_what_is_no_smime():
    assert classify(mail("application/octet-stream", b"%PDF", name="smime.p7m")) is None
    assert classify(mail("application/octet-stream", samples()["opaque-p256"], name="a.bin")) is None
    assert classify(mail("text/plain", samples()["opaque-p256"], name="smime.p7m")) is None
    assert classify(mail("application/pkcs7-signature", samples()["detached-p256"], name="smime.p7s")) is None
    assert classify(parse(b"Subject: x\r\n\r\n-----BEGIN PKCS7-----\r\n").root) is None


def test_already_goes_by_structure():
    assert already(mail(MIME + "; smime-type=enveloped-data", b"Confidential words in clear")) is Already.NOTHING
    assert already(mail(MIME, samples()["encrypted-aes256-cbc"][:-40])) is Already.NOTHING
    assert already(mail(MIME, samples()["encrypted-aes256-cbc"])) is Already.ENCRYPTED
    assert already(mail(MIME, samples()["opaque-p256"])) is Already.SIGNED
    assert already(mail(MIME, samples()["detached-p256"])) is Already.NOTHING
    assert already(mail(MIME, samples()["compressed"])) is Already.NOTHING
    assert already(parse(b"Subject: x\r\n\r\nhello").root) is Already.NOTHING


def test_a_signed_mail_around_an_encrypted_one_is_encrypted():
    inner = encrypted_entity([BODY], [people()["p256"].certificate], EncryptionForm())
    root = parse(signed_entity(inner, identity("p256"), SignatureForm(), NOW)).root
    assert already(root) is Already.ENCRYPTED


def test_signed_parts_are_two_and_closed():
    octets = signed_entity(BODY, identity("p256"), SignatureForm(), NOW)
    end = octets.rindex(b"--\r\n")
    boundary = octets[octets.index(b'boundary="') + 10 :].split(b'"')[0]
    three = octets[:end] + b"\r\nContent-Type: text/plain\r\n\r\nmore\r\n--" + boundary + b"--\r\n"
    for bad in (octets[:end], three, octets.replace(b"application/pkcs7-signature; name", b"text/plain; name")):
        with pytest.raises(CmsError):
            signed_parts(parse(bad).root)


def test_a_signed_mail_that_leaves_labels_out():
    octets = signed_entity(BODY, identity("p256"), SignatureForm(), NOW)
    octets = octets.replace(b' protocol="application/pkcs7-signature";', b"")
    assert classify(parse(octets).root) is LayerKind.SIGNED
    octets = octets.replace(b"application/pkcs7-signature", b"application/octet-stream")
    root = parse(octets).root
    assert classify(root) is LayerKind.SIGNED
    assert signed_parts(root)[0] == BODY
    pgp = octets.replace(b"multipart/signed;", b'multipart/signed; protocol="application/pgp-signature";')
    assert classify(parse(pgp).root) is None


def test_damaged_base64():
    root = parse(b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB!?A\r\n").root
    assert classify(root) is LayerKind.ENCRYPTED
    with pytest.raises(CmsError):
        read_enveloped(read_cms(root))
    assert already(root) is Already.NOTHING


@given(st.binary(max_size=200))
def test_the_boundary_is_not_in_the_content(octets):
    entity = b"Content-Type: text/plain\r\n\r\n" + octets
    root = parse(signed_entity(entity, identity("p256"), SignatureForm(), NOW))
    assert root.fault is None
    assert root.root.children[0].octets == entity
