"""With every port there is in place, and each call of each failing in turn: who may get what does not change."""

from dataclasses import dataclass, field, replace

import pytest

from cms_samples import encrypted_entity
from dkim_keys import ed25519_key
from dlp_stage import with_dlp, word
from journal_stage import ARCHIVE, EMIL, JOURNAL, about, shelf, smime
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import DkimKey, sign
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.policy.model import Action, Fate
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.ports import OnUnopened, ReceivedTlsReport
from mailseal.smime.form import EncryptionForm
from pki import NOW
from stage import PARTNER, READER, SENDER, Interrupter, Stage, envelope, mail
from tls_reports import EXAMPLE
from tls_reports import mail as tls_report

CANARY = b"CANARY-77a1"
BOB, DORA, TLS = "bob@outside.example", "dora@inside.example", "tls@inside.example"
TEXT = b"Content-Type: text/plain\r\n\r\n" + CANARY + b"\r\n"
WARNED, HELD, LATE, BLOCKED = (f"{name}@elsewhere.example" for name in ("warned", "held", "late", "blocked"))
LOOKED_FOR = {
    WARNED: [word("word", Action.WARN)],
    HELD: [word("word", Action.QUARANTINE)],
    LATE: [word("CANARY-77a1", Action.QUARANTINE, delayed=True)],
    BLOCKED: [word("CANARY-77a1", Action.BLOCK)],
}
THEIRS = DkimKey("outside.example", "s", ed25519_key())
ERRORS = [lambda: RuntimeError("boom"), lambda: TransientError("later"), lambda: PermanentError("never")]


@dataclass
class Inbox:
    """ports.TlsReportInbox."""

    interrupt: Interrupter
    deliver: bool = False
    address: Address = field(default_factory=lambda: Address.parse(TLS))
    kept: list[ReceivedTlsReport] = field(default_factory=list)

    def keep(self, received):
        self.interrupt("tls_reports.keep")
        self.kept.append(received)
        return True


@dataclass
class Logins:
    """ports.SenderLogins."""

    interrupt: Interrupter

    def of(self, address):
        self.interrupt("logins.of")
        return frozenset({"anna"})


def whole_stage(interrupt: Interrupter) -> Stage:
    journals = shelf(on_unopened=OnUnopened.KEEP)
    journals.interrupt = interrupt
    must = Settings(mode=Mode.MANDATORY, on_failure=OnFailure.NOTIFY)
    made = Stage(settings={"outside.example": must}, interrupt=interrupt)
    made.gateway_settings |= {"journals": journals, "logins": Logins(interrupt), "tls_reports": Inbox(interrupt)}
    made.know(PARTNER).own(SENDER, READER, EMIL).beside_exchange_online()
    made.sign_for_domains(DkimKey("inside.example", "s", ed25519_key()), THEIRS)
    with_dlp(made, LOOKED_FOR)
    return made


def go(interrupt: Interrupter, given: Envelope, raw: bytes) -> Stage:
    stage = whole_stage(interrupt)
    outcomes = process(given, Message(raw), stage.gateway())
    assert len(outcomes) == len(given.recipients)
    sent_to = {str(one.address) for transfer in stage.sent for one in transfer.recipients}
    for one in outcomes:
        reached = str(one.recipient) in sent_to or (str(one.recipient) == JOURNAL and ARCHIVE in sent_to)
        assert reached or one.fate is not Fate.RELAYED
        kept = [*stage.gateway_settings["tls_reports"].kept, *stage.gateway_settings["journals"].kept]
        assert one.fate is not Fate.KEPT or kept
        held = [str(row.recipient.address) for row in stage.gateway_settings["quarantine"].held]
        assert one.fate is not Fate.HELD or str(one.recipient) in held
    return stage


def who_got(stage: Stage, octets: bytes) -> set[str]:
    holding = [one for one in stage.sent if octets in b"".join(one.chunks)]
    return {str(one.address) for transfer in holding for one in transfer.recipients}


OUT = mail(body=CANARY + b"\r\n", to=f"{BOB}, nobody@outside.example", sender="dora@inside.example")
IN = mail(sender=BOB, to=DORA).partition(b"\r\n\r\n")[0] + b"\r\n"
IN += encrypted_entity([TEXT], [READER.certificate], EncryptionForm())
IN = b"".join(sign(Mail.of_chunks([IN]), [THEIRS], NOW)) + IN
REPORT = about(smime(READER, entity=TEXT))
EXAMPLE_OF_US = {**EXAMPLE, "policies": [dict(EXAMPLE["policies"][0])]}
EXAMPLE_OF_US["policies"][0]["policy"] = {**EXAMPLE["policies"][0]["policy"], "policy-domain": "inside.example"}

FOUND = mail("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\n" + CANARY)
FOUND += b"\r\n--b\r\nContent-Type: application/rtf; name=a.rtf\r\n\r\n{\\rtf1 word}\r\n--b--\r\n"

CASES = {
    "submitted": (
        replace(envelope(BOB, "nobody@outside.example", DORA, JOURNAL, TLS), submission=True), OUT,
        {DORA, TLS}, {"logins.of", "domain_keys.signing", "of"},
    ),
    "from the world": (
        envelope(DORA, EMIL.certificate.san_emails[0], JOURNAL, TLS, sender=BOB, origin=Origin.OUTSIDE), IN,
        {DORA}, {"domain_keys.txt", "domain_keys.signing", "with_key_of", "of"},
    ),
    "a journal report": (
        envelope(JOURNAL, DORA, EMIL.certificate.san_emails[0], BOB), REPORT,
        {ARCHIVE}, {"of", "has", "with_key_of", "private_key"},
    ),
    "looked through": (
        envelope(BOB, WARNED, HELD, LATE, BLOCKED, DORA), FOUND,
        {DORA, WARNED},
        {"patterns.of", "documents.budget", "documents.read", "quarantine.has", "quarantine.hold", "notices.request"},
    ),
    "a TLS report": (
        envelope(TLS, DORA, sender=BOB, origin=Origin.OUTSIDE), tls_report(EXAMPLE_OF_US) + CANARY,
        {DORA, TLS}, {"tls_reports.keep"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_who_may_get_what_does_not_depend_on_what_fails(case):
    given, raw, readers, asked = CASES[case]
    whole = go(Interrupter(), given, raw)
    assert asked <= set(whole.interrupt.names)
    assert who_got(whole, CANARY) == readers - {TLS} if case == "a TLS report" else readers
    for k in range(1, whole.interrupt.calls + 1):
        for error in ERRORS:
            assert who_got(go(Interrupter(k, error), given, raw), CANARY) <= readers
