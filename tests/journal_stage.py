"""A stage with one journal address, and the reports that come to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cms_samples import encrypted_entity, signed_entity
from journal_mails import facts, report
from mailseal.mail.address import Address
from mailseal.mail.journal_report import read_report
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.ports import Hop, Journal, Unopened
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity
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
