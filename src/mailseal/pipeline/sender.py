"""Who a mail is from, as far as policy cares: settings to apply, identity to sign as (behaviour.md, Settings).

Postfix has made sure that the login of a submitted mail may use its envelope sender, and tells nobody who it was. So
such a mail is signed as another address in From only if all logins that may use the envelope sender may use that one
as well: whoever it was, then, may. One login that both have in common is not enough: two people may share an address.
"""

from dataclasses import dataclass

from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin
from mailseal.mail.header import authors
from mailseal.mail.mime import Entity
from mailseal.policy.combine import stricter
from mailseal.policy.model import Party
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Directory, SenderLogins


@dataclass(frozen=True, slots=True)
class Sender:
    """The sending side of a mail. `identity` is the address to sign as; without one, `no_identity` says why.

    `settings` is the stricter of `each`: the settings of the envelope sender and of From. `addresses` are these two,
    or the one.
    """

    settings: Settings
    each: tuple[Settings, ...]
    internal: bool
    authorised: bool
    identity: Address | None
    no_identity: Reason | None
    addresses: tuple[Address | None, ...] = ()

    @property
    def ours(self) -> bool:
        """Internal and authorised: may sign, trigger and be notified."""
        return self.internal and self.authorised

    def reader(self, envelope: Envelope) -> Address | None:
        """Who may be told what becomes of the mail; None: nobody."""
        return envelope.sender if self.ours else None


def sender_of(envelope: Envelope, root: Entity, directory: Directory, logins: SenderLogins | None = None) -> Sender:
    """Read the envelope sender and, if different, the single internal From; the stricter settings win.

    Without `logins` a submitted mail is signed as its envelope sender alone. Raises TransientError.
    """
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
    author = next(iter(senders), None)
    if identity is not None and envelope.submission and not _may_all_use(author, envelope.sender, logins):
        identity, missing = None, because(ReasonCode.FROM_NOT_ALLOWED)
    authorised = envelope.origin is Origin.AUTHORISED
    addresses = [envelope.sender, *([] if origin_party is None else [origin_party.address])]
    return Sender(settings, each, internal, authorised, identity, missing, tuple(dict.fromkeys(addresses)))


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


def _may_all_use(author: Address | None, sender: Address | None, logins: SenderLogins | None) -> bool:
    """Whether everybody who may have handed in a submitted mail of this envelope sender may be its author."""
    if author is None or author == sender:
        return True
    if sender is None or logins is None:
        return False
    those = logins.of(sender)
    return bool(those) and those <= logins.of(author)
