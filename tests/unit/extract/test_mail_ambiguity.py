"""A mail that readers do not agree on: what any of them may see is read, and it is a gap besides."""

import time
from base64 import b64encode, encodebytes

import pytest

from documents.mail_reading import entity, mail, multipart, read_mail
from documents.reading import reasons, text_of
from mailseal.extract.budget import Budget
from mailseal.policy.inspection import GapReason

BASE64 = "Content-Transfer-Encoding: base64"
QP = "Content-Transfer-Encoding: quoted-printable"
NEEDLE = b"the needle in it"
CODED = b64encode(NEEDLE)
QUOTED = b"the =6Eeedle in it"
TWO = 'multipart/mixed; boundary="a"; boundary="b"'
MIXED = "multipart/mixed; boundary=x"


def parts(boundary: bytes, *bodies: bytes) -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in bodies) + b"--" + boundary + b"--\r\n"


nested = entity(CODED, "text/plain", BASE64)
AMBIGUOUS = {
    "two types": mail(entity(CODED, "text/plain", "Content-Type: text/html", BASE64)),
    "two encodings": mail(entity(CODED, "text/plain", BASE64, QP)),
    "two encodings, quoted": mail(entity(QUOTED, "text/plain", BASE64, QP)),
    "two encodings, neither": mail(entity(NEEDLE, "text/plain", BASE64, QP)),
    "unknown encoding": mail(entity(CODED, "text/plain", "Content-Transfer-Encoding: x-own")),
    "unknown encoding, quoted": mail(entity(QUOTED, "text/plain", "Content-Transfer-Encoding: x-own")),
    "two boundaries, first": mail(entity(parts(b"a", entity(CODED, "text/plain", BASE64)), TWO)),
    "two boundaries, second": mail(entity(parts(b"b", entity(CODED, "text/plain", BASE64)), TWO)),
    "no boundary": mail(entity(parts(b"b", entity(CODED, "text/plain", BASE64)), "multipart/mixed")),
    "wrong boundary": mail(
        entity(parts(b"b", entity(CODED, "text/plain", BASE64)), "multipart/mixed; boundary=other")
    ),
    "boundary again": mail(
        entity(parts(b"b", entity(b"x")) + parts(b"b", nested), "multipart/mixed; boundary=b")
    ),
    "encoded multipart": mail(
        entity(encodebytes(parts(b"b", entity(NEEDLE))), "multipart/mixed; boundary=b", BASE64)
    ),
    "type that cannot be read": mail(entity(b"<p>the <b>nee</b>dle", "text html")),
    "two encodings in one field": mail(entity(CODED, "text/plain", "Content-Transfer-Encoding: 7bit base64")),
    "a line that is no field": mail(b"what is this\r\n" + entity(CODED, "text/plain", BASE64)),
    "a bare CR": mail(entity(CODED, "text/plain", "X-Odd: a\rContent-Type: text/html", BASE64)),
    "too deep": mail(CODED),
    "text behind, in base64 of another part": mail(entity(parts(b"b", CODED, NEEDLE), TWO)),
}  # fmt: skip
for number in range(30):
    nested = entity(parts(b"x%d" % number, nested), f"multipart/mixed; boundary=x{number}")
AMBIGUOUS["too deep"] = mail(nested)


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_every_reading_is_read_and_it_is_a_gap(kind: str) -> None:
    found = read_mail(AMBIGUOUS[kind])
    assert "needle" in text_of(found)
    assert GapReason.AMBIGUOUS in reasons(found)


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_so_it_is_of_a_mail_in_a_mail(kind: str) -> None:
    found = read_mail(mail(multipart(entity(AMBIGUOUS[kind], "message/rfc822"))))
    assert "needle" in text_of(found)
    assert GapReason.AMBIGUOUS in reasons(found)


@pytest.mark.parametrize(
    "body",
    [
        CODED[:8] + b"!*\r\n" + CODED[8:],
        b64encode(b"x") + CODED,
        b64encode(b"abcd") + b"\r\n" + CODED,
        b64encode(b"ab") + b"\r\nthe needle in it",
        CODED + b"\r\n-- \r\nfooter of a list",
        CODED.rstrip(b"=") + b"A",
    ],
)
def test_what_is_badly_encoded_in_base64_is_read_in_every_way(body: bytes) -> None:
    assert "needle" in text_of(read_mail(mail(entity(body, "text/plain", BASE64))))


@pytest.mark.parametrize("body", [b"the =6e=65edle", b"the =6E=ZZ needle", b"the need=\r\nle =", b"the needle ="])
def test_so_is_quoted_printable(body: bytes) -> None:
    assert "needle" in text_of(read_mail(mail(entity(body, "text/plain", QP))))


INNER = entity(CODED, "text/plain", BASE64)


@pytest.mark.parametrize(
    "raw",
    [
        mail(entity(b"--x\r\n" + entity(b"a") + b"\r\n--xy\r\n" + INNER + b"\r\n--x--\r\n", MIXED)),
        mail(entity(b"--x\r\n" + entity(b"a") + b"\r\n--x--y\r\n" + INNER + b"\r\n--x--\r\n", MIXED)),
        mail(entity(parts(b"y", INNER) + parts(b"x", entity(b"a")), MIXED)),
        mail(entity(parts(b"x", entity(b"a")) + parts(b"y", INNER), MIXED)),
        mail(entity(parts(b"x", entity(b"a\r--x\r" + INNER.replace(b"\r\n", b"\r"))), MIXED)),
        mail(entity(parts(b"x", INNER), "text/plain; boundary=x")),
        mail(entity(INNER, "message/external-body; access-type=x-own")),
    ],
)
def test_parts_that_only_some_readers_see_are_read(raw: bytes) -> None:
    assert "needle" in text_of(read_mail(raw))


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("a.eml", b"X-Long: " + b"x" * 200_000 + b"\r\n" + mail(INNER)),
        ("a", b"X-Long: " + b"x" * 5000 + b"\r\n" + mail(INNER)),
        ("a.emlx", b"1234\n" + mail(INNER)),
        ("a.eml", b"\xef\xbb\xbf" + INNER),
        ("a.doc", INNER),
        ("a.eml", b"X: %PDF-1.4\r\n" + INNER),
        ("mbox", b"\nFrom a\n" + mail(INNER).replace(b"\r\n", b"\n")),
    ],
)
def test_files_that_are_mails(name: str, octets: bytes) -> None:
    attached = entity(encodebytes(octets), f"application/octet-stream; name={name}", BASE64)
    assert "needle" in text_of(read_mail(mail(multipart(attached))))


def test_ten_thousand_parts_are_read_within_the_budget() -> None:
    start = time.process_time()
    part = entity(b"x" * 40)
    raw = mail(multipart(*[part] * 9_999, entity(CODED, "text/plain", BASE64)))
    found = read_mail(raw, Budget(files=12_000))
    assert "needle" in text_of(found)
    assert reasons(found) == {GapReason.AMBIGUOUS}
    few = read_mail(raw, Budget(files=1_000))
    assert reasons(few) == {GapReason.AMBIGUOUS, GapReason.TOO_MANY}
    assert time.process_time() - start < 60


def test_mails_in_mails_end() -> None:
    raw = mail(entity(NEEDLE))
    for _ in range(50):
        raw = mail(entity(raw, "message/rfc822"))
    assert reasons(read_mail(raw)) == {GapReason.TOO_DEEP}
    assert "needle" in text_of(read_mail(raw, Budget(depth=60)))


def test_a_header_of_many_odd_words_is_read_in_linear_time() -> None:
    start = time.process_time()
    for value in (
        "=?" * 100_000,
        "=?utf-8?q?" * 20_000,
        "=?a?q?x" * 30_000,
        "(" * 200_000,
        'name="' * 40_000,
        "name*0=" * 20_000,
        "x" * 200_000,
    ):
        read_mail(mail(entity(b"x", f"text/plain; {value}")))
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "body",
    [
        b"--" * 200_000,
        b"--x\r\n" * 20_000,
        b"begin 644 a\n" * 20_000,
        b"=" * 200_000,
        b"A" * 200_000,
        b"\0" * 200_000,
        b"M" * 200_000,
    ],
)
@pytest.mark.parametrize("fields", [(BASE64,), (BASE64, QP)])
def test_no_body_is_slow(body: bytes, fields: tuple[str, ...]) -> None:
    start = time.process_time()
    read_mail(mail(entity(body, "text/plain", *fields)))
    assert time.process_time() - start < 20
