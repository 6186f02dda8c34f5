"""Journal reports on their way to the archive: opened by whose keys, and what stays as it was."""

import pytest

from cms_samples import encrypted_entity
from journal_mails import returned
from journal_stage import (
    CANARY,
    DORA,
    EMIL,
    HEAD,
    JOURNAL,
    TEXT,
    Shelf,
    about,
    mail_in,
    sent_on,
    shelf,
    signed,
    smime,
    stage,
    take,
)
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.ports import Journal, OnUnopened
from mailseal.smime.form import EncryptionForm
from pgp_mails import encrypted_mail, signed_mail
from stage import PGP_PARTNER, PGP_READER, READER


@pytest.mark.parametrize("inner", [smime(READER), HEAD + encrypted_mail(TEXT, PGP_READER)], ids=["smime", "pgp"])
def test_the_mail_is_opened_and_every_other_octet_stays(inner):
    raw = about(inner)
    outcome, transfers = take(raw, shelf())
    octets = sent_on(transfers)

    assert (outcome.fate, outcome.treatment) == (Fate.RELAYED, Treatment.OPENED)
    assert str(outcome.recipient) == JOURNAL
    assert [reason.code for reason in outcome.reasons] == [ReasonCode.JOURNAL_REPORT, ReasonCode.OPENED]
    opened = mail_in(octets)
    assert octets == raw.replace(inner, opened), "only the mail is another"
    assert CANARY in opened
    assert parse(opened).root.header("x-mailseal-decrypted") == "yes"
    for line in HEAD.split(b"\r\n"):
        assert line in opened, "the archive has every field of the mail, Bcc too"


def test_what_came_in_clear_stays_as_it_is():
    plain = HEAD + TEXT
    raw = about(plain)
    outcome, transfers = take(raw, shelf())
    assert sent_on(transfers) == raw
    assert outcome.treatment is Treatment.PASSED


@pytest.mark.parametrize("inner", [HEAD + signed(), HEAD + signed_mail(by=PGP_PARTNER)], ids=["smime", "pgp"])
def test_a_signed_mail_stays_as_it_is(inner):
    raw = about(inner)
    assert sent_on(take(raw, shelf())[1]) == raw


def test_a_mail_that_was_opened_for_its_reader_keeps_what_was_written_then():
    plain = b"X-Mailseal-Decrypted: yes\r\n" + HEAD + TEXT
    raw = about(plain)
    assert sent_on(take(raw, shelf())[1]) == raw


def test_an_encrypted_mail_brings_no_result_of_its_own():
    forged = b"X-Mailseal-Signed-By-Sender: yes\r\n"
    opened = mail_in(sent_on(take(about(smime(READER, head=forged + HEAD)), shelf())[1]))
    assert parse(opened).root.headers("x-mailseal-signed-by-sender") == ["no"]


def test_signed_and_encrypted_keeps_its_signature_and_gets_no_tag():
    on = stage(journals := shelf(), settings={"": Settings(subject_tags=True, remove_signature=True)})
    opened = mail_in(sent_on(take(about(smime(READER, entity=signed())), journals, on)[1]))
    root = parse(opened).root
    assert root.header("subject") == "Hello"
    assert root.content_type.type == "multipart/signed"
    assert root.header("x-mailseal-signed-by-sender") == "yes"


def test_the_subject_that_was_encrypted_is_put_back():
    inner = b'Content-Type: text/plain; hp="cipher"\r\nSubject: Secret numbers\r\n\r\nThe canary sings.\r\n'
    opened = mail_in(
        sent_on(take(about(smime(READER, entity=inner, head=HEAD.replace(b"Hello", b"[...]"))), shelf())[1])
    )
    assert parse(opened).root.header("subject") == "Secret numbers"


@pytest.mark.parametrize(
    "users",
    [
        (DORA,), ("Bcc: dora@inside.example",), ("Recipient: DORA@inside.example",), ("otto@outside.example", DORA),
        ("list-member@inside.example, Expanded: dora@inside.example",),
        ("Cc: otto@outside.example, Forwarded: dora@inside.example",),
    ],
)  # fmt: skip
def test_by_the_key_of_any_user_whom_the_report_names(users):
    outcome, _ = take(about(smime(READER), users=users), shelf())
    assert outcome.treatment is Treatment.OPENED


def test_by_the_key_of_the_sender():
    raw = about(smime(READER), users=("otto@outside.example",), sender=DORA)
    assert take(raw, shelf())[0].treatment is Treatment.OPENED


def test_by_no_key_of_anybody_else():
    """Emil's captured mail in a report that names Dora, who has keys here too."""
    raw = about(smime(EMIL))
    outcome, transfers = take(raw, journals := shelf())
    assert sent_on(transfers) == raw
    codes = [reason.code for reason in outcome.reasons]
    assert codes == [ReasonCode.JOURNAL_REPORT, ReasonCode.KEY_NOT_FOUND, ReasonCode.JOURNAL_NOT_OPENED]
    assert [one.reasons for one in journals.noted] == [outcome.reasons]


def test_a_user_who_is_not_ours_has_no_keys_here():
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse("us@other.example")))
    on = stage(journals, internal={"other.example"})
    outcome, [transfer] = take(about(smime(READER)), journals, on)
    assert outcome.treatment is Treatment.PASSED
    assert CANARY not in b"".join(transfer.chunks)


def test_keys_are_not_asked_for_where_nothing_is_encrypted():
    on = stage(journals := shelf())
    take(about(HEAD + TEXT), journals, on)
    take(about(HEAD + signed()), journals, on)
    assert "with_key_of" not in on.interrupt.names


def test_both_mails_of_a_report_about_rights_protected_mail():
    raw = about(smime(READER), HEAD + TEXT)
    octets = sent_on(take(raw, shelf())[1])
    assert CANARY in mail_in(octets)
    assert mail_in(octets, 1) == HEAD + TEXT


def test_one_of_two_that_stays_shut_keeps_the_other_shut():
    raw = about(smime(READER), smime(EMIL))
    outcome, transfers = take(raw, shelf())
    assert sent_on(transfers) == raw
    assert outcome.treatment is Treatment.PASSED


def test_a_report_that_came_back_is_opened_where_it_is():
    inner = smime(READER)
    raw = returned(about(inner))
    octets = sent_on(take(raw, shelf())[1])
    [carried] = [one for one in parse(octets).root.children if one.content_type.type == "message/rfc822"]
    assert octets == raw.replace(inner, mail_in(bytes(carried.body)))
    assert CANARY in octets


def test_eight_bit_content_is_said_to_be_so():
    inner = smime(READER, entity="Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode())
    [transfer] = take(about(inner), shelf())[1]
    assert transfer.eight_bit
    assert parse(b"".join(transfer.chunks)).root.transfer_encoding == "8bit"


def test_a_part_beside_others_is_not_opened():
    beside = (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<img src="\r\n'
        b"--x\r\n" + encrypted_entity([TEXT], [READER.certificate], EncryptionForm()) + b"\r\n--x--\r\n"
    )
    raw = about(beside)
    outcome, transfers = take(raw, shelf())
    assert sent_on(transfers) == raw
    assert ReasonCode.NOT_WHOLE_MESSAGE in [reason.code for reason in outcome.reasons]


def multipart(*parts, boundary=b"x"):
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, one) for one in parts)
    return b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n%b--%b--\r\n" % (boundary, body, boundary)


SEALED = encrypted_entity([TEXT], [READER.certificate], EncryptionForm())


@pytest.mark.parametrize(
    "inner",
    [
        multipart(*[signed()] * 21, SEALED),
        multipart(TEXT, signed(SEALED)),
        multipart(TEXT, signed(multipart(TEXT, SEALED, boundary=b"y"))),
    ],
    ids=["behind many signatures", "in a signed part", "beside others in a signed part"],
)
def test_no_part_that_stays_shut_is_overlooked(inner):
    raw = about(HEAD + inner)
    _, transfers = take(raw, journals := shelf())
    assert sent_on(transfers) == raw
    [noted] = journals.noted
    assert ReasonCode.JOURNAL_NOT_OPENED in [reason.code for reason in noted.reasons]


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + TEXT,
        smime(READER),
        about(smime(READER)).replace(b"Sender: ", b"Sent by: "),
        about(b"Sub\0ject: x\r\n\r\n" + TEXT),
        about(smime(READER)).replace(b"\r\nMIME-Version", b"\r\nContent-Type: text/html\r\nMIME-Version", 1),
        about(smime(READER).replace(b"base64", b"base64\r\nContent-Transfer-Encoding: 7bit")),
    ],
    ids=["a mail", "an encrypted mail", "other text", "NUL in a header", "two types", "two encodings inside"],
)  # fmt: skip
def test_what_cannot_be_read_goes_on_as_it_came(raw):
    outcome, transfers = take(raw, journals := shelf())
    assert sent_on(transfers) == raw
    assert ReasonCode.JOURNAL_UNREADABLE in [reason.code for reason in outcome.reasons]
    [noted] = journals.noted
    assert (noted.journal.key, noted.sender) == (JOURNAL, None)


def test_broken_mail_in_clear_is_no_failure():
    broken = HEAD + b"Content-Type: multipart/mixed\r\n\r\nHello\r\n"
    raw = about(broken)
    _, transfers = take(raw, journals := shelf(on_unopened=OnUnopened.KEEP))
    assert sent_on(transfers) == raw
    assert not journals.kept
