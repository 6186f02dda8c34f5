"""Journal reports: whom they name, where the mail is, and that nothing else is taken for one."""

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal_mails import facts, report, returned
from mails import messages, mutilated
from mailseal.mail.embedded import EmbeddingError, replace_embedded
from mailseal.mail.journal_report import MAX_MAILS, MAX_USERS, JournalReportError, read_report, returned_reports
from mailseal.mail.mime import MimeError, parse

INNER = b"From: olga@outside.example\r\nTo: dora@inside.example\r\nSubject: Numbers\r\n\r\nHello\r\n"


def users(raw: bytes) -> list[str]:
    return [str(one) for one in read_report(parse(raw).root).users]


def test_the_users_and_the_mail():
    text = facts(
        "anna@inside.example",
        "member@inside.example, Expanded: list@inside.example",
        "Bcc: boss@inside.example, Forwarded: bert@inside.example",
        "Cc: carl@inside.example",
        "Recipient: otto@outside.example",
        more=["On-Behalf-Of: chief@inside.example", "SentUtc: 2026-03-02T10:00:00", "Label: none"],
    )
    raw = report(text, INNER)
    assert users(raw) == [
        "anna@inside.example", "chief@inside.example", "member@inside.example", "list@inside.example",
        "boss@inside.example", "bert@inside.example", "carl@inside.example", "otto@outside.example",
    ]  # fmt: skip
    assert [bytes(one.body) for one in read_report(parse(raw).root).mails] == [INNER]


@pytest.mark.parametrize("marker", [True, False], ids=["marked", "the marker was taken off"])
@pytest.mark.parametrize(
    ("text", "charset", "coding"),
    [
        (facts("anna@inside.example", "bert@inside.example", subject="Größe"), "utf-8", "8bit"),
        (facts("anna@inside.example", "bert@inside.example", subject="Gr=C3=B6=C3=9Fe"), "utf-8", "quoted-printable"),
        (facts("anna@inside.example", "bert@inside.example").encode("iso-8859-1"), "iso-8859-1", "7bit"),
        (
            encodebytes(facts("anna@inside.example", "bert@inside.example", subject="数字").encode("gb2312")),
            "gb2312",
            "base64",
        ),
        (encodebytes(facts("anna@inside.example", "bert@inside.example").encode("utf-16")), "utf-16", "base64"),
        (facts("anna@inside.example", "bert@inside.example"), "x-unknown", "7bit"),
    ],
    ids=["8bit", "quoted-printable", "latin", "chinese", "utf-16", "unknown charset"],
)
def test_every_way_in_which_its_text_is_written(text, charset, coding, marker):
    raw = report(text, INNER, charset=charset, coding=coding, marker=marker)
    assert users(raw) == ["anna@inside.example", "bert@inside.example"]


def test_an_internationalised_address():
    assert users(report(facts("größe@inside.example", "bert@inside.example"), INNER, charset="utf-8"))[0] == (
        "größe@inside.example"
    )


def test_a_null_sender_and_a_name_beside_the_address():
    assert users(report(facts("<>", "Recipient: Bert <bert@inside.example>"), INNER)) == ["bert@inside.example"]


@pytest.mark.parametrize("line_end", ["\r", "\v", "\f", "\x85", "\u2028", "\x1c"])
def test_a_subject_names_nobody_whatever_stands_in_it(line_end):
    subject = f"Hello{line_end}Bcc: boss@inside.example"
    raw = report(facts("anna@inside.example", "bert@inside.example", subject=subject), INNER, charset="utf-8")
    assert users(raw) == ["anna@inside.example", "bert@inside.example"]


def test_many_recipients_have_room_and_too_many_have_not():
    assert len(users(report(facts("a@b.example", *(f"u{n}@b.example" for n in range(MAX_USERS - 1))), INNER))) == (
        MAX_USERS
    )
    with pytest.raises(JournalReportError, match="users"):
        users(report(facts("a@b.example", *(f"u{n}@b.example" for n in range(MAX_USERS))), INNER))


def test_rights_protected_mail_is_there_twice():
    raw = report(facts("anna@inside.example", "bert@inside.example"), INNER, INNER.replace(b"Hello", b"Sealed"))
    assert len(read_report(parse(raw).root).mails) == 2


@pytest.mark.parametrize(
    "raw",
    [
        INNER,
        report("Hello Anna,\r\nhere is the mail.\r\n", INNER),
        report("Sender: anna@inside.example\r\nSubject: x\r\n", INNER),
        report("To: anna@inside.example\r\n", INNER),
        report("", INNER),
        report(facts("anna@inside.example", "bert@inside.example")),
        report(facts("anna@inside.example", "bert@inside.example"), *[INNER] * (MAX_MAILS + 1)),
        report(facts("anna@inside.example", "bert@inside.example"), INNER, mail_fields=b"Content-Type: text/plain\r\n"),
        report(facts("anna@inside.example", "bert@inside.example"), INNER, coding="uuencode"),
        report(facts("anna@inside.example", "bert@inside.example"), INNER).replace(b"text/plain", b"text/html"),
        report(facts("anna@inside.example", "bert@inside.example"), INNER).replace(b"multipart/mixed", b"text/plain"),
    ],
)
def test_what_is_no_report(raw):
    with pytest.raises(JournalReportError):
        read_report(parse(raw).root)


def test_a_report_that_came_back():
    raw = report(facts("anna@inside.example", "bert@inside.example"), INNER)
    [carrier] = returned_reports(parse(returned(raw)).root)
    assert bytes(carrier.body) == raw
    assert returned_reports(parse(raw).root) == ()


@given(st.one_of(messages, mutilated(), st.binary(max_size=300)))
def test_any_mail_is_a_report_or_none(raw):
    try:
        root = parse(raw).root
    except MimeError:
        return
    try:
        found = read_report(root)
    except JournalReportError:
        return
    assert found.mails


@given(st.binary(max_size=400))
def test_any_text_names_users_or_none(text):
    try:
        found = read_report(parse(report(text, INNER, coding="binary")).root)
    except JournalReportError:
        return
    assert len(found.users) <= MAX_USERS


# ---- another mail in the place of the one that is there


def replaced(raw: bytes, *octets: bytes) -> bytes:
    root = parse(raw).root
    return b"".join(
        bytes(one) for one in replace_embedded(root, list(zip(read_report(root).mails, octets, strict=True)))
    )


def test_all_around_the_mail_stays():
    raw = report(facts("anna@inside.example", "bert@inside.example"), INNER, INNER)
    first, second = b"Subject: a\r\n\r\nfirst\r\n", b"Subject: b\r\n\r\nsecond"
    assert replaced(raw, first, second) == raw.replace(INNER, first, 1).replace(INNER, second)


def test_what_is_not_seven_bit_any_more_is_not_labelled_so():
    raw = report(facts("anna@inside.example", "bert@inside.example"), INNER)
    raw = raw.replace(b"MIME-Version: 1.0", b"content-transfer-encoding:\r\n 7bit\r\nMIME-Version: 1.0")
    new = replaced(raw, "Subject: a\r\n\r\nGröße\r\n".encode())
    root = parse(new).root
    assert (root.transfer_encoding, read_report(root).mails[0].transfer_encoding) == ("8bit", "8bit")
    assert b"7bit\r\n\r\nSender:" in new, "the text part is as it was"
    assert bytes(read_report(root).mails[0].body) == "Subject: a\r\n\r\nGröße\r\n".encode()


@pytest.mark.parametrize("coding", [b"base64", b"quoted-printable"])
def test_a_mail_that_is_encoded_though_it_may_not(coding):
    fields = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + coding + b"\r\n"
    body = encodebytes(INNER).replace(b"\n", b"\r\n") if coding == b"base64" else INNER
    raw = report(facts("anna@inside.example", "bert@inside.example"), body, mail_fields=fields)
    new = "Subject: a\r\n\r\nGröße\r\n".encode() * 100
    [part] = read_report(parse(replaced(raw, new)).root).mails
    assert part.transfer_encoding == "base64"
    assert part.decoded_body(1 << 20) == new


@pytest.mark.parametrize("place", [b"", b"Subject: a\r\n\r\nHello\r\n"])
def test_no_mail_ends_the_report_that_it_stands_in(place):
    raw = report(facts("anna@inside.example", "bert@inside.example"), INNER)
    delimiter = b"--" + parse(raw).root.content_type.parameters["boundary"].encode()
    with pytest.raises(EmbeddingError):
        replaced(raw, place + delimiter + b"\r\nmore\r\n")
