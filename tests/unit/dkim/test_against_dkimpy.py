"""dkimpy as the referee, both ways: it verifies what is signed and sealed here, and the other way round."""

import base64
from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkim_keys import Records, both_keys, ed25519_key, rsa_key
from mailseal.dkim.arc import ChainState, validate
from mailseal.dkim.canon import Canon
from mailseal.dkim.fields import Mail
from mailseal.dkim.seal import seal
from mailseal.dkim.sign import DkimKey, Form, sign
from mailseal.dkim.verify import Result, verify
from mailseal.mail.mime import parse

AT = datetime.now(UTC)
HEADER = (
    b"From: Anna <anna@example.com>\r\nTo: Bob <bob@example.net>,\r\n\tCarl <carl@example.net>\r\n"
    b"Subject: Hello  again\r\nDate: Tue, 1 Jan 2030 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"
)
BODIES = [
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"x",
    b"a \t b \r\n c\r\n\r\n\r\n",
    b"\xe4\xff\r\n",
    b"a\r b\r\n",
    b" \r\n x\t\r\n \r\n",
]
PEM = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
FORMS = [Form(header, body) for header in Canon for body in Canon]
HANDLER = DkimKey("example.net", "r", rsa_key())


def dns(*keys):
    records = Records(*keys)
    return records, lambda name, timeout=5: "".join(records(name.decode().rstrip("."))).encode()


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("body", BODIES)
def test_dkimpy_verifies_what_is_signed_here(form, body):
    raw = b"".join(sign(Mail.of_chunks([HEADER + body]), both_keys(), AT, form)) + HEADER + body
    _, dnsfunc = dns(*both_keys())
    for index in range(2):
        assert dkim.DKIM(raw).verify(index, dnsfunc=dnsfunc)
    assert not dkim.DKIM(raw.replace(b"Subject: Hello", b"Subject: Hallo")).verify(dnsfunc=dnsfunc)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", ["rsa-sha256", "ed25519-sha256"])
def test_what_dkimpy_signs_verifies_here(form, body, kind):
    key = PEM if kind.startswith("rsa") else ed25519_key().private_bytes_raw()
    if kind.startswith("ed"):
        key = base64.b64encode(key)
    field = dkim.DKIM(HEADER + body, signature_algorithm=kind.encode()).sign(
        b"r" if kind.startswith("rsa") else b"e", b"example.com", key,
        canonicalize=(form.header.encode(), form.body.encode()),
    )  # fmt: skip
    (verdict,) = verify(Mail.of_entity(parse(field + HEADER + body).root), dns(*both_keys())[0], AT)
    assert verdict.result is Result.PASS


def ours(raw):
    mail = Mail.of_entity(parse(raw).root)
    fields = seal(mail, validate(mail, dns(HANDLER)[0], AT), "mx.example.net; dkim=none", HANDLER, AT)
    return b"".join(fields) + raw


def theirs(raw):
    state = validate(Mail.of_entity(parse(raw).root), dns(HANDLER)[0], AT).state  # dkimpy wants to be told
    raw = f"Authentication-Results: mx.example.net; arc={state}\r\n".encode() + raw
    fields = dkim.ARC(raw).sign(b"r", b"example.net", PEM, b"mx.example.net")
    return b"".join(fields) + raw


@pytest.mark.parametrize("handlers", [[ours], [theirs], [ours, theirs], [theirs, ours], [ours, ours, theirs, ours]])
def test_chains_that_both_have_sealed(handlers):
    raw = HEADER + b"Hello,\r\n\r\nall is well.\r\n"
    for handler in handlers:
        raw = handler(raw)
    records, dnsfunc = dns(HANDLER)
    chain = validate(Mail.of_entity(parse(raw).root), records, AT)
    assert (chain.state, chain.highest) == (ChainState.PASS, len(handlers))
    state, results, reason = dkim.ARC(raw).verify(dnsfunc=dnsfunc)
    assert (state, len(results)) == (dkim.CV_Pass, len(handlers)), reason
    broken = raw.replace(b"all is well", b"all is lost")
    assert dkim.ARC(broken).verify(dnsfunc=dnsfunc)[0] == dkim.CV_Fail
    assert validate(Mail.of_entity(parse(broken).root), records, AT).state is ChainState.FAIL
