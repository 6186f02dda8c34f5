"""A whole gateway in memory, with the real S/MIME engine and a real PKI, whose every port call can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Protocol, Recipient
from mailseal.mail.reply import Reply
from mailseal.policy.model import Outcome, Party
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway, Hop, Lookups, PgpCertificates, Transfer
from mailseal.smime.certificate import Certificate, Revocation, StoredCertificate, Verdict
from mailseal.wiring.memory import MemoryPgpCertificates, NoLookups
from pki import NOW, Authority, Identity

ROOT = Authority("Stage Root")
SENDER = ROOT.issue("anna@inside.example")
PARTNER = ROOT.issue("bob@outside.example")
PARTNER_EC = ROOT.issue("carol@outside.example", key="p256")
READER = ROOT.issue("dora@inside.example", fresh_key=True)


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
    seconds: float = 0.0
    gateway_settings: dict[str, object] = field(default_factory=dict)
    pgp: PgpCertificates = field(default_factory=MemoryPgpCertificates)
    lookups: Lookups = field(default_factory=NoLookups)

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
    def failure(self, attempt: bytes, recipient: Address, sender: Address, report: bytes) -> None:
        self.interrupt("failure")
        self.reports.append((str(recipient), str(sender), report))

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
