"""What one layer of protection in a received mail turned out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailseal.mail.address import Address
from mailseal.mail.mime import Entity
from mailseal.openpgp.work import Work
from mailseal.policy.model import Harvest, MethodName, Party
from mailseal.policy.reason import Reason
from mailseal.ports import Certificates, PgpCertificates
from mailseal.smime.secret import Secret


@dataclass(frozen=True, slots=True)
class SignerReport:
    """One signature. `verified`: the mathematics; `trusted`: the certificate; `matches_from`: the person.

    `user_ids` are those of an OpenPGP certificate, of which `subject` is the primary one.
    """

    addresses: tuple[str, ...]
    subject: str
    fingerprint: str
    verified: bool
    trusted: bool
    matches_from: bool
    signing_time: datetime | None = None
    reason: Reason | None = None
    user_ids: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Verified, trusted and by the address in From."""
        return self.verified and self.trusted and self.matches_from


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `kind` like "smime-encrypted"; `part` is the MIME path where it starts ("" for the whole).

    `integrity` is "authenticated" or "none" for an encrypted layer, else None. `covers` says whether the layer is
    wrapped round everything a reader sees.
    """

    kind: str
    depth: int
    part: str
    ok: bool
    reason: Reason | None = None
    algorithm: str = ""
    integrity: str | None = None
    recipients: tuple[str, ...] = ()
    key: str | None = None
    signers: tuple[SignerReport, ...] = ()
    covers: bool = True


@dataclass(frozen=True, slots=True)
class Peeled:
    """What was taken off and what was under it. `inner` is None when it stays shut.

    `layers` are more than one, from the outside in, where a method signs and encrypts in one. `decrypted`: the inner
    entity can only be read with the layers off.
    """

    layers: tuple[Layer, ...]
    inner: Entity | None = None
    decrypted: bool = False
    harvested: tuple[Harvest, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """For whom and with what a mail is opened. `senders` are its authors, None for one that cannot be read.

    `held` are, by method, the fingerprints of the keys that it may be opened with, all of them the reader's. `secrets`
    open what is encrypted to a password or to a key agreed beforehand. `max_bytes` and `work` are what all its layers
    together may take from here on.
    """

    party: Party
    held: Mapping[MethodName, tuple[str, ...]]
    certificates: Certificates
    pgp: PgpCertificates
    at: datetime
    senders: tuple[Address | None, ...] = ()
    max_bytes: int = 200 * 1024 * 1024
    secrets: Sequence[Secret] = ()
    work: Work = field(default_factory=Work, compare=False)
