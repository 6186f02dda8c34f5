"""Who a mail is from, as far as policy cares: settings to apply, identity to sign as (behaviour.md, Settings)."""

from dataclasses import dataclass

from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.header import authors
from mailseal.mail.mime import Entity
from mailseal.policy.combine import stricter
from mailseal.policy.model import Party
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Directory


@dataclass(frozen=True, slots=True)
class Sender:
    """The sending side of a mail. `identity` is the address to sign as; without one, `no_identity` says why.

    `settings` is the stricter of `each`: the settings of the envelope sender and of From.
    """

    settings: Settings
    each: tuple[Settings, ...]
    internal: bool
    authorised: bool
    identity: Address | None
    no_identity: Reason | None

    @property
    def ours(self) -> bool:
        """Internal and authorised: may sign, trigger and be notified."""
        return self.internal and self.authorised


def sender_of(envelope: Envelope, root: Entity, directory: Directory) -> Sender:
    """Read the envelope sender and, if different, the single internal From; the stricter settings win."""
    senders = authors(root)
    party = directory.party(envelope.sender)
    origin_party = _internal_from(senders, directory)
    settings = party.settings
    each: tuple[Settings, ...] = (settings,)
    if origin_party is not None and origin_party.address != envelope.sender:
        settings = origin_party.settings if envelope.sender is None else stricter(settings, origin_party.settings)
        each = (party.settings, origin_party.settings)
    internal = party.internal or (envelope.sender is None and origin_party is not None)
    identity, missing = _identity(envelope, senders, party, origin_party)
    return Sender(settings, each, internal, envelope.origin is Origin.AUTHORISED, identity, missing)


def _internal_from(senders: tuple[Address | None, ...], directory: Directory) -> Party | None:
    if len(senders) != 1 or senders[0] is None:
        return None
    party = directory.party(senders[0])
    return party if party.internal else None


def _identity(
    envelope: Envelope, senders: tuple[Address | None, ...], party: Party, origin_party: Party | None
) -> tuple[Address | None, Reason | None]:
    if envelope.origin is not Origin.AUTHORISED:
        return None, because(ReasonCode.ORIGIN_OUTSIDE)
    if len(senders) > 1:
        return None, because(ReasonCode.MANY_FROM)
    if not party.internal or None in senders:
        return None, because(ReasonCode.NO_SIGNING_IDENTITY)
    return (party.address if origin_party is None else origin_party.address), None
