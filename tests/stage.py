"""A whole gateway in memory, with the real engines and real keys, whose every port call can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailseal.dkim.record import record_name, record_text
from mailseal.dkim.sign import DkimKey
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Protocol, Recipient
from mailseal.mail.reply import Reply
from mailseal.openpgp.certificate import StoredPgpCertificate
from mailseal.policy.model import Outcome, Party
from mailseal.policy.settings import Settings
from mailseal.ports import Authentication, Gateway, Hop, Lookup, LookupState, Neighbour, Transfer
from mailseal.smime.certificate import Certificate, Revocation, StoredCertificate, Verdict
from pgp_keys import PgpIdentity, pgp_key
from pki import NOW, Authority, Identity

TENANT = "11111111-2222-3333-4444-5555aaaabbbb"
ROOT = Authority("Stage Root")
SENDER = ROOT.issue("anna@inside.example")
PARTNER = ROOT.issue("bob@outside.example")
PARTNER_EC = ROOT.issue("carol@outside.example", key="p256")
READER = ROOT.issue("dora@inside.example", fresh_key=True)


def lasting_key(*user_ids: str, **options: object) -> PgpIdentity:
    """A key that does not expire: Sequoia goes by the clock of the machine."""
    return pgp_key(*user_ids, expires_after=None, **options)


PGP_SENDER = lasting_key("Anna <anna@inside.example>")
PGP_PARTNER = lasting_key("Bob <bob@outside.example>")
PGP_PARTNER_2 = lasting_key("Paula <paula@outside.example>")
PGP_READER = lasting_key("Dora <dora@inside.example>")


def verdict(certificate: Certificate, **changes: object) -> Verdict:
    good = Verdict(
        trusted=True,
        reason=None,
        valid_from=certificate.not_before,
        valid_until=certificate.not_after,
        revocation=Revocation.GOOD,
        revocation_until=None,
    )
    return replace(good, **changes)


def stored(
    identity: Identity, *, has_key: bool = False, selected: bool = False, **changes: object
) -> StoredCertificate:
    one = identity.certificate
    return StoredCertificate(one, verdict(one, **changes), None, selected, has_key)


class Interrupter:
    """Counts the calls of all ports and raises at the k-th."""

    def __init__(self, at: int | None = None, error: Callable[[], Exception] = lambda: RuntimeError("boom")) -> None:
        self.calls = 0
        self.names: list[str] = []
        self._at = at
        self._error = error

    def __call__(self, name: str) -> None:
        self.calls += 1
        self.names.append(name)
        if self.calls == self._at:
            raise self._error()


@dataclass
class PgpStage:
    """ports.PgpCertificates over given certificates; `made` are those that `create` has made."""

    interrupt: Interrupter
    stored: list[StoredPgpCertificate] = field(default_factory=list)
    made: list[PgpIdentity] = field(default_factory=list)
    keep: Callable[[PgpIdentity], None] = lambda _: None

    def of_recipient(self, address: Address) -> Sequence[StoredPgpCertificate]:
        self.interrupt("pgp.of_recipient")
        return [one for one in self.stored if one.selected or _names(one, address)]

    def with_key_of(self, address: Address) -> Sequence[StoredPgpCertificate]:
        self.interrupt("pgp.with_key_of")
        return [one for one in self.stored if one.has_key and _names(one, address)]

    def by_fingerprint(self, fingerprint: str) -> StoredPgpCertificate | None:
        self.interrupt("pgp.by_fingerprint")
        found = (one for one in self.stored if one.certificate.fingerprint == fingerprint)
        return next(map(_for_nobody, found), None)

    def by_issuer(self, issuer: str) -> Sequence[StoredPgpCertificate]:
        self.interrupt("pgp.by_issuer")
        return [_for_nobody(one) for one in self.stored if one.certificate.component(issuer) is not None]

    def create(self, address: Address, at: datetime) -> StoredPgpCertificate:
        self.interrupt("pgp.create")
        identity = lasting_key(f"<{address}>", at=at)
        self.made.append(identity)
        self.keep(identity)
        return self.stored[-1]


def _for_nobody(stored: StoredPgpCertificate) -> StoredPgpCertificate:
    """Without what is only known of an address: whether it was chosen, or is published, for that."""
    return replace(stored, selected=False, own_domain=False)


def _names(stored: StoredPgpCertificate, address: Address) -> bool:
    return any(one.address == address for one in stored.certificate.user_ids)


@dataclass
class Search:
    """ports.Lookups: what it answers, and what it was asked for."""

    interrupt: Interrupter
    answer: Lookup = field(default_factory=lambda: Lookup(LookupState.NEVER))
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def ask(self, address: Address, at: datetime, *, wait: bool) -> Lookup:
        self.interrupt("lookups.ask")
        self.asked.append((str(address), wait))
        return self.answer


@dataclass
class LoopStage:
    """ports.LoopKeys: given keys."""

    interrupt: Interrupter
    keys: list[bytes] = field(default_factory=lambda: [b"k" * 32])

    def known(self) -> Sequence[bytes]:
        self.interrupt("loop.known")
        return self.keys


@dataclass
class DomainKeysStage:
    """ports.DomainKeys: given keys of ours, and what is published by name; None: the name server cannot say."""

    interrupt: Interrupter
    keys: list[DkimKey] = field(default_factory=list)
    published: dict[str, list[str] | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def signing(self, domain: str) -> Sequence[DkimKey]:
        self.interrupt("domain_keys.signing")
        return [one for one in self.keys if one.domain == domain]

    def txt(self, name: str, deadline: float) -> Sequence[str]:
        self.interrupt("domain_keys.txt")
        self.asked.append(name)
        found = self.published.get(name, [])
        if found is None:
            raise TransientError("the name server cannot say")
        return found


@dataclass
class Stage:
    """All ports in one object; `gateway()` bundles them."""

    internal: set[str] = field(default_factory=lambda: {"inside.example"})
    settings: dict[str, Settings] = field(default_factory=dict)
    certificates_of: dict[str, list[StoredCertificate]] = field(default_factory=dict)
    keys_of: dict[str, list[StoredCertificate]] = field(default_factory=dict)
    keys: dict[str, object] = field(default_factory=dict)
    answer: Callable[[Transfer], Sequence[Reply]] = lambda transfer: [reply.ACCEPTED] * len(transfer.recipients)
    route_of: Callable[[Address], str] = lambda _: ""
    interrupt: Interrupter = field(default_factory=Interrupter)
    sent: list[Transfer] = field(default_factory=list)
    rows: dict[tuple[bytes, str], Outcome] = field(default_factory=dict)
    reports: list[tuple[str, str, bytes]] = field(default_factory=list)
    reported_by: list[Hop | None] = field(default_factory=list)
    seconds: float = 0.0
    gateway_settings: dict[str, object] = field(default_factory=dict)
    pgp: PgpStage = field(init=False)
    lookups: Search = field(init=False)
    loop: LoopStage = field(init=False)
    domain_keys: DomainKeysStage = field(init=False)

    def __post_init__(self) -> None:
        self.loop = LoopStage(self.interrupt)
        self.domain_keys = DomainKeysStage(self.interrupt)
        self.pgp = PgpStage(self.interrupt, keep=lambda one: self.own_pgp(one) and None)
        self.lookups = Search(self.interrupt)

    def beside_exchange_online(self, **more: object) -> Stage:
        """Exchange Online is the neighbour, with one tenant of ours."""
        self.gateway_settings["neighbour"] = Neighbour(frozenset({TENANT}), self.loop, **more)
        return self

    def sign_for_domains(self, *keys: DkimKey, believed: Sequence[str] = ()) -> Stage:
        """The gateway signs with these keys, which are published, and checks what comes in."""
        self.domain_keys.keys += keys
        for key in keys:
            self.domain_keys.published[record_name(key.domain, key.selector)] = [record_text(key.key)]
        told = Authentication(self.domain_keys, "gw.inside.example", frozenset(believed))
        self.gateway_settings["authentication"] = told
        return self

    def know(self, *identities: Identity) -> Stage:
        for one in identities:
            for email in one.certificate.san_emails:
                self.certificates_of.setdefault(Address.parse(email).key, []).append(stored(one))
        return self

    def own(self, *identities: Identity) -> Stage:
        for one in identities:
            self.keys[one.certificate.spki_sha256] = one.key
            for email in one.certificate.san_emails:
                self.keys_of.setdefault(Address.parse(email).key, []).append(stored(one, has_key=True))
        return self

    def know_pgp(self, *identities: PgpIdentity, **more: object) -> Stage:
        """Trusted certificates, or as `more` says; those of which the keys are owned stay as they are."""
        owned = {one.certificate.fingerprint for one in self.pgp.stored if one.has_key}
        self.pgp.stored += [one.stored(**more) for one in identities if one.fingerprint not in owned]
        return self

    def own_pgp(self, *identities: PgpIdentity, **more: object) -> Stage:
        names = {one.fingerprint for one in identities}
        self.pgp.stored = [one for one in self.pgp.stored if one.certificate.fingerprint not in names]
        for one in identities:
            self.keys |= {public.spki_sha256: key for public, key in one.keys}
            self.pgp.stored.append(one.stored(has_key=True, **more))
        return self

    def gateway(self) -> Gateway:
        return Gateway(
            hostname="gw.inside.example",
            directory=self,
            certificates=self,
            pgp=self.pgp,
            lookups=self.lookups,
            relay=self,
            ledger=self,
            reports=self,
            clock=self,
            **self.gateway_settings,
        )

    # ports.Directory
    def party(self, address: Address | None) -> Party:
        self.interrupt("party")
        if address is None:
            return Party(None, False, self.settings.get("", Settings()))
        chosen = self.settings.get(address.key) or self.settings.get(address.domain) or self.settings.get("")
        return Party(address, address.domain in self.internal, chosen or Settings())

    # ports.Certificates
    def of_recipient(self, address: Address) -> Sequence[StoredCertificate]:
        self.interrupt("of_recipient")
        return self.certificates_of.get(address.key, [])

    def with_key_of(self, address: Address) -> Sequence[StoredCertificate]:
        self.interrupt("with_key_of")
        return self.keys_of.get(address.key, [])

    def by_fingerprint(self, fingerprint: str) -> StoredCertificate | None:
        self.interrupt("by_fingerprint")
        everything = [one for group in (*self.certificates_of.values(), *self.keys_of.values()) for one in group]
        return next((one for one in everything if one.certificate.fingerprint == fingerprint), None)

    def chain(self, certificate: Certificate) -> Sequence[bytes]:
        self.interrupt("chain")
        return ()

    def private_key(self, spki_sha256: str) -> object:
        self.interrupt("private_key")
        if spki_sha256 not in self.keys:
            raise TransientError("the key is not at hand")
        return self.keys[spki_sha256]

    def judge(self, certificate: Certificate, others: Sequence[Certificate], at: datetime) -> StoredCertificate:
        self.interrupt("judge")
        trusted = certificate.issuer_der == ROOT.certificate.subject_der
        return StoredCertificate(certificate, verdict(certificate, trusted=trusted))

    # ports.Relay
    def route(self, hop: Hop, address: Address) -> str:
        self.interrupt("route")
        return self.route_of(address)

    def send(self, transfer: Transfer) -> Sequence[Reply]:
        self.interrupt("send")
        frozen = replace(transfer, chunks=tuple(bytes(chunk) for chunk in transfer.chunks))
        self.sent.append(frozen)
        return self.answer(frozen)

    # ports.Ledger
    def settled(self, attempt: bytes) -> Mapping[str, Outcome]:
        self.interrupt("settled")
        return {key: outcome for (name, key), outcome in self.rows.items() if name == attempt}

    def settle(self, attempt: bytes, outcomes: Sequence[Outcome]) -> None:
        self.interrupt("settle")
        for outcome in outcomes:
            self.rows[attempt, outcome.recipient.key] = outcome

    # ports.Reports
    def failure(
        self, attempt: bytes, recipient: Address, sender: Address, report: bytes, hop: Hop | None = None
    ) -> None:
        self.interrupt("failure")
        self.reports.append((str(recipient), str(sender), report))
        self.reported_by.append(hop)

    # ports.Clock
    def now(self) -> datetime:
        self.interrupt("now")
        return NOW

    def monotonic(self) -> float:
        self.interrupt("monotonic")
        return self.seconds

    def octets_sent(self) -> bytes:
        return b"".join(chunk for transfer in self.sent for chunk in transfer.chunks)


def envelope(
    *recipients: str,
    sender: str | None = "anna@inside.example",
    origin: Origin = Origin.AUTHORISED,
    protocol: Protocol = Protocol.LMTP,
) -> Envelope:
    return Envelope(
        None if sender is None else Address.parse(sender),
        tuple(Recipient(Address.parse(one)) for one in recipients),
        origin,
        protocol,
    )


def mail(
    *fields: str,
    body: bytes = b"The canary sings.\r\n",
    sender: str = "anna@inside.example",
    to: str = "bob@outside.example",
    subject: str = "Hello",
) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", "Message-ID: <1@inside.example>", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
