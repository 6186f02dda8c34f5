"""The signed mails that the RFCs print: RFC 6376 appendix A.2, RFC 8463 appendix A.3, and the examples of §3.4.5."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailseal.dkim.canon import Canon, body_hash, body_pieces, header_field
from mailseal.dkim.fields import Mail
from mailseal.dkim.verify import Cause, Result, verify
from mailseal.mail.mime import parse

FOLDER = Path(__file__).parent / "dkim"
RECORDS = dict(line.split(" ", 1) for line in (FOLDER / "records.txt").read_text().splitlines())
AT = datetime(2030, 1, 1, tzinfo=UTC)


def verdicts(raw):
    return verify(Mail.of_entity(parse(raw).root), lambda name: [RECORDS[name]] if name in RECORDS else [], AT)


@pytest.mark.parametrize(("name", "algorithms"), [
    ("rfc6376-a2", ["rsa-sha256"]),
    ("rfc8463-a3", ["ed25519-sha256", "rsa-sha256"]),
])  # fmt: skip
def test_the_signatures_verify(name, algorithms):
    found = verdicts((FOLDER / f"{name}.eml").read_bytes())
    assert [(one.result, one.cause) for one in found] == [(Result.PASS, Cause.GOOD)] * len(algorithms)
    assert [one.algorithm for one in found] == algorithms


@pytest.mark.parametrize("name", ["rfc6376-a2", "rfc8463-a3"])
def test_changed_they_do_not(name):
    raw = (FOLDER / f"{name}.eml").read_bytes()
    changes = {b"Joe.": b"Joe!", b"Subject: Is": b"Subject: Was", b"hungry yet?": b"hungry yet? "}
    for old, new in changes.items():
        relaxed = new.strip() == old  # white space at the end of a line counts for nothing there
        if relaxed and name == "rfc8463-a3":
            continue
        assert all(one.result is Result.FAIL for one in verdicts(raw.replace(old, new)))


def test_the_examples_of_canonicalisation():
    header = (b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n")
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert [header_field(one, Canon.RELAXED) for one in header] == [b"a:X\r\n", b"b:Y Z\r\n"]
    assert [header_field(one, Canon.SIMPLE) for one in header] == list(header)
    assert b"".join(body_pieces([body], Canon.RELAXED)) == b" C\r\nD E\r\n"
    assert b"".join(body_pieces([body], Canon.SIMPLE)) == b" C \r\nD \t E\r\n"


def test_the_hashes_of_an_empty_body():
    """RFC 6376 §3.4.3 and §3.4.4 print them."""
    assert body_hash([], Canon.SIMPLE)[0].hex() == "7eb70257593da06f682a3ddda54a9d260d4fc514f645237f5ca74b08f8da61a6"
    assert body_hash([], Canon.RELAXED)[0].hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
