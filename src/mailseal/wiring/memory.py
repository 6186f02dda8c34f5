"""Ports that are served from memory: for looking at one stored mail without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailseal.errors import PermanentError, TransientError
from mailseal.keys import PrivateKey
from mailseal.mail.address import Address
from mailseal.mail.message import Message
from mailseal.mail.reply import ACCEPTED, Reply
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.policy.held import Held
from mailseal.policy.model import Outcome
from mailseal.ports import (
    Hop,
    Journal,
    Journals,
    Lookup,
    LookupState,
    PgpCertificates,
    ReceivedTlsReport,
    TlsReportInbox,
    ToTell,
    Transfer,
    Unopened,
)
from mailseal.smime.certificate import Certificate, CtlEntry, StoredCertificate
from mailseal.smime.path import validate
from mailseal.smime.revocation import Revocations

CRL_GRACE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class MemoryCertificates:
    """Implements `ports.Certificates` over given certificates and keys."""

    roots: Sequence[Certificate]
    revocations: Revocations
    certificates: Mapping[str, StoredCertificate] = field(default_factory=dict)
    keys: Mapping[str, PrivateKey] = field(default_factory=dict)
    intermediates: Sequence[Certificate] = ()
    ctl: Mapping[str, CtlEntry] = field(default_factory=dict)

    def of_recipient(self, address: Address) -> Sequence[StoredCertificate]:
        """The certificates that name the address or were chosen by hand."""
        return [one for one in self.certificates.values() if one.selected or _names(one.certificate, address)]

    def with_key_of(self, address: Address) -> Sequence[StoredCertificate]:
        """The certificates that name the address and whose key was given."""
        return [one for one in self.with_key() if _names(one.certificate, address)]

    def with_key(self) -> Sequence[StoredCertificate]:
        """All certificates whose key was given."""
        return [one for one in self.certificates.values() if one.has_key]

    def by_fingerprint(self, fingerprint: str) -> StoredCertificate | None:
        """One of the given certificates."""
        return self.certificates.get(fingerprint)

    def chain(self, certificate: Certificate) -> Sequence[bytes]:
        """The given CA certificates above it, without the root."""
        found: list[bytes] = []
        current = certificate
        while len(found) < len(self.intermediates):
            issuer = next((one for one in self.intermediates if one.subject_der == current.issuer_der), None)
            if issuer is None or issuer.subject_der == issuer.issuer_der or issuer.der in found:
                break
            found.append(issuer.der)
            current = issuer
        return found

    def private_key(self, spki_sha256: str) -> PrivateKey:
        """A given key."""
        key = self.keys.get(spki_sha256)
        if key is None:
            raise TransientError("the private key was not given")
        return key

    def judge(self, certificate: Certificate, others: Sequence[Certificate], at: datetime) -> StoredCertificate:
        """Validate against the given roots and CRLs, now."""
        # The given ones first: strange ones that came with the mail must not crowd them out.
        pool = (*self.intermediates, *others)
        verdict = validate(certificate, pool, self.roots, self.revocations, at, crl_grace=CRL_GRACE)
        return StoredCertificate(
            certificate, verdict, self.ctl.get(certificate.fingerprint), selected=False, has_key=False
        )


def _names(certificate: Certificate, address: Address) -> bool:
    return address.key in {text.casefold() for text in (*certificate.san_emails, *certificate.subject_emails)}


@dataclass(frozen=True, slots=True)
class MemoryPgpCertificates:
    """Implements `ports.PgpCertificates` over given certificates, by fingerprint."""

    certificates: Mapping[str, StoredPgpCertificate] = field(default_factory=dict)

    def of_recipient(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """Those that name the address or were chosen by hand."""
        return [one for one in self.certificates.values() if one.selected or _pgp_names(one, address)]

    def with_key_of(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """Those that name the address and whose keys were given."""
        return [one for one in self.with_key() if _pgp_names(one, address)]

    def with_key(self) -> Sequence[StoredPgpCertificate]:
        """All whose keys were given."""
        return [one for one in self.certificates.values() if one.has_key]

    def by_fingerprint(self, fingerprint: str) -> StoredPgpCertificate | None:
        """One of the given certificates."""
        return self.certificates.get(fingerprint)

    def by_issuer(self, issuer: str) -> Sequence[StoredPgpCertificate]:
        """Those with such a component."""
        return [one for one in self.certificates.values() if one.certificate.component(issuer) is not None]

    def create(self, address: Address, at: datetime) -> StoredPgpCertificate:  # noqa: ARG002 -- the port's signature
        """Nothing is kept here, so nothing is made."""
        raise PermanentError("no key is made without a store")


def _pgp_names(stored: StoredPgpCertificate, address: Address) -> bool:
    return any(one.address == address for one in stored.certificate.user_ids)


@dataclass(frozen=True, slots=True)
class NoNewKeys:
    """Implements `ports.PgpCertificates` over another, without its effect, for explaining."""

    known: PgpCertificates

    def of_recipient(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """As of the other."""
        return self.known.of_recipient(address)

    def with_key_of(self, address: Address) -> Sequence[StoredPgpCertificate]:
        """As of the other."""
        return self.known.with_key_of(address)

    def by_fingerprint(self, fingerprint: str) -> StoredPgpCertificate | None:
        """As of the other."""
        return self.known.by_fingerprint(fingerprint)

    def by_issuer(self, issuer: str) -> Sequence[StoredPgpCertificate]:
        """As of the other."""
        return self.known.by_issuer(issuer)

    def create(self, address: Address, at: datetime) -> StoredPgpCertificate:  # noqa: ARG002 -- the port's signature
        """No key is made for an explanation."""
        raise PermanentError("no key is made for an explanation")


class NoLookups:
    """Implements `ports.Lookups` where nothing looks for keys."""

    def ask(self, address: Address, at: datetime, *, wait: bool) -> Lookup:  # noqa: ARG002 -- the port's signature
        """Nothing does."""
        return Lookup(LookupState.NEVER)


@dataclass(frozen=True, slots=True)
class NoKeeping:
    """Implements `ports.Journals` over another, without its effects, for explaining."""

    known: Journals

    def of(self, address: Address) -> Journal | None:
        """As of the other."""
        return self.known.of(address)

    def has(self, attempt: bytes, journal: Address) -> bool:
        """As of the other."""
        return self.known.has(attempt, journal)

    def keep(self, report: Unopened, message: Message) -> None:
        """Keeps nothing."""

    def note(self, report: Unopened) -> None:
        """Notes nothing."""


class NoHolding:
    """Implements `ports.Quarantine` without its effect, for explaining."""

    def hold(self, held: Held, message: Message, to_tell: ToTell | None = None) -> str:  # noqa: ARG002 -- the port's signature
        """Holds nothing."""
        return ""

    def has(self, attempt: bytes, recipient: Address) -> bool:  # noqa: ARG002 -- the port's signature
        """Nothing is held."""
        return False


@dataclass(frozen=True, slots=True)
class NoInbox:
    """Implements `ports.TlsReportInbox` over another, without its effect, for explaining."""

    known: TlsReportInbox

    @property
    def address(self) -> Address:
        """As of the other."""
        return self.known.address

    @property
    def deliver(self) -> bool:
        """As of the other."""
        return self.known.deliver

    def keep(self, received: ReceivedTlsReport) -> bool:  # noqa: ARG002 -- the port's signature
        """Keeps nothing."""
        return True


class NoEffect:
    """Implements `ports.Relay`, `ports.Ledger` and `ports.Reports` without any effect, for explaining."""

    def route(self, hop: Hop, address: Address) -> str:  # noqa: ARG002 -- the port's signature
        """All go the same way."""
        return ""

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        """Accepts and does nothing."""
        return [ACCEPTED] * len(transfer.recipients)

    def settled(self, attempt: bytes) -> Mapping[str, Outcome]:  # noqa: ARG002 -- the port's signature
        """Nothing is settled."""
        return {}

    def settle(self, attempt: bytes, outcomes: Sequence[Outcome]) -> None:
        """Keeps nothing."""

    def failure(
        self, attempt: bytes, recipient: Address, sender: Address, report: bytes, hop: Hop | None = None
    ) -> None:
        """Tells nobody."""
