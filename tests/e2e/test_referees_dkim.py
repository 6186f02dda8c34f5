"""opendkim as the referee of DKIM, both ways. dkimpy is one in tests/unit/dkim."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dkim_keys import Records, both_keys, rsa_key
from harness import opendkim
from mailseal.dkim.canon import Canon
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import Form, sign
from mailseal.dkim.verify import Cause, Result, verify
from mailseal.mail.mime import parse

pytestmark = pytest.mark.skipif(opendkim.why_not() is not None, reason=str(opendkim.why_not()))

AT = datetime.now(UTC)
HEADER = (
    b"From: Anna <anna@example.com>\r\nTo: Bob <bob@example.net>,\r\n\tCarl <carl@example.net>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=  again\r\nDate: Tue, 1 Jan 2030 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)
BODIES = [
    b"",
    b"\r\n\r\n",
    b"Hello\r\n",
    b"a \t b \r\n c\r\n\r\n\r\n",
    b"Gr\xc3\xbc\xc3\x9fe\r\n" * 20,
    b" \r\n x\t\r\n",
]
FORMS = [Form(header, body) for header in Canon for body in Canon]


@pytest.fixture
def key_file(tmp_path) -> Path:
    path = tmp_path / "key.pem"
    path.touch(0o600)
    path.write_bytes(rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return path


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_opendkim_verifies_what_is_signed_here(tmp_path, body):
    fields = [field for form in FORMS for field in sign(Mail.of_chunks([HEADER + body]), both_keys(), AT, form)]
    raw = b"".join(fields) + HEADER + body
    records = Records(*both_keys()).texts
    assert opendkim.results(tmp_path, raw, records) == ["pass"] * 8
    changed = opendkim.results(tmp_path, raw.replace(b"Subject: =?", b"Subject: x=?"), records)
    assert "pass" not in changed


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_opendkim_signs_verifies_here(tmp_path, key_file, form):
    canon = f"{form.header}/{form.body}"
    settings = f"Domain example.com\nSelector r\nCanonicalization {canon}\nSignatureAlgorithm rsa-sha256\n"
    for body in BODIES[2:]:
        field = opendkim.signature(tmp_path, HEADER + body, key_file, settings)
        (verdict,) = verify(Mail.of_entity(parse(field + HEADER + body).root), Records(*both_keys()), AT)
        assert verdict.result is Result.PASS, verdict


def test_sha1_is_never_believed(tmp_path, key_file):
    raw = HEADER + b"Hello\r\n"
    settings = "Domain example.com\nSelector r\nSignatureAlgorithm rsa-sha1\n"
    field = opendkim.signature(tmp_path, raw, key_file, settings)
    (verdict,) = verify(Mail.of_entity(parse(field + raw).root), Records(*both_keys()), AT)
    assert (verdict.result, verdict.cause) == (Result.PERMERROR, Cause.ALGORITHM)
