"""What is read of a mail: headers, every alternative, attachments and their names, mails in mails, what is signed."""

import binascii
import quopri
from base64 import encodebytes

import pytest

import cms_samples
from documents.archive_writer import zipped
from documents.mail_reading import Here, entity, mail, multipart, read_mail
from documents.reading import reasons, text_of
from mailseal.errors import TransientError
from mailseal.extract.budget import Budget
from mailseal.extract.mail import NEAR_OCTETS, NoDocumentsError, inspect
from mailseal.mail.mime import parse
from mailseal.policy.inspection import GapReason, GapStatus

BASE64 = "Content-Transfer-Encoding: base64"
QP = "Content-Transfer-Encoding: quoted-printable"
ENVELOPED = bytes.fromhex("308006092a864886f70d010703a080")
NEEDLE = b"the needle 4111"
CODED = binascii.b2a_base64(NEEDLE, newline=False)
PICTURE = b"<img src='data&colon;text/plain; base64, " + CODED[:9] + b"\n" + CODED[9:] + b"'>"
PACKED = encodebytes(zipped({"a.txt": NEEDLE}))
PAGE = b"<img src='data:text/html;base64," + binascii.b2a_base64(b"<b>needle</b>") + b"'>"


@pytest.mark.parametrize(
    "field",
    [
        "Subject: needle",
        "Subject: =?utf-8?q?need?= =?utf-8?b?bGU=?=",
        "Subject: =?utf-8?q?a?n=65edle?=",
        "Subject: =?ibm037?b?lYWFhJOF?=",
        "Subject: nee\r\n dle",
        "X-Anything: needle",
        "Comments: =?utf-7?q?needle?=",
        'To: "=?iso-8859-1?Q?needle?=" <b@example.org>',
    ],
)
def test_fields_of_the_header_are_read_decoded_and_as_they_stand(field: str) -> None:
    found = text_of(read_mail(mail(entity(b"x"), field)))
    assert "needle" in found or "nee dle" in found
    assert field.partition(": ")[2].replace("\r\n", "") in found


def test_octets_beyond_ascii_in_a_header_are_read_in_every_charset_that_they_may_be_in() -> None:
    raw = mail(entity(b"x"), "Subject: SUBJECT").replace(b"SUBJECT", "größe".encode("latin-1"))
    assert "größe" in text_of(read_mail(raw))


def test_every_alternative_is_read_and_what_stands_around_the_parts() -> None:
    parts = (entity(b"plain one"), entity(b"<p>html <b>o</b>ne<!-- aside -->", "text/html"))
    found = read_mail(mail(multipart(*parts, kind="alternative", preamble=b"first of all", epilogue=b"last of all")))
    for text in ("plain one", "html one", "aside", "first of all", "last of all"):
        assert text in text_of(found)
    assert found.gaps == ()
    assert {"body (text/plain)", "body (text/html)"} <= {one.place for one in found.passages}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (entity("größe".encode("latin-1"), "text/plain; charset=iso-8859-1"), "größe"),
        (entity("größe".encode("latin-1"), "text/plain; charset=utf-8"), "größe"),
        (entity("größe".encode(), "text/plain; charset=unheard-of"), "größe"),
        (entity("größe".encode("utf-16"), "text/plain; charset=utf-16"), "größe"),
        (entity("größe und so".encode("utf-16-le"), "text/plain"), "größe und so"),
        (entity(b"plain", "text/plain; charset=utf-16"), "plain"),
        (entity("情報".encode("iso-2022-jp"), "text/plain"), "情報"),
        (entity("情報".encode("euc-jp"), "text/plain; charset=euc-jp"), "情報"),
        (entity("情報の".encode("shift_jis"), "text/plain"), "情報の"),
        (entity("конфиденциально".encode("koi8-r"), "text/plain; charset=us-ascii"), "конфиденциально"),
        (entity("情報の".encode("gb18030"), "text/plain; charset=utf-8"), "情報の"),
        (entity(b"+AGEAYg-c", "text/plain; charset=utf-7"), "abc"),
        (entity(encodebytes(NEEDLE), "text/plain", BASE64), "needle"),
        (entity(quopri.encodestring("größe".encode()), "text/plain; charset=utf-8", QP), "größe"),
        (entity(b"nee=\r\ndle", "text/plain", QP), "needle"),
        (entity(b"nee= \t\r\ndle", "text/plain", QP), "needle"),
        (entity(b"=ZZ nee=\rdle", "text/plain", QP), "needle"),
        (entity(b"nee \r\ndle", "text/plain; format=flowed; delsp=yes"), "needle"),
        (entity(b"> nee \r\n> dle", "text/plain; format=flowed; delsp=yes"), "needle"),
        (entity(b"+AGEAYg-c", "text/plain; charset=unicode-1-1-utf-7"), "abc"),
        (entity(b"+AGEAYg-c", 'text/plain; charset=" utf-7 "'), "abc"),
        (entity(encodebytes("needle".encode("cp037")), "text/plain; charset=ibm037", BASE64), "needle"),
        (entity(b"nee\x1b(Bdle"), "needle"),
        (entity("<meta charset=gbk>機密".encode("gbk"), "text/html; charset=utf-8"), "機密"),
        (entity(b"\xfe\xff<p>nee<b>dle", "text/html"), "needle"),
        (entity(b"".join(encodebytes(bytes([one])) for one in NEEDLE), "text/plain", BASE64), "needle"),
        (entity(b'{"a": "n\\u0065edle"}', "application/json"), "needle"),
        (entity(b"BEGIN:VCARD\r\nNOTE:nee\r\n dle\r\nEND:VCARD", "text/vcard"), "needle"),
        (entity(b"begin:vcard\r\nNOTE;ENCODING=QUOTED-PRINTABLE:nee=\r\n=64le", "text/vcard"), "needle"),
        (entity(b"BEGIN:VCARD\r\nNOTE;ENCODING=b:" + CODED[:9] + b"\r\n " + CODED[9:], "text/vcard"), "needle"),
        (entity(b"BEGIN:VCALENDAR\r\nDESCRIPTION:4111\\n1111", "text/calendar"), "4111\n1111"),
        (entity(b"a;b;needle\r\n", "text/csv"), "needle"),
        (entity(b"<?xml version='1.0'?><a><b>nee</b><b>dle</b></a>", "application/xml"), "needle"),
        (entity(b"<svg><text>needle</text></svg>", "image/svg+xml"), "needle"),
        (entity(b"<b>nee</b><i>dle</i><p>", "text/plain"), "needle"),
        (entity(b"nee\0\0dle", "text/plain"), "needle"),
        (entity(encodebytes(b"<p>needle"), "application/octet-stream", BASE64), "needle"),
        (entity(PAGE, "text/html"), "needle"),
        (entity(b"<a href='data:text/html,%3Cb>nee%3C/b>dle'>", "text/html"), "needle"),
        (entity(PICTURE, "text/html"), "needle"),
        (entity(b"<a href='https://www.example.org/n%65edle'>", "text/html"), "needle"),
        (entity(b"<?xml version='1.0'?><a><b>" + PACKED + b"</b></a>", "text/xml"), "needle"),
        (entity(b"\0\1\2 a needle", "application/x-own"), "needle"),
        (entity(b"\0\1\2\3" + "a needle".encode("utf-16-le"), "application/x-own"), "needle"),
    ],
)  # fmt: skip
def test_text_of_a_part(part: bytes, text: str) -> None:
    found = text_of(read_mail(mail(multipart(part))))
    assert text in found.replace("\0", "")


@pytest.mark.parametrize(
    "disposition",
    [
        'attachment; filename="needle.txt"',
        "attachment; filename*=utf-8''ne%65dle.txt",
        "attachment; filename*0=nee; filename*1=dle.txt",
        "attachment; filename*0*=utf-8''n%65e; filename*1*=dl%65.txt",
        'attachment; filename="=?utf-8?q?n=65edle?="',
        'attachment; filename="a.txt"; filename="needle.txt"',
        "attachment; filename*1=dle.txt; filename*0=nee",
    ],
)
def test_file_names_however_they_are_written(disposition: str) -> None:
    part = entity(b"x", "application/octet-stream", f"Content-Disposition: {disposition}")
    found = text_of(read_mail(mail(multipart(part))))
    assert "needle" in found or "dle.txtnee" in found


def test_documents_are_read_elsewhere_and_their_places_are_in_the_mail() -> None:
    documents = Here()
    files = zipped({"inner.txt": NEEDLE, "more.eml": mail(entity(b"in a mail"), "Subject: hello")})
    part = entity(encodebytes(files), "application/zip; name=a.zip", BASE64)
    raw = mail(multipart(entity(b"x"), entity(mail(multipart(part)), "message/rfc822")))
    found = read_mail(raw, documents=documents)
    places = {one.place: one.text for one in found.passages}
    assert places["part (message/rfc822) > a.zip > inner.txt"] == NEEDLE.decode()
    assert places["part (message/rfc822) > a.zip > more.eml: subject"] == "hello"
    assert documents.asked == ["a.zip"]


def test_without_anybody_who_reads_documents_the_mail_waits() -> None:
    raw = mail(multipart(entity(b"%PDF-1.4", "application/pdf")))
    with pytest.raises(NoDocumentsError):
        inspect(parse(raw), None, float("inf"))
    assert inspect(parse(mail(entity(b"only text"))), None, float("inf")).gaps == ()


@pytest.mark.parametrize("error", [OSError("socket"), ValueError(), TransientError("later")])
def test_whatever_goes_wrong_with_documents_the_mail_waits(error: Exception) -> None:
    class Broken(Here):
        def read(self, *_: object) -> None:  # type: ignore[override]
            raise error

    inner = mail(multipart(entity(b"%PDF-1.4", "application/pdf")))
    with pytest.raises(TransientError):
        read_mail(mail(multipart(entity(inner, "message/rfc822"))), documents=Broken())


def test_pictures_and_signatures_are_no_gap() -> None:
    parts = (
        entity(b"\xff\xd8\xff\xe0\0\1\2\3", "image/jpeg"),
        entity(b"GIF89a\0\1", "image/gif"),
        entity(b"-----BEGIN PGP SIGNATURE-----\n\nabc\n", "application/pgp-signature"),
        entity(b"", "application/octet-stream"),
    )
    assert read_mail(mail(multipart(*parts))).gaps == ()


@pytest.mark.parametrize(
    "part",
    [
        multipart(entity(b"Version: 1", "application/pgp-encrypted"), entity(b"x"), kind="encrypted"),
        entity(b"hello\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nwcBMA\r\n", "text/plain"),
        entity(b"-----BEGIN PGP MESSAGE-----\r\n\r\nwcBMA\r\n", "application/octet-stream; name=a.asc"),
        entity(encodebytes(ENVELOPED), "application/pkcs7-mime; name=smime.p7m", BASE64),
    ],
)  # fmt: skip
def test_what_is_encrypted_is_a_gap(part: bytes) -> None:
    found = read_mail(mail(multipart(part)))
    assert (GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED) in {(one.status, one.reason) for one in found.gaps}


@pytest.mark.parametrize(
    "raw",
    [
        mail(entity(b"x", "text/plain; charset=x-own")),
        mail(entity(b"x", "text/html; charset=x-own")),
        mail(entity(b"<meta charset=x-own>", "text/html; charset=utf-8")),
        mail(entity(b"x"), "Subject: =?x-own?q?x?="),
        mail(entity(b"=ybegin part=1 line=128 size=3 name=a")),
        mail(entity(b"<!DOCTYPE a [<!ENTITY x 'dle'>]><a>nee&x;</a>", "text/xml")),
    ],
)
def test_what_others_may_know_how_to_read_is_a_gap(raw: bytes) -> None:
    assert reasons(read_mail(raw)) == {GapReason.UNSUPPORTED}


@pytest.mark.parametrize("charset", ["ANSI_X3.4-1968", "latin1", "iso8859-1", "x-unknown", "8bit", "''", "UTF8"])
def test_names_of_charsets_that_are_no_gap(charset: str) -> None:
    assert not read_mail(mail(entity(b"x", f"text/plain; charset={charset}"))).gaps


def test_a_piece_of_a_mail_is_a_gap() -> None:
    found = read_mail(mail(entity(b"x", "message/partial; id=a; number=1; total=2")))
    assert reasons(found) == {GapReason.UNSUPPORTED}


def test_a_mailbox_and_a_saved_mail_are_read_as_mails() -> None:
    one = mail(entity(encodebytes(NEEDLE), "text/plain", BASE64), "Subject: first", "To: b@example.org")
    line = b"From a@example.org Mon Nov 30 00:00:00 2026\n"
    mbox = (line + one.replace(b"\r\n", b"\n") + b"\n") * 2
    for octets, count in ((mbox, 2), (one, 1)):
        found = read_mail(mail(entity(encodebytes(octets), "application/octet-stream; name=x", BASE64)))
        assert sum("needle" in passage.text for passage in found.passages) == count


@pytest.mark.parametrize(
    "body",
    [
        b"begin 644 needle.txt\n" + binascii.b2a_uu(NEEDLE) + b"`\nend\n",
        b"hello\r\nbegin 644 x\r\n" + binascii.b2a_uu(NEEDLE).replace(b"\n", b"\r\n") + b"`\r\nend\r\n",
        b"begin 644 x\n" + binascii.b2a_uu(NEEDLE),
        b"begin-base64 644 x\n" + binascii.b2a_base64(NEEDLE) + b"====\n",
    ],
)
def test_uuencoded_files_in_text_are_read(body: bytes) -> None:
    assert "needle" in text_of(read_mail(mail(entity(body))))


def test_the_budget_is_one_for_the_mail() -> None:
    part = entity(b"x" * 1000)
    found = read_mail(mail(multipart(*[part] * 20)), Budget(characters=10_000))
    assert reasons(found) == {GapReason.TOO_LARGE}
    assert 10_000 >= len(text_of(found).replace("\n", "")) >= 9_000
    archive = entity(encodebytes(zipped({"a": bytes(60_000)})), "application/zip", BASE64)
    assert GapReason.TOO_LARGE in reasons(read_mail(mail(multipart(archive, archive)), Budget(octets=100_000)))
    assert GapReason.TOO_LARGE not in reasons(read_mail(mail(multipart(archive)), Budget(octets=100_000)))


def test_when_the_time_is_over_the_rest_is_a_gap() -> None:
    times = iter(range(100))
    budget = Budget(clock=lambda: float(next(times)))
    budget.until = 10.0

    class Short(Here):
        def budget(self, deadline: float) -> Budget:
            return budget

    found = read_mail(mail(multipart(*[entity(b"x")] * 20)), documents=Short())
    assert reasons(found) == {GapReason.TIMEOUT}
    assert found.passages


@pytest.mark.parametrize("kind", ["opaque-p256", "compressed"])
def test_what_is_only_signed_or_packed_is_read(kind: str) -> None:
    body = encodebytes(cms_samples.samples()[kind])
    found = read_mail(mail(entity(body, "application/pkcs7-mime; name=smime.p7m", BASE64)))
    assert found.gaps == ()
    assert text_of(read_mail(mail(cms_samples.BODY))).splitlines()[-1] in text_of(found)


def test_a_detached_signature_is_no_gap() -> None:
    body = encodebytes(cms_samples.samples()["detached-p256"])
    assert read_mail(mail(entity(body, "application/pkcs7-signature", BASE64))).gaps == ()


def test_broken_cms_is_a_gap() -> None:
    body = encodebytes(cms_samples.samples()["opaque-p256"][:-100])
    found = read_mail(mail(entity(body, "application/pkcs7-mime; name=smime.p7m", BASE64)))
    assert reasons(found) == {GapReason.BROKEN}


def test_what_is_long_is_read_where_documents_are_in_its_charset_too() -> None:
    here = Here()
    flowed = b"caf+AOk- " + b"x" * NEAR_OCTETS + b" nee \r\ndle"
    kind = "text/plain; charset=utf-7; format=flowed; delsp=yes"
    found = read_mail(mail(entity(flowed, kind)), documents=here)
    assert here.asked == [""]
    unfolded = next(one for one in found.passages if "needle" in one.text)
    assert unfolded.place == "body (text/plain): unfolded"
    assert unfolded.text.startswith("café ")


def test_so_is_a_long_mail_that_can_be_read_in_several_ways() -> None:
    here = Here()
    html = b"<p>nee<b>dle</b></p>" + b"x" * NEAR_OCTETS
    found = read_mail(mail(entity(html, "text/html", "Content-Type: text/plain")), documents=here)
    assert here.asked == [""]
    assert "needle" in text_of(found)
    assert GapReason.AMBIGUOUS in reasons(found)
