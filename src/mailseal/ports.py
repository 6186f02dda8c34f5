"""The few interfaces that the core needs from the outside, and the bundle of them that `process` gets.

Each may raise TransientError (the mail is deferred). Anything else that a port raises defers too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mailseal.config.values import Network
from mailseal.dkim.sign import DkimKey
from mailseal.extract.mail import Documents
from mailseal.keys import PrivateKey
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.mail.message import Message, Octets
from mailseal.mail.reply import Reply
from mailseal.mail.tls_report import TlsReport
from mailseal.notices.facts import NoticeFacts
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.held import Held
from mailseal.policy.model import Outcome, Party
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.policy.reason import Reason
from mailseal.smime.certificate import Certificate, StoredCertificate


class Directory(Protocol):
    """Who is internal, and what is set for whom."""

    def party(self, address: Address | None) -> Party:
        """The party of an address; of None (the null sender) the global settings, not internal."""


class Certificates(Protocol):
    """S/MIME certificates and the private keys behind them. Sequences are bounded and in order of preference."""

    def of_recipient(self, address: Address) -> Sequence[StoredCertificate]:
        """Certificates to encrypt to: of the address, and those selected by hand for it or its domain."""

    def with_key_of(self, address: Address) -> Sequence[StoredCertificate]:
        """Certificates with a private key that the address may use: its own, its domain's, those shared with it."""

    def by_fingerprint(self, fingerprint: str) -> StoredCertificate | None:
        """One stored certificate by SHA-256 (hex) of its DER."""

    def chain(self, certificate: Certificate) -> Sequence[bytes]:
        """DER of the CA certificates to send along with a signature, issuer first, without the root."""

    def private_key(self, spki_sha256: str) -> PrivateKey:
        """The opened key; raises TransientError if it is not at hand now."""

    def judge(self, certificate: Certificate, others: Sequence[Certificate], at: datetime) -> StoredCertificate:
        """A certificate that came with a mail, judged now without network; `others` came along with it."""


class PgpCertificates(Protocol):
    """OpenPGP certificates; the private keys behind them come from `Certificates.private_key`.

    A fingerprint is that of the primary key. Sequences are bounded and in order of preference.
    """

    def of_recipient(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """Those that name the address in a user ID, candidates too, and those selected by hand for it or its domain."""

    def with_key_of(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """Those with secret keys that the address may use: its own, its domain's, those shared with it."""

    def by_fingerprint(self, fingerprint: str) -> StoredPgpCertificate | None:
        """One stored certificate."""

    def by_issuer(self, issuer: str) -> Sequence[StoredPgpCertificate]:
        """Those of which a component has this fingerprint or key ID (16 digits), candidates too."""

    def create(self, address: Address, at: datetime) -> StoredPgpCertificate:
        """The certificate whose keys an internal address signs with, made and stored if there is none of its own."""


class LookupState(StrEnum):
    """How far the search for keys is: nothing looks for any, something does, it is over or took too long."""

    NEVER = "never"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The search for keys of one address. `since` is when it was asked for, or ended."""

    state: LookupState
    since: datetime | None = None


class Lookups(Protocol):
    """Keys that the worker looks for on the network (WKD, key servers) and stores."""

    def ask(self, address: Address, at: datetime, *, wait: bool) -> Lookup:
        """Have keys of an address looked for, unless that is under way or its result is still good.

        `wait`: a few seconds at most for the end of it. The bound on waiting belongs to the look-up: one that has run
        for too long is told as FINISHED.
        """


class Hop(StrEnum):
    """The next hops: by the recipient's domain; and back to the neighbour, for all mail that came from there."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    NEIGHBOUR = "neighbour"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One mail transaction to a next hop. `chunks` are sent in order as they are. `route`: as of `Relay.route`."""

    hop: Hop
    sender: Address | None
    recipients: tuple[Recipient, ...]
    chunks: tuple[Octets, ...]
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    deadline: float | None = None
    route: str = ""


class Relay(Protocol):
    """The client side of SMTP."""

    def route(self, hop: Hop, address: Address) -> str:
        """A key for where the address's mail goes: recipients of a transaction have the same. Knows no mail."""

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        """Send; one reply per recipient in order. A broken connection is a 4xx reply, not an exception."""


class Ledger(Protocol):
    """What is already settled of a mail that comes again."""

    def settled(self, attempt: bytes) -> Mapping[str, Outcome]:
        """Outcome by `Address.key`."""

    def settle(self, attempt: bytes, outcomes: Sequence[Outcome]) -> None:
        """Commit outcomes of an effect while further effects are to come."""


class Reports(Protocol):
    """Reports to the sender that the worker sends later."""

    def failure(
        self, attempt: bytes, recipient: Address, sender: Address, report: bytes, hop: Hop | None = None
    ) -> None:
        """Commit a delivery status notification (RFC 3464), once per (attempt, recipient).

        `hop`: where it goes; None: where mail to its reader goes.
        """


class OnUnopened(StrEnum):
    """What becomes of a journal report of which the mail stays encrypted, or that is none."""

    FORWARD = "forward"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Journal:
    """An address that journal reports are sent to: what comes there goes to `archive`, and nowhere else, opened.

    `networks`: clients that are believed besides those of the authorised class. `outside`: an administrator has said
    that the archive is not an internal address.
    """

    address: Address
    archive: Address
    on_unopened: OnUnopened = OnUnopened.FORWARD
    networks: tuple[Network, ...] = ()
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Unopened:
    """What is told of a report that was not opened: to which journal address, by whom, and why."""

    attempt: bytes
    journal: Address
    sender: Address | None
    message_id: str
    reasons: tuple[Reason, ...]


class Journals(Protocol):
    """Journal addresses, and the reports to them that could not be opened."""

    def of(self, address: Address) -> Journal | None:
        """The journal of an address; None for an address like any other."""

    def has(self, attempt: bytes, journal: Address) -> bool:
        """Whether this attempt's report to a journal address is kept."""

    def keep(self, report: Unopened, message: Message) -> None:
        """Commit a report, once per (attempt, journal address)."""

    def note(self, report: Unopened) -> None:
        """Commit that a report goes on unopened, once per (attempt, journal address)."""


class Patterns(Protocol):
    """What is looked for in the mails of whom (DLP)."""

    def of(self, *addresses: Address | None) -> Scanner:
        """The patterns assigned to any of these, to their domains or to all mail, as one program.

        One that cannot be used any more is never left out: raises TransientError.
        """


@dataclass(frozen=True, slots=True)
class Notice:
    """What one reader is told of one recipient's copy of a mail (`about`).

    `sender`: of the mail. `hop`: where the notice goes; None: where mail to its reader goes. See `pipeline.telling`.
    """

    kind: NoticeKind
    attempt: bytes
    about: Address
    reader: Address
    role: Role
    sender: Address | None
    facts: NoticeFacts
    hop: Hop | None = None


class Notices(Protocol):
    """Mails that Mailseal itself writes, sent by the worker later."""

    def request(self, notice: Notice) -> None:
        """Commit that somebody is to be told, once per (attempt, recipient, kind, reader)."""


ToTell = Callable[[str], Sequence[Notice]]
"""The notices about a copy, by the ID under which it is going to be held. Never raises."""


class Quarantine(Protocol):
    """Mails that are held until somebody has looked at them, or for so many days."""

    def hold(self, held: Held, message: Message, to_tell: ToTell | None = None) -> str:
        """Commit a mail for one recipient, once per (attempt, recipient); the ID under which it is held.

        Recipients of an attempt share what is stored of the message. Committed with it, so that there is neither
        without the other, are the requests of `to_tell`.
        """

    def has(self, attempt: bytes, recipient: Address) -> bool:
        """Whether this attempt is held for a recipient, or was and has been decided upon since."""


class SenderLogins(Protocol):
    """Who may hand in mail with which envelope sender."""

    def of(self, address: Address) -> frozenset[str]:
        """The logins that may use an address, those too that are not let in at present."""


class LoopKeys(Protocol):
    """What `pipeline.loop` makes its MACs with, and other keys `notices.mark`."""

    def known(self) -> Sequence[bytes]:
        """Keys of 32 octets; the first writes, all verify. Raises TransientError."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The mail system that hands in mail and takes every copy of it back: Exchange Online.

    `tenants`: the IDs (lower case) of those of its tenants that are ours. `takes_others`: mail of another tenant counts
    as mail from the world, for internal recipients; else it is refused.
    """

    tenants: frozenset[str]
    loop: LoopKeys
    takes_others: bool = False


class Signed(StrEnum):
    """What the DKIM signatures of a mail are worth. BADLY: none of them is good; UNKNOWN: nobody could say."""

    BY_SENDER = "by its sender"
    BY_OTHERS = "by others"
    BADLY = "badly"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ReceivedTlsReport:
    """A TLS report that came by mail: from whom, and whether that is proven; `signer`: the domain of a signature."""

    report: TlsReport
    sender: str
    signed: Signed
    signer: str


class TlsReportInbox(Protocol):
    """The address that others send TLS reports to (RFC 8460). `deliver`: they go on to it after they were read."""

    @property
    def address(self) -> Address:
        """Where they come."""

    @property
    def deliver(self) -> bool:
        """Whether they are delivered too."""

    def keep(self, received: ReceivedTlsReport) -> bool:
        """Commit a report, each once; False: there are too many."""


class DomainKeys(Protocol):
    """The keys that domains sign mail with: ours, and what any domain has published (RFC 6376)."""

    def signing(self, domain: str) -> Sequence[DkimKey]:
        """The keys of exactly this domain of ours that are in use, the one to prefer first; () for none."""

    def txt(self, name: str, deadline: float) -> Sequence[str]:
        """The TXT records of a name, () for none; raises TransientError if nobody can say before the deadline."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The names of Authentication-Results: ours, and those whose results are believed; and keys to check by."""

    keys: DomainKeys
    authserv_id: str
    believed: frozenset[str] = frozenset()


class Clock(Protocol):
    """Time, so that tests can hold it still."""

    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float:
        """Seconds, for deadlines."""


class KeyPorts(Protocol):
    """Where methods find keys: of a Gateway, or of somebody who only asks what could be done."""

    @property
    def certificates(self) -> Certificates:
        """Of S/MIME."""

    @property
    def pgp(self) -> PgpCertificates:
        """Of OpenPGP."""

    @property
    def lookups(self) -> Lookups:
        """What is looked for on the network."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything `process` may touch."""

    hostname: str
    directory: Directory
    certificates: Certificates
    pgp: PgpCertificates
    lookups: Lookups
    relay: Relay
    ledger: Ledger
    reports: Reports
    clock: Clock
    journals: Journals | None = None
    deadline_seconds: float = 240.0
    max_hops: int = 50
    neighbour: Neighbour | None = None
    authentication: Authentication | None = None
    logins: SenderLogins | None = None
    tls_reports: TlsReportInbox | None = None
    quarantine: Quarantine | None = None
    patterns: Patterns | None = None
    documents: Documents | None = None
    notices: Notices | None = None
    notice_keys: LoopKeys | None = None
