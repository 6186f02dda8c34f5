"""The values that policy works on: party, finding, what a mail asks, decision, plan, outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailseal.mail.address import Address
from mailseal.mail.reply import Reply
from mailseal.policy.reason import Reason
from mailseal.policy.settings import OnFailure, Settings


class MethodName(StrEnum):
    """The encryption methods, in the order in which they are tried."""

    SMIME = "smime"
    PGP = "pgp"


@dataclass(frozen=True, slots=True)
class Party:
    """A sender or recipient as the store knows it. `address` is None for the null sender."""

    address: Address | None
    internal: bool
    settings: Settings


class Action(StrEnum):
    """What a finding demands, weakest first."""

    WARN = "warn"
    MUST_ENCRYPT = "must-encrypt"
    QUARANTINE = "quarantine"
    BLOCK = "block"


MAX_PLACES = 20
"""So many places of a finding are named; one that has as many may have more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in the content that restricts how the mail may leave.

    `name` and `count` may be logged, `places` too. `excerpt` is masked, for the safe view alone. `key` is what a waiver
    names: the pattern with its revision, or the place that was not read and why. `delayed`: it counts only if the mail
    would leave in clear.
    """

    name: str
    action: Action
    delayed: bool = False
    count: int = 1
    places: tuple[str, ...] = ()
    excerpt: str = field(default="", repr=False)
    key: str = ""


class Already(StrEnum):
    """The protection a mail brings along, judged by structure."""

    NOTHING = "nothing"
    SIGNED = "signed"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the mail itself says: triggers (believed of an internal, authorised sender only) and its form.

    `subject` is the subject without the triggers, if it is to be changed. `been_through`: a MAC of ours says that this
    recipient's copy has been through this gateway before.
    """

    encrypt: Reason | None = None
    sign: Reason | None = None
    calendar: bool = False
    already: Already = Already.NOTHING
    size_bytes: int = 0
    subject: str | None = None
    been_through: bool = False


class SignWish(StrEnum):
    """Whether to sign a copy when a key is there."""

    NO = "no"
    WHEN_ENCRYPTING = "when-encrypting"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall happen to one recipient's copy, before keys are known.

    `refuse` set: nothing else counts; else `hold`. `must_encrypt` implies `try_encrypt`. `already` and `size_bytes`
    are the mail's.
    """

    try_encrypt: bool
    must_encrypt: bool
    sign: SignWish
    on_failure: OnFailure
    refuse: Reason | None = None
    reasons: tuple[Reason, ...] = ()
    already: Already = Already.NOTHING
    size_bytes: int = 0
    hold: Reason | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """What somebody has decided about a mail that was held, for its release.

    `approved`: keys of findings that hold it no longer. `must_encrypt`: it leaves encrypted or not at all. `as_is`: it
    leaves as it came, the only way round must-encrypt; two different people have said so.
    """

    approved: frozenset[str] = frozenset()
    must_encrypt: bool = False
    as_is: bool = False


@dataclass(frozen=True, slots=True)
class Awaited:
    """There may be keys soon: they are being looked for. `reason` says so."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Able:
    """What the keys allow: per method the recipient's usable keys, or why there are none; and who can sign.

    `keys` and `signers` hold key fingerprints. A method without keys is in `unable`, or in `awaited` while keys are
    being looked for.
    """

    keys: Mapping[MethodName, tuple[str, ...]]
    unable: Mapping[MethodName, Reason]
    signers: Mapping[MethodName, str]
    no_signer: Reason | None = None
    awaited: Mapping[MethodName, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs a copy."""

    method: MethodName
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Send without encryption, signed if `signer` is set."""

    signer: Signer | None = None
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Protect:
    """Encrypt by `method` to `keys` (fingerprints), signed first if `signer` is set."""

    method: MethodName
    keys: tuple[str, ...]
    signer: Signer | None = None
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """Do not send; the sender gets a report. Never for a null sender."""

    reason: Reason
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Answer 4xx; the client keeps the mail."""

    reason: Reason
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Accept and keep in the quarantine until somebody decides."""

    reason: Reason
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 5xx."""

    reason: Reason
    reasons: tuple[Reason, ...] = field(default=(), compare=False)


Plan = Clear | Protect | Notify | Hold | Defer | Refuse


class Treatment(StrEnum):
    """What was done to the copy that left."""

    NONE = "none"
    PASSED = "passed"
    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    SIGNED_ENCRYPTED = "signed+encrypted"
    OPENED = "opened"


class Fate(StrEnum):
    """What became of one recipient's copy."""

    RELAYED = "relayed"
    NOTIFIED = "notified"
    KEPT = "kept"
    HELD = "held"
    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Harvest:
    """A certificate that came with a mail: DER, or a transferable public key (RFC 9580 §10.1) in binary.

    S/MIME, of the signer's own: `capabilities` is `Capabilities.text`, "" when nothing was said; `signed_at` is when he
    said to have signed. OpenPGP: `source` says for administrators how it came, "" or like "attached by bob@x.example".
    """

    der: bytes = field(repr=False)
    capabilities: str = ""
    signed_at: datetime | None = None
    method: MethodName = MethodName.SMIME
    source: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one RCPT: the reply it gets, and everything the log says about it.

    `details` are (name, value) pairs: algorithm, keys, signer, layers; safe to log. `harvested` are
    certificates seen in good signatures, for the worker to keep as candidates.
    """

    recipient: Address
    fate: Fate
    reply: Reply
    treatment: Treatment = Treatment.NONE
    method: MethodName | None = None
    reasons: tuple[Reason, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    harvested: tuple[Harvest, ...] = field(default=(), compare=False)
