"""A made-up week of mail in the log: for the pictures of the console, and to look at its pages at work."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mailseal.mail.address import Address
from mailseal.mail.reply import Reply
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.store.journal_import import log_now
from mailseal.store.records import LogRecord
from mailseal.store.row import first_uuid7
from mailseal.store.transaction import run

INSIDE = ("northwind.example", "clinic.example")
PEOPLE = ("anna.keller", "b.okafor", "chen.wei", "daniela.rossi", "e.lindqvist", "finance", "hr", "j.moreau", "office")
PARTNERS = (
    "claims@allianz-partner.example", "dr.haas@hospital-west.example", "legal@steiner-law.example",
    "m.ferreira@contoso.example", "orders@supplier-one.example", "payroll@ledgerworks.example",
    "s.iyer@fabrikam.example", "team@brightdata.example", "t.novak@adatum.example",
)  # fmt: skip
SUBJECTS = (
    "Contract renewal 2027", "Lab results, patient 20417", "Invoice 88213", "Offer for phase two", "Minutes of Tuesday",
    "Payroll November", "Re: audit findings", "Re: delivery dates", "Draft of the agreement", "Travel to Lisbon",
)  # fmt: skip
FINGERPRINT = "9f3c1a77b2e4d0586c11fe20a9b7d35e"
OPENED = (because(ReasonCode.OPENED, kind="smime-encrypted"), because(ReasonCode.OPENED, kind="smime-signed"))


def fill(*, mails: int = 2400, days: int = 7, now: datetime | None = None) -> None:
    """Log so many mails, spread over the last days as office hours are."""
    chance = random.Random(7)
    end = now or datetime.now(UTC)
    records = [one for number in range(mails) for one in _mail(chance, number, end - _ago(chance, days))]
    for start in range(0, len(records), 500):
        run(lambda part=records[start : start + 500]: log_now(part))


def _ago(chance: random.Random, days: int) -> timedelta:
    while True:
        ago = timedelta(seconds=chance.uniform(30, days * 86400))
        hour = (datetime.now(UTC) - ago).hour
        if chance.random() < (1.0 if 7 <= hour <= 17 else 0.12):
            return ago


def _mail(chance: random.Random, number: int, at: datetime) -> Iterator[LogRecord]:
    inside = Address.parse(f"{chance.choice(PEOPLE)}@{chance.choice(INSIDE)}")
    outside = Address.parse(chance.choice(PARTNERS))
    inward = chance.random() < 0.42
    mail = f"{chance.getrandbits(64):016x}"
    queue = f"4{chance.getrandbits(36):09X}"
    outcomes = _in(chance, inside) if inward else _out(chance, outside)
    for late, outcome in outcomes:
        yield LogRecord(
            mail,
            at + late,
            outside if inward else inside,
            "in" if inward else "out",
            outcome,
            message_id=f"<{number}.{mail[:6]}@{(outside if inward else inside).domain}>",
            subject=chance.choice(SUBJECTS),
            queue_id=queue,
            id=UUID(int=first_uuid7(at + late).int | chance.getrandbits(60)),
        )


def _ok(chance: random.Random) -> Reply:
    return Reply(250, "2.0.0", f"Ok: queued as 5{chance.getrandbits(36):09X}")


def _in(chance: random.Random, to: Address) -> list[tuple[timedelta, Outcome]]:
    dice = chance.random()
    if dice < 0.62:
        what = Treatment.NONE, None, (because(ReasonCode.NOTHING_TO_OPEN),), ()
    elif dice < 0.9:
        details = (
            ("layer-1", "smime-encrypted aes256-gcm"), ("layer-2", "smime-signed sha256 rsa-pss"),
            ("signer", "dr.haas@hospital-west.example good"),
        )  # fmt: skip
        what = Treatment.OPENED, MethodName.SMIME, OPENED, details
    elif dice < 0.97:
        details = (("layer-1", "pgp-encrypted aes256"), ("signer", "s.iyer@fabrikam.example good"))
        what = Treatment.OPENED, MethodName.PGP, (because(ReasonCode.OPENED, kind="pgp-encrypted"),), details
    else:
        what = Treatment.NONE, None, (because(ReasonCode.KEY_NOT_FOUND),), ()
    treatment, method, reasons, details = what
    return [(timedelta(), Outcome(to, Fate.RELAYED, _ok(chance), treatment, method, reasons, details))]


def _out(chance: random.Random, to: Address) -> list[tuple[timedelta, Outcome]]:
    dice = chance.random()
    signed = because(ReasonCode.SIGNED_BY, method="smime", fingerprint=FINGERPRINT[:16])
    if dice < 0.5:
        reasons: tuple[Reason, ...] = (
            because(ReasonCode.MODE_ALLOW), because(ReasonCode.PROTECTED_BY, method="smime"), signed
        )  # fmt: skip
        return [(timedelta(), _encrypted(chance, to, MethodName.SMIME, reasons))]
    if dice < 0.64:
        reasons = (
            because(ReasonCode.MODE_MANDATORY), because(ReasonCode.NO_CERTIFICATE),
            because(ReasonCode.PROTECTED_BY, method="pgp"), signed,
        )  # fmt: skip
        waits = because(ReasonCode.LOOKUP_RUNNING)
        later = Reply(451, "4.7.5", "keys are being looked for")
        first = Outcome(to, Fate.DEFERRED, later, Treatment.NONE, None, (reasons[0], waits))
        pause = timedelta(minutes=5)
        encrypted = _encrypted(chance, to, MethodName.PGP, reasons)
        return [(timedelta(), encrypted)] if chance.random() < 0.8 else [(timedelta(), first), (pause, encrypted)]
    if dice < 0.86:
        reasons = (because(ReasonCode.MODE_ALLOW), because(ReasonCode.NO_USABLE_METHOD), signed)
        details = (("signer", FINGERPRINT[:16]), ("signature", "sha256 rsa-pss"))
        return [
            (timedelta(), Outcome(to, Fate.RELAYED, _ok(chance), Treatment.SIGNED, MethodName.SMIME, reasons, details))
        ]
    if dice < 0.94:
        reasons = (because(ReasonCode.MODE_NEVER), because(ReasonCode.SENT_CLEAR), because(ReasonCode.SIGNING_OFF))
        return [(timedelta(), Outcome(to, Fate.RELAYED, _ok(chance), Treatment.PASSED, None, reasons))]
    if dice < 0.965:
        found = because(ReasonCode.FINDING, name="credit-card", count=3, action="quarantine")
        reasons = (found, because(ReasonCode.HELD, quarantine="waiting for a second look"))
        return [(timedelta(), Outcome(to, Fate.HELD, Reply(250, "2.0.0", "held"), Treatment.NONE, None, reasons))]
    if dice < 0.985:
        reasons = (because(ReasonCode.MODE_MANDATORY), because(ReasonCode.MUST_ENCRYPT_FAILED))
        refused = Reply(550, "5.7.1", "must be encrypted and cannot be")
        return [(timedelta(), Outcome(to, Fate.REFUSED, refused, Treatment.NONE, None, reasons))]
    reasons = (because(ReasonCode.MODE_ALLOW), because(ReasonCode.NEXT_HOP_UNAVAILABLE))
    again = Outcome(
        to, Fate.DEFERRED, Reply(451, "4.4.1", "no answer from the next hop"), Treatment.NONE, None, reasons
    )
    return [(timedelta(minutes=n * 7), again) for n in range(chance.randint(1, 4))]


def _encrypted(chance: random.Random, to: Address, method: MethodName, reasons: tuple[Reason, ...]) -> Outcome:
    details = (
        ("algorithm", "aes256-gcm rsa-oaep" if method is MethodName.SMIME else "aes256 x25519"),
        ("keys", f"{chance.getrandbits(64):016x}"), ("signer", FINGERPRINT[:16]), ("signature", "sha256 rsa-pss"),
    )  # fmt: skip
    return Outcome(to, Fate.RELAYED, _ok(chance), Treatment.SIGNED_ENCRYPTED, method, reasons, details)
