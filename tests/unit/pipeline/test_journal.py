"""Journal reports on their way to the archive: opened by whose keys, what stays, who is believed, what is kept."""

import ipaddress
from dataclasses import dataclass, field, replace

import pytest

from cms_samples import encrypted_entity, signed_entity
from journal_mails import facts, report, returned
from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Origin, Protocol
from mailseal.mail.journal_report import read_report
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.policy.model import Fate, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Settings
from mailseal.ports import Hop, Journal, OnUnopened, Unopened
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
from mailseal.wiring.memory import NoKeeping
from pgp_mails import encrypted_mail, signed_mail
from pki import NOW
from stage import PARTNER, PGP_PARTNER, PGP_READER, READER, ROOT, Interrupter, Stage, envelope

JOURNAL, ARCHIVE, DORA = "journal@inside.example", "archive@inside.example", "dora@inside.example"
HEAD = (
    b"Received: from x by y; Mon, 2 Mar 2026 10:00:00 +0000\r\nFrom: Bob <bob@outside.example>\r\n"
    b"To: dora@inside.example\r\nBcc: emil@inside.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe canary sings.\r\n"
CANARY = b"The canary sings."
EMIL = ROOT.issue("emil@inside.example", fresh_key=True)


@dataclass
class Shelf:
    """ports.Journals with one journal address."""

    journal: Journal
    interrupt: Interrupter = field(default_factory=Interrupter)
    kept: list[tuple[Unopened, bytes]] = field(default_factory=list)
    noted: list[Unopened] = field(default_factory=list)

    def of(self, address):
        self.interrupt("of")
        return self.journal if address == self.journal.address else None

    def has(self, attempt, journal):
        self.interrupt("has")
        return any(one.attempt == attempt and one.journal == journal for one, _ in self.kept)

    def keep(self, unopened, message):
        self.interrupt("keep")
        self.kept.append((unopened, bytes(message.raw)))

    def note(self, unopened):
        self.interrupt("note")
        self.noted.append(unopened)


def shelf(**more) -> Shelf:
    return Shelf(Journal(Address.parse(JOURNAL), Address.parse(ARCHIVE), **more))


def stage(journals: Shelf, **more) -> Stage:
    made = Stage(gateway_settings={"journals": journals}, **more)
    return made.know(PARTNER).own(READER, EMIL).know_pgp(PGP_PARTNER).own_pgp(PGP_READER)


def smime(*to, entity: bytes = TEXT, head: bytes = HEAD) -> bytes:
    return head + encrypted_entity([entity], [one.certificate for one in to], EncryptionForm())


def signed(entity: bytes = TEXT) -> bytes:
    signer = SigningIdentity(PARTNER.certificate, PARTNER.key, tuple(PARTNER.chain))
    return signed_entity(entity, signer, SignatureForm(), at=NOW)


def about(*mails: bytes, users=(DORA,), sender="bob@outside.example", **more) -> bytes:
    return report(facts(sender, *users), *mails, **more)


def take(raw: bytes, journals: Shelf, on: Stage | None = None, **more):
    """Send to the journal address; the outcome and what went out."""
    on = on or stage(journals)
    given = envelope(JOURNAL, sender=None, **more)
    [outcome] = process(given, Message(raw), on.gateway())
    return outcome, on.sent


def sent_on(transfers) -> bytes:
    [transfer] = transfers
    assert [str(one.address) for one in transfer.recipients] == [ARCHIVE]
    assert (transfer.hop, transfer.sender, transfer.ret) == (Hop.INSIDE, None, "HDRS")
    trace, *rest = transfer.chunks
    assert trace.startswith(b"Received:")
    return b"".join(rest)


def mail_in(octets: bytes, number: int = 0) -> bytes:
    return bytes(read_report(parse(octets).root).mails[number].body)


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


# ---- kept


def test_what_is_not_opened_is_kept_where_that_is_set():
    raw = about(smime(EMIL))
    outcome, transfers = take(raw, journals := shelf(on_unopened=OnUnopened.KEEP))
    assert not transfers
    assert (outcome.fate, outcome.reply.code) == (Fate.KEPT, 250)
    [(told, octets)] = journals.kept
    assert octets == raw
    assert told.message_id == "<5e2f1c0b@journal.report.generator>"
    assert told.reasons == outcome.reasons[:-1]
    assert outcome.reasons[-1].code is ReasonCode.JOURNAL_KEPT


def test_what_is_kept_does_not_leave_when_it_comes_again_and_could_be_opened():
    raw, journals = about(smime(EMIL)), shelf(on_unopened=OnUnopened.KEEP)
    take(raw, journals)
    on = stage(journals)
    on.keys_of[DORA] += on.keys_of["emil@inside.example"]
    outcome, transfers = take(raw, journals, on)
    assert not transfers
    assert outcome.fate is Fate.KEPT
    assert [reason.code for reason in outcome.reasons] == [ReasonCode.JOURNAL_REPORT, ReasonCode.JOURNAL_KEPT_BEFORE]
    assert len(journals.kept) == 1


@pytest.mark.parametrize("on_unopened", OnUnopened)
def test_what_cannot_be_committed_is_deferred(on_unopened):
    journals = shelf(on_unopened=on_unopened)
    name = "keep" if on_unopened is OnUnopened.KEEP else "note"

    def fail(called):
        if called == name:
            raise TransientError("the database is away")

    journals.interrupt = fail
    outcome, transfers = take(about(smime(EMIL)), journals)
    assert not transfers
    assert outcome.fate is Fate.DEFERRED


# ---- who is believed


def test_a_stranger_has_nothing_opened():
    outcome, transfers = take(about(smime(READER)), journals := shelf(), origin=Origin.OUTSIDE)
    assert (outcome.fate, outcome.reply.code) == (Fate.REFUSED, 550)
    assert [reason.code for reason in outcome.reasons] == [ReasonCode.JOURNAL_DENIED]
    assert not transfers
    assert not journals.noted


@pytest.mark.parametrize(
    ("client", "fate"),
    [
        ("40.92.0.9", Fate.RELAYED),
        ("40.93.0.1", Fate.REFUSED),
        ("unknown", Fate.REFUSED),
        ("2001:db8::1", Fate.RELAYED),
    ],
)
def test_a_client_of_a_network_that_the_journal_names_is_believed(client, fate):
    networks = tuple(map(ipaddress.ip_network, ("40.92.0.0/16", "2001:db8::/32")))
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse(ARCHIVE), networks=networks))
    given = replace(envelope(JOURNAL, sender=None, origin=Origin.OUTSIDE), client=Client(client))
    [outcome] = process(given, Message(about(smime(READER))), stage(journals).gateway())
    assert outcome.fate is fate


def test_by_smtp_a_stranger_is_refused_too():
    outcome, transfers = take(about(smime(READER)), shelf(), origin=Origin.OUTSIDE, protocol=Protocol.ESMTP)
    assert outcome.fate is Fate.REFUSED
    assert not transfers


# ---- the archive


def test_an_archive_that_is_not_internal_any_more_waits():
    on = stage(journals := Shelf(Journal(Address.parse(JOURNAL), Address.parse("archive@gone.example"))))
    outcome, transfers = take(about(smime(READER)), journals, on)
    assert outcome.fate is Fate.DEFERRED
    assert not transfers


def test_an_archive_outside_where_that_is_said():
    journals = Shelf(Journal(Address.parse(JOURNAL), Address.parse("us@archive.example"), outside=True))
    _, [transfer] = take(about(smime(READER)), journals)
    assert transfer.hop is Hop.OUTSIDE
    assert [str(one.address) for one in transfer.recipients] == ["us@archive.example"]


def test_other_recipients_of_the_same_mail_get_it_as_ever():
    on = stage(shelf())
    raw = about(smime(READER))
    outcomes = process(envelope(JOURNAL, DORA, "bob@outside.example", JOURNAL), Message(raw), on.gateway())
    assert [one.fate for one in outcomes] == [Fate.RELAYED] * 4
    got = {str(one.recipients[0].address): b"".join(one.chunks) for one in on.sent}
    assert got.keys() == {ARCHIVE, DORA, "bob@outside.example"}
    assert CANARY in got[ARCHIVE]
    assert CANARY not in got[DORA]
    assert CANARY not in got["bob@outside.example"]


def test_nothing_is_kept_for_an_explanation():
    on = stage(journals := shelf(on_unopened=OnUnopened.KEEP))
    gateway = replace(on.gateway(), journals=NoKeeping(journals))
    [found] = explain(envelope(JOURNAL), Message(about(smime(EMIL))), gateway)
    assert found.fate is Fate.KEPT
    assert not journals.kept
    [found] = explain(envelope(JOURNAL), Message(about(smime(READER))), gateway)
    assert found.treatment is Treatment.OPENED


def test_whatever_port_fails_the_report_is_deferred_and_nothing_is_decrypted_elsewhere():
    raw = about(smime(READER))
    calls = 0
    while True:
        calls += 1
        interrupt = Interrupter(calls)
        journals = shelf(on_unopened=OnUnopened.KEEP)
        journals.interrupt = interrupt
        on = stage(journals, interrupt=interrupt)
        [outcome] = process(envelope(JOURNAL, sender=None), Message(raw), on.gateway())
        if interrupt.calls < calls:
            break
        for transfer in on.sent:
            assert [str(one.address) for one in transfer.recipients] == [ARCHIVE]
        assert outcome.fate in (Fate.DEFERRED, Fate.RELAYED)
        assert not journals.kept
    assert calls > 8
